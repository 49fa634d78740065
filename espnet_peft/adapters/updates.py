"""The updates of several adapters at one module, computed for a batch that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_peft.adapters.piece import ACTIVATIONS, Piece, padded

if TYPE_CHECKING:
    from espnet_peft.adapters.mix import Mix

LONG = 64  # positions from which a row's own product is worth a call of its own, on a CPU

Terms = Sequence[tuple[int, float]]
"""The adapters' numbers and weights of one row."""
Update = Callable[[Tensor, Tensor], None]
"""update(s, y): add to a module's output y (B, T, out) what adapters make of s, its input or y."""


@dataclass
class Group:
    """Pieces of one kind at module `target`, by the number of their adapter."""

    target: str
    reads_output: bool
    pieces: dict[int, Piece] = field(default_factory=dict)


@dataclass(frozen=True)
class Gathered:
    """The pieces of each row, weighted: at (B, in, m), b (B, m, out), c (B, 1, m) or None."""

    at: Tensor
    b: Tensor
    c: Tensor | None


def patched(
    module: nn.Module, changes: Sequence[Update], outer: Sequence[Update]
) -> Callable[[Tensor], Tensor]:
    """Return a `forward` for `module` that computes its own output, and adds the updates.

    changes: updates that read the input; outer: those that read the output with `changes` inside.
    """
    plain = module.forward
    if type(module) is nn.Linear:
        weight, bias = module.weight, module.bias

        def plain(x: Tensor) -> Tensor:
            return F.linear(x, weight, bias)

    def forward(x: Tensor) -> Tensor:
        y = plain(x)
        for update in changes:
            update(x, y)
        if outer:
            s = y if len(outer) == 1 else y.clone()
            for update in outer:
                update(s, y)
        return y

    return forward


def update_of(mix: Mix, group: Group, by_frame: bool) -> Update:
    """Return the update of `group` with the weights that `mix` has for rows, or for frames."""
    if by_frame:
        return frame_by_frame(mix, group)
    return by_row(mix, group) if mix.alike is None else all_alike(mix, group, *mix.alike)


def all_alike(mix: Mix, group: Group, number: int, share: float) -> Update:
    """One adapter with one weight for all rows."""
    piece = group.pieces[number]

    def update(s: Tensor, y: Tensor) -> None:
        if len(s) != mix.n_rows:
            raise wrong_rows(mix, group, s)
        h = piece.inner(s)
        y.view(-1, y.shape[-1]).addmm_(h.view(-1, h.shape[-1]), piece.b, alpha=share)

    return update


def by_row(mix: Mix, group: Group) -> Update:
    """Each row's own adapters: for few positions by one product over gathered weights.

    Gathering copies the weights for each row, once for all steps of a search. Many positions, as
    the encoder has, come once; there the adapters' own weights serve, row by row.
    """
    pieces, first = group.pieces, next(iter(group.pieces.values()))
    activation = ACTIVATIONS[first.activation]
    long = LONG if first.a.device.type == "cpu" else float("inf")
    gathered: Gathered | None = None
    version = -1

    def update(s: Tensor, y: Tensor) -> None:
        nonlocal gathered, version
        if len(s) != mix.n_rows:
            raise wrong_rows(mix, group, s)
        if s.shape[1] >= long:
            for start, stop, terms in mix.runs():
                add_terms(pieces, terms, s[start:stop], y[start:stop])
            return
        if version != mix.version:
            gathered, version = gather(pieces, mix.terms()), mix.version
        if gathered is None:
            return
        if gathered.c is None:
            y.baddbmm_(torch.bmm(s, gathered.at), gathered.b)
        else:
            h = activation(torch.baddbmm(gathered.c, s, gathered.at))
            y.baddbmm_(h, gathered.b)

    return update


def add_terms(pieces: Mapping[int, Piece], terms: Terms, s: Tensor, y: Tensor) -> None:
    """Add the updates of `terms`, which read s, to y (B, T, out)."""
    own = [(pieces[number], share) for number, share in terms if number in pieces]
    if not own:
        return
    s, y = s.reshape(-1, s.shape[-1]), y.view(-1, y.shape[-1])
    inner = [piece.inner(s) for piece, _ in own]
    for h, (piece, share) in zip(inner, own, strict=True):
        y.addmm_(h, piece.b, alpha=share)


def frame_by_frame(mix: Mix, group: Group) -> Update:
    """Each frame's own adapters, each over the frames in which it has a part."""
    pieces = group.pieces

    def update(s: Tensor, y: Tensor) -> None:
        if len(s) != mix.n_rows:
            raise wrong_rows(mix, group, s)
        if s.shape[1] != mix.n_frames:
            raise ValueError(
                f"{group.target}: {s.shape[1]} frames, expected the mix's {mix.n_frames}; give "
                f"weights for the frames that the encoder has"
            )
        for row, stretches in enumerate(mix.stretches()):
            own = [(pieces[number], *where) for number, *where in stretches if number in pieces]
            inner = [piece.inner(s[row, a:b]) * shares for piece, a, b, shares in own]
            for h, (piece, a, b, _) in zip(inner, own, strict=True):
                y[row, a:b].addmm_(h, piece.b)

    return update


def gather(pieces: Mapping[int, Piece], rows: Sequence[Terms]) -> Gathered | None:
    """Return the pieces of each row side by side, with the weights inside; None if there are none.

    `pieces` may lack some of the adapters in `rows`, which do nothing here.
    """
    own = [[term for term in row if term[0] in pieces] for row in rows]
    width = max(map(len, own), default=0)
    if width == 0:
        return None
    used = {number for row in own for number, _ in row}
    rank = max(len(pieces[number].a) for number in used)
    filled = {number: padded(pieces[number], rank) for number in used}
    nothing = next(iter(filled.values())).zeros_like()
    chosen = []
    for row in own:
        chosen += [filled[number] for number, _ in row] + [nothing] * (width - len(row))
    a = torch.cat([piece.a for piece in chosen]).view(len(rows), width * rank, -1)
    b = torch.cat([piece.b for piece in chosen])
    shares = [share for row in own for share in [w for _, w in row] + [1.0] * (width - len(row))]
    if any(share != 1 for share in shares):
        b = b.view(len(shares), rank, -1) * b.new_tensor(shares)[:, None, None]
    c = None
    if nothing.c is not None:
        c = torch.cat([piece.c for piece in chosen]).view(len(rows), 1, width * rank)
    return Gathered(a.transpose(1, 2), b.view(len(rows), width * rank, -1), c)


def wrong_rows(mix: Mix, group: Group, s: Tensor) -> ValueError:
    """Return the error for a batch of another size than the mix's."""
    return ValueError(
        f"{group.target}: {len(s)} rows, expected the mix's {mix.n_rows}; select the mix's rows "
        f"as those of the batch"
    )
