"""Keys and values that a decoder keeps between steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

GROWTH = 32  # steps by which a buffer grows: few copies, little waste


class Follower(Protocol):
    """What is kept by row beside a cache."""

    def select(self, index: Tensor) -> None:
        """Make row i what row `index[i]` was."""


class Cache:
    """Keys and values of one batch of partial hypotheses; for inference only, without gradients.

    Self-attention's grow with each call of the decoder, cross-attention's are computed once.

    Attributes:
        length: real tokens (not soft-prompt positions) seen so far.
        prefix: soft-prompt positions at the start of the self-attention's keys.
        rows: (B,) row of the first call that each row comes from; None before that call.
        cross_mask: (B, 1, 1, T') key mask of the cross-attention, None where nothing is padded.
        followers: whatever else is kept by row; each one's `select(index)` is called by `reorder`.
    """

    def __init__(self, followers: Sequence[Follower] = ()) -> None:
        self.length = 0
        self.prefix = 0
        self.rows: Tensor | None = None
        self.cross_mask: Tensor | None = None
        self.followers = list(followers)
        self._self: list[tuple[Tensor, Tensor]] = []
        self._cross: list[tuple[Tensor, Tensor]] = []

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values (B, H, U, d) of new positions; returns all of that layer."""
        start = self.prefix + self.length
        end = start + key.shape[2]
        if layer == len(self._self):
            self._self.append((_room(key, end), _room(value, end)))
        buffers = self._self[layer]
        if buffers[0].shape[2] < end:
            grown = tuple(_room(old, end) for old in buffers)
            for old, new in zip(buffers, grown, strict=True):
                new[:, :, :start] = old[:, :, :start]
            self._self[layer] = buffers = grown
        buffers[0][:, :, start:end] = key
        buffers[1][:, :, start:end] = value
        return buffers[0][:, :, :end], buffers[1][:, :, :end]

    def cross(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """Cross-attention keys and values (B, H, T', d) of a layer, None before the first call."""
        return self._cross[layer] if layer < len(self._cross) else None

    def set_cross(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Keep a layer's cross-attention keys and values; layers must come in order."""
        assert layer == len(self._cross)
        self._cross.append((key, value))

    def reorder(self, index: Tensor) -> None:
        """Make row i of the cache what row `index[i]` was.

        `index` (B_new,) int64 may repeat rows (expansion to beams, a beam's best
        continuations) and leave rows out (compaction of finished utterances). The
        cross-attention's tensors are copied only where rows change their utterance.
        """
        if self.rows is None:
            raise RuntimeError("cannot reorder a cache before the first decoder call")
        index = index.to(self.rows.device)
        rows = self.rows[index]
        if not torch.equal(rows, self.rows):
            self._cross = [(k[index], v[index]) for k, v in self._cross]
            if self.cross_mask is not None:
                self.cross_mask = self.cross_mask[index]
        self.rows = rows
        self._self = [(k[index], v[index]) for k, v in self._self]
        for follower in self.followers:
            follower.select(index)


def _room(like: Tensor, length: int) -> Tensor:
    """Empty buffer for at least `length` positions, shaped like (B, H, U, d)."""
    batch, heads, _, width = like.shape
    capacity = (length // GROWTH + 1) * GROWTH
    return like.new_empty(batch, heads, capacity, width)
