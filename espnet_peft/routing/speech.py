"""The utterances of a data directory as the encoder takes them, in batches of like length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from espnet_peft.audio.batches import make_batches
from espnet_peft.audio.resample import RATE
from espnet_peft.audio.speech import FRAME_RATE, read_speech
from espnet_peft.audio.utterances import list_spans, read_utterances
from espnet_peft.kaldi import read_table

SORTED_AT_ONCE = 512  # utterances that are held to be sorted by length

Item = tuple[str, np.ndarray]  # id, and features (T, n_mels) or samples (n,)


@dataclass(frozen=True)
class SpeechSet:
    """A data directory with features (feats.scp) or audio at any rate (wav.scp, segments).

    rate: feature frames or 16 kHz samples in a second.
    """

    data_dir: Path
    utt_ids: list[str]
    rate: int
    n_mels: int

    def read(self) -> Iterator[Item]:
        """Yield the utterances one by one; ValueError or OSError names one that is unusable."""
        if self.rate == FRAME_RATE:
            specs = read_table(self.data_dir / "feats.scp")
            for utt_id in self.utt_ids:
                place = f"{self.data_dir}: {utt_id}"
                yield utt_id, read_speech(specs[utt_id], False, self.n_mels, place)
            return
        for utt_id, found in read_utterances(list_spans(self.data_dir, set(self.utt_ids))):
            if isinstance(found, Exception):
                raise ValueError(f"{self.data_dir}: {utt_id}: {found}")
            yield utt_id, found


def open_set(data_dir: str | Path, n_mels: int, keys: set[str] | None = None) -> SpeechSet:
    """Find what a data directory holds; `keys` keeps those utterances alone.

    Raises FileNotFoundError where there is neither feats.scp nor wav.scp, ValueError for unknown
    keys or no utterance at all.
    """
    data_dir = Path(data_dir)
    if (data_dir / "feats.scp").is_file():
        utt_ids, rate = list(read_table(data_dir / "feats.scp")), FRAME_RATE
    elif (data_dir / "wav.scp").is_file():
        utt_ids, rate = [span.utt_id for span in list_spans(data_dir)], RATE
    else:
        raise FileNotFoundError(f"{data_dir}: found neither feats.scp nor wav.scp; run stage 2")
    unknown = sorted((keys or set()).difference(utt_ids))
    if unknown:
        raise ValueError(f"{data_dir}: no utterance {unknown[0]} ({len(unknown)} unknown keys)")
    utt_ids = [utt_id for utt_id in utt_ids if keys is None or utt_id in keys]
    if not utt_ids:
        raise ValueError(f"{data_dir}: found no utterance, expected at least one")
    return SpeechSet(data_dir, utt_ids, rate, n_mels)


def read_languages(data_dir: str | Path, utt_ids: Iterable[str]) -> dict[str, str]:
    """Languages of utterances by utt2lang; ValueError or FileNotFoundError where it lacks some."""
    path = Path(data_dir) / "utt2lang"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found, expected lines `<utt_id> <language>`; add it")
    table = read_table(path, "one")
    missing = [utt_id for utt_id in utt_ids if utt_id not in table]
    if missing:
        raise ValueError(
            f"{path}: {len(missing)} utterances missing, as {missing[0]};"
            " run utils/fix_data_dir.sh or add them"
        )
    return {utt_id: table[utt_id] for utt_id in utt_ids}


def batches(items: Iterable[Item], rate: int, seconds: float) -> Iterator[list[Item]]:
    """Group items into batches of like length, of at most `seconds` of audio with their padding."""
    items = iter(items)
    while some := list(islice(items, SORTED_AT_ONCE)):
        for batch in make_batches([len(speech) for _, speech in some], seconds * rate):
            yield [some[index] for index in batch]
