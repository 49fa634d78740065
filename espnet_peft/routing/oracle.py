"""Strategies that need no model: the true language, and no adapter at all."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from espnet_peft.kaldi import read_table

BASE = "base"  # in utt2adapter: decode without an adapter


def route_oracle(data_dir: str | Path, adapters: Collection[str]) -> dict[str, str]:
    """Select the adapter that is named like the utterance's language in utt2lang.

    Returns utt_id -> adapter name, or `base` where the language has no adapter. Raises
    FileNotFoundError without utt2lang and ValueError where it lacks utterances.
    """
    path = Path(data_dir) / "utt2lang"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not found, expected lines `<utt_id> <language>`; the oracle needs them"
        )
    languages = read_table(path, "one")
    missing = [utt_id for utt_id in utterances(data_dir) if utt_id not in languages]
    if missing:
        raise ValueError(
            f"{path}: {len(missing)} utterances missing, as {', '.join(missing[:5])};"
            " run utils/fix_data_dir.sh or add them"
        )
    return {
        utt_id: languages[utt_id] if languages[utt_id] in adapters else BASE
        for utt_id in utterances(data_dir)
    }


def route_base(data_dir: str | Path, adapters: Collection[str]) -> dict[str, str]:
    """Select the base without an adapter for every utterance."""
    return {utt_id: BASE for utt_id in utterances(data_dir)}


def utterances(data_dir: str | Path) -> list[str]:
    """Ids of the utterances of a data directory, in its order."""
    for name in ("feats.scp", "segments", "wav.scp"):
        path = Path(data_dir) / name
        if path.exists():
            utt_ids = list(read_table(path))
            if not utt_ids:
                raise ValueError(f"{path}: found no line, expected utterances")
            return utt_ids
    raise FileNotFoundError(f"{data_dir}: found neither feats.scp nor wav.scp, expected a data dir")


ROUTERS: dict[str, Callable[[str | Path, Collection[str]], dict[str, str]]] = {
    "oracle": route_oracle,
    "base": route_base,
}
