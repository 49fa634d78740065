"""Batches of utterances of like length."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor


def make_batches(
    lengths: Sequence[int], batch_length: float, groups: Sequence[Hashable] | None = None
) -> list[list[int]]:
    """Split utterances into batches of like length, the longest first.

    lengths: of each utterance, in any unit; batch_length: most (utterances x longest) of a
    batch, in the same unit (an utterance longer than that is a batch of its own); groups: only
    utterances of the same group share a batch. Returns indices, each of them once.
    """
    groups = groups if groups is not None else [None] * len(lengths)
    members: dict[Hashable, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    batches = []
    for indices in members.values():
        indices.sort(key=lambda index: -lengths[index])
        start = 0
        while start < len(indices):
            longest = max(lengths[indices[start]], 1)
            size = max(1, int(batch_length // longest))
            batches.append(indices[start : start + size])
            start += size
    return batches


def pad(pieces: Sequence[np.ndarray | Tensor]) -> tuple[Tensor, Tensor]:
    """One batch of features (T, n_mels) or samples (n,), one or more, of different lengths.

    Returns them zero-padded, (B, T, n_mels) or (B, n), and lengths (B,), on the pieces' device.
    """
    # What an archive gives may be read-only, of which torch shares no memory without a warning.
    rows = [piece if isinstance(piece, Tensor) else torch.tensor(piece) for piece in pieces]
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths
