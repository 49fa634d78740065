"""The utterances of a data directory as the encoder takes them, in batches of like length."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet_peft.audio.utterances import RATE, list_spans, read_utterances
from espnet_peft.kaldi import read_table

FRAME_RATE = 100
LONGEST_SECONDS = 30
SORTED_AT_ONCE = 512  # utterances that are held to be sorted by length
UNREADABLE = (OSError, ValueError, EOFError, AssertionError, struct.error)  # kaldiio's, too

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
                yield utt_id, _features(self.data_dir, utt_id, specs[utt_id], self.n_mels)
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


def _features(data_dir: Path, utt_id: str, spec: str, n_mels: int) -> np.ndarray:
    import kaldiio

    try:
        features = np.asarray(kaldiio.load_mat(spec), dtype=np.float32)
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or "nothing can be read at that place"
        raise ValueError(
            f"{data_dir}: {utt_id}: cannot read {spec} ({reason}); run stage 2 again"
        ) from None
    if features.ndim != 2 or features.shape[1] != n_mels or not len(features):
        found = tuple(features.shape)
        raise ValueError(
            f"{data_dir}: {utt_id}: features of shape {found}, expected (T, {n_mels});"
            " extract them for this base model"
        )
    if not np.isfinite(features).all():
        raise ValueError(f"{data_dir}: {utt_id}: found NaN or infinity; run stage 2 again")
    if len(features) > LONGEST_SECONDS * FRAME_RATE:
        raise ValueError(f"{data_dir}: {utt_id}: over {LONGEST_SECONDS} s; cut it by segments")
    return features


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
    while some := sorted(islice(items, SORTED_AT_ONCE), key=lambda item: -len(item[1])):
        while some:
            size = max(1, int(seconds * rate // len(some[0][1])))
            yield some[:size]
            some = some[size:]


def pad(items: list[Item]) -> tuple[Tensor, Tensor]:
    """Zero-padded speech (B, T, n_mels) or (B, n) of some items, and lengths (B,)."""
    arrays = [speech for _, speech in items]
    lengths = [len(array) for array in arrays]
    padded = np.zeros((len(arrays), max(lengths), *arrays[0].shape[1:]), dtype=np.float32)
    for row, array in enumerate(arrays):
        padded[row, : len(array)] = array
    return torch.from_numpy(padded), torch.tensor(lengths)
