"""The pieces of each row of a batch in one product: for few positions, as a search has at a step.

There the adapters' weights are what has to be read, so they are laid out once for all steps, and
each as seldom as it pays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_peft.adapters.piece import ACTIVATIONS, Piece, padded

Terms = Sequence[tuple[int, float]]
"""The adapters' numbers and weights of one row."""

SPREAD_BYTES = 300_000  # of repeated weights, from which it pays to bring rows together instead


@dataclass(frozen=True)
class Gathered:
    """The weighted pieces of G groups of rows that use the same, or None of a group that uses none.

    at: (G, in, m); b: (G, m, out); c: (G, 1, m) or None
    order: (G * n,) rows of the batch, by group; None where they lie in that order already
    places: (B,) where each row of the batch stands in `order`
    own: whether each group is one row, in their order
    """

    at: Tensor
    b: Tensor
    c: Tensor | None
    activation: str | None
    order: Tensor | None = None
    places: Tensor | None = None
    own: bool = False

    def add(self, s: Tensor, y: Tensor) -> None:
        """Add to y (B, T, out) what the pieces make of s (B, T, in), which may be y."""
        if self.own and self.c is None:
            y.baddbmm_(torch.bmm(s, self.at), self.b)
            return
        n_groups = len(self.at)
        if self.order is not None:
            s = s.index_select(0, self.order)
        s = s.reshape(n_groups, -1, s.shape[-1])
        if self.c is None:
            h = torch.bmm(s, self.at)
        else:
            h = ACTIVATIONS[self.activation](torch.baddbmm(self.c, s, self.at))
        if self.order is None:
            y.view(n_groups, -1, y.shape[-1]).baddbmm_(h, self.b)
        else:
            update = torch.bmm(h, self.b).view(len(self.order), *y.shape[1:])
            y.add_(update.index_select(0, self.places))


def gather(pieces: Mapping[int, Piece], rows: Sequence[Terms]) -> Gathered | None:
    """Return the pieces of the rows, or None if there are none.

    `pieces` may lack some of the adapters in `rows`, which do nothing here.
    """
    own = [tuple(term for term in row if term[0] in pieces) for row in rows]
    if not any(own):
        return None
    width = common_run(own)
    blocks = own[::width]
    distinct = list(dict.fromkeys(blocks))
    piece = next(iter(pieces.values()))
    rank = max(len(pieces[number].a) for row in distinct for number, _ in row)
    size = rank * (piece.a.shape[1] + piece.b.shape[1]) * piece.a.element_size()
    if (len(blocks) - len(distinct)) * max(map(len, distinct)) * size < SPREAD_BYTES:
        weights = side_by_side(pieces, blocks, rank)
        return Gathered(*weights, piece.activation, own=len(blocks) == len(own))
    members = {terms: [i for i, row in enumerate(own) if row == terms] for terms in distinct}
    most = max(map(len, members.values()))
    order, places = [], [0] * len(own)
    for group, rows_of_group in enumerate(members.values()):
        for i, row in enumerate(rows_of_group):
            places[row] = group * most + i
        order += rows_of_group + [0] * (most - len(rows_of_group))
    index = (torch.tensor(one, device=piece.a.device) for one in (order, places))
    return Gathered(*side_by_side(pieces, distinct, rank), piece.activation, *index)


def common_run(rows: Sequence[Terms]) -> int:
    """Return the greatest n such that n rows at a time are equal, as the beams of an utterance."""
    starts = [0, *(i for i in range(1, len(rows)) if rows[i] != rows[i - 1]), len(rows)]
    return math.gcd(*(b - a for a, b in zip(starts, starts[1:], strict=False)))


def side_by_side(
    pieces: Mapping[int, Piece], groups: Sequence[Terms], rank: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return at, b and c of `Gathered` for groups, each piece filled up to `rank`."""
    filled = {number: padded(pieces[number], rank) for row in groups for number, _ in row}
    nothing = next(iter(filled.values())).zeros_like()
    width = max(map(len, groups))
    chosen, shares = [], []
    for row in groups:
        chosen += [filled[number] for number, _ in row] + [nothing] * (width - len(row))
        shares += [share for _, share in row] + [1.0] * (width - len(row))
    a = torch.cat([piece.a for piece in chosen]).view(len(groups), width * rank, -1)
    b = torch.cat([piece.b for piece in chosen]).view(len(chosen), rank, -1)
    if any(share != 1 for share in shares):
        b = b * b.new_tensor(shares)[:, None, None]
    c = None
    if nothing.c is not None:
        c = torch.cat([piece.c for piece in chosen]).view(len(groups), 1, width * rank)
    return a.transpose(1, 2), b.view(len(groups), width * rank, -1), c
