"""The utterances of a data directory as a decoder wants them: checked, then read one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_peft.audio.speech import rate_of, read_speech
from espnet_peft.audio.utterances import MAX_SECONDS
from espnet_peft.kaldi import read_table
from espnet_peft.kaldi.layout import BASE


@dataclass
class DecodeSet:
    """What to decode: parallel lists over utterances, in data order.

    specs: what feats.scp or wav.scp says; raw: samples instead of features; lengths: frames or
    samples; languages: of the prompts; adapters: names, None is the bare base.
    """

    data_dir: Path
    raw: bool
    utt_ids: list[str]
    specs: list[str]
    lengths: list[int]
    languages: list[str | None]
    adapters: list[str | None]

    @property
    def units_per_second(self) -> int:
        """Samples or frames in a second."""
        return rate_of(self.raw)


def read_decode_set(
    data_dir: str | Path,
    *,
    language: str | None = None,
    known_languages: Collection[str] = (),
    wants_languages: bool | None = None,
    utt2adapter: Mapping[str, str] | str | None = None,
    key_file: str | Path | None = None,
    n_mels: int = 80,
) -> DecodeSet:
    """Read the tables of a data directory and check them against each other.

    language: for all utterances, instead of utt2lang; known_languages: of the tokenizer (none:
    prompts name no language); wants_languages: whether they are needed, None where the tokenizer
    knows any; utt2adapter: names by utterance or one for all; key_file: ids, or a table of the
    utterances to decode. Raises FileNotFoundError or ValueError that lists all faults at once.
    """
    data_dir = Path(data_dir)
    source = data_dir / "feats.scp"
    raw = not source.exists()
    if raw:
        source = data_dir / "wav.scp"
    if not source.exists():
        raise FileNotFoundError(f"{data_dir}: found neither feats.scp nor wav.scp; run stage 2")
    table = read_table(source)
    faults: list[str] = []
    utt_ids = select(list(table), key_file, faults)
    if not utt_ids:
        faults.insert(0, f"{key_file or source}: found no utterance, expected at least one")
    languages: list[str | None] = [None] * len(utt_ids)
    if bool(known_languages) if wants_languages is None else wants_languages:
        languages = find_languages(data_dir, utt_ids, language, known_languages, faults)
    adapters = find_adapters(utt_ids, utt2adapter, faults)
    specs = [table.get(utt_id, "") for utt_id in utt_ids]
    if faults:
        raise ValueError("; ".join(faults))
    lengths = find_lengths(data_dir, raw, utt_ids, specs, n_mels)
    return DecodeSet(data_dir, raw, utt_ids, specs, lengths, languages, adapters)


def select(utt_ids: list[str], key_file: str | Path | None, faults: list[str]) -> list[str]:
    """Keep the utterances that are in the first column of key_file."""
    if key_file is None:
        return utt_ids
    with open(key_file, encoding="utf-8") as stream:
        keys = {line.split()[0] for line in stream if line.strip()}
    unknown = sorted(keys.difference(utt_ids))
    if unknown:
        faults.append(f"{key_file}: {name(unknown)} not in the data")
    return [utt_id for utt_id in utt_ids if utt_id in keys]


def find_languages(
    data_dir: Path,
    utt_ids: Sequence[str],
    language: str | None,
    known: Collection[str],
    faults: list[str],
) -> list[str | None]:
    """Language of each utterance; adds to faults what is missing or unknown to the tokenizer."""
    path = data_dir / "utt2lang"
    if language is not None:
        languages: list[str | None] = [language] * len(utt_ids)
        path = Path("--language")
    elif not path.exists():
        faults.append(f"{path}: not found; add it or give --language")
        return [None] * len(utt_ids)
    else:
        table = read_table(path, "one")
        languages = [table.get(utt_id) for utt_id in utt_ids]
        missing = [utt_id for utt_id in utt_ids if utt_id not in table]
        if missing:
            faults.append(f"{path}: {name(missing)} missing; add them or give --language")
    unknown = sorted({found for found in languages if found is not None and found not in known})
    if unknown and known:
        faults.append(
            f"{path}: language {name(unknown)} not in the base model's tokenizer;"
            f" there are {', '.join(known)}"
        )
    return languages


def find_adapters(
    utt_ids: Sequence[str], utt2adapter: Mapping[str, str] | str | None, faults: list[str]
) -> list[str | None]:
    """Adapter of each utterance; `base` becomes None."""
    if utt2adapter is None or isinstance(utt2adapter, str):
        return [utt2adapter] * len(utt_ids)
    missing = [utt_id for utt_id in utt_ids if utt_id not in utt2adapter]
    if missing:
        faults.append(f"utt2adapter: {name(missing)} missing, expected all")
    choice = [utt2adapter.get(utt_id) for utt_id in utt_ids]
    return [None if adapter == BASE else adapter for adapter in choice]


def find_lengths(
    data_dir: Path, raw: bool, utt_ids: Sequence[str], specs: Sequence[str], n_mels: int
) -> list[int]:
    """Length of each utterance, from utt2num_frames or utt2num_samples or else from the data."""
    path = data_dir / ("utt2num_samples" if raw else "utt2num_frames")
    table = read_table(path, "one") if path.exists() else {}
    lengths, faults = [], []
    for utt_id, spec in zip(utt_ids, specs, strict=True):
        text = table.get(utt_id)
        if text is None:
            lengths.append(len(read_speech(spec, raw, n_mels, utt_id)))
        elif text.isdecimal():
            lengths.append(int(text))
        else:
            faults.append(f"{path}: {utt_id}: found {text!r}, expected a number")
    limit = MAX_SECONDS * rate_of(raw)
    long = [utt_id for utt_id, length in zip(utt_ids, lengths, strict=False) if length > limit]
    if long and not faults:
        faults.append(f"{data_dir}: {name(long)} over {MAX_SECONDS:.0f} s; cut by segments")
    if faults:
        raise ValueError("; ".join(faults))
    return lengths


def name(utt_ids: Sequence[str], most: int = 5) -> str:
    """Name the first few of many."""
    if len(utt_ids) <= most:
        return ", ".join(utt_ids)
    return f"{len(utt_ids)} ids, as {', '.join(utt_ids[:most])},"
