"""The `forward` of a module to which the rows of a batch bring adapters of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_peft.adapters.gather import Terms, gather
from espnet_peft.adapters.piece import Piece

if TYPE_CHECKING:
    from espnet_peft.adapters.mix import Mix, Plan

LONG = 64  # positions from which a row's own product is worth a call of its own, on a CPU

Update = Callable[[Tensor, Tensor], None]
"""update(s, y): add to a module's output y (B, T, out) what adapters make of s, its input or y."""


@dataclass(eq=False)
class Group:
    """Pieces of one kind at module `target`, by the number of their adapter."""

    target: str
    reads_output: bool
    activation: str | None
    pieces: dict[int, Piece] = field(default_factory=dict)

    @property
    def changes_weights(self) -> bool:
        """Whether the pieces amount to other weights."""
        return not self.reads_output and self.activation is None


def patched(
    plan: Plan, module: nn.Module, groups: Sequence[Group], by_frame: bool
) -> Callable[[Tensor], Tensor]:
    """Return a `forward` for `module` that computes its own output and the updates of `groups`.

    It serves whichever mix is the plan's. Pieces that read the output find the changes of the
    weights inside, and not each other's work.
    """
    make = frame_by_frame if by_frame else row_by_row
    changes = [make(plan, group) for group in groups if not group.reads_output]
    outer = [make(plan, group) for group in groups if group.reads_output]
    plain, fold = MethodType(type(module).forward, module), None  # whatever its instance has now
    if type(module) is nn.Linear:
        weight, bias = module.weight, module.bias
        low_rank = [group for group in groups if group.changes_weights]
        if low_rank and len(changes) == 1 and not by_frame and weight.device.type == "cpu":
            fold = folded(plan, low_rank[0], weight, bias)

        def plain(x: Tensor) -> Tensor:
            return F.linear(x, weight, bias)

    target = groups[0].target

    def forward(x: Tensor) -> Tensor:
        mix = plan.mix
        n_rows, length, _ = x.shape
        if n_rows != mix.n_rows or by_frame and length != mix.n_frames:
            raise wrong_size(mix, target, x, by_frame)
        long = length >= LONG and fold is not None
        if long and mix.all_adapted and not torch.is_grad_enabled():
            y = fold(x)
        else:
            y = plain(x)
            for update in changes:
                update(x, y)
        if outer:
            s = y if len(outer) == 1 else y.clone()
            for update in outer:
                update(s, y)
        return y

    return forward


def wrong_size(mix: Mix, target: str, x: Tensor, by_frame: bool) -> ValueError:
    """Return the error for an input of another size than the mix's."""
    if len(x) != mix.n_rows:
        return ValueError(
            f"{target}: {len(x)} rows, expected the mix's {mix.n_rows}; select the mix's rows as "
            f"those of the batch"
        )
    return ValueError(
        f"{target}: {x.shape[1]} frames, expected the mix's {mix.n_frames}; give weights for the "
        f"frames that the encoder has"
    )


def row_by_row(plan: Plan, group: Group) -> Update:
    """Each row's own adapters: of short inputs together, of long ones, as the encoder's, singly."""
    pieces = group.pieces
    on_cpu = next(iter(pieces.values())).a.device.type == "cpu"

    def update(s: Tensor, y: Tensor) -> None:
        mix = plan.mix
        if on_cpu and s.shape[1] >= LONG:
            for start, stop, terms in mix.runs():
                add_terms(pieces, terms, s[start:stop], y[start:stop])
            return
        if group not in mix.gathered:
            mix.gathered[group] = gather(pieces, mix.terms())
        own = mix.gathered[group]
        if own is not None:
            own.add(s, y)

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


def folded(
    plan: Plan, group: Group, weight: Tensor, bias: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """Return a Linear's forward for long inputs: with changed weights, where that is less work.

    Not for batches with rows of the bare base: in products of other sizes these round otherwise.
    """
    pieces = group.pieces
    n_out, n_in = weight.shape

    def forward(x: Tensor) -> Tensor:
        mix = plan.mix
        y = x.new_empty(*x.shape[:2], n_out)
        counts: dict[Terms, int] = {}
        for start, stop, terms in mix.runs():
            counts[terms] = counts.get(terms, 0) + (stop - start) * x.shape[1]
        changed: dict[Terms, Tensor] = {}
        for start, stop, terms in mix.runs():
            fold = counts[terms] * (n_in + n_out) >= n_in * n_out
            if terms not in changed:
                changed[terms] = with_terms(pieces, terms, weight) if fold else weight
            s, out = x[start:stop].reshape(-1, n_in), y[start:stop].view(-1, n_out)
            if bias is None:
                torch.mm(s, changed[terms].t(), out=out)
            else:
                torch.addmm(bias, s, changed[terms].t(), out=out)
            if not fold:
                add_terms(pieces, terms, x[start:stop], y[start:stop])
        return y

    return forward


def with_terms(pieces: Mapping[int, Piece], terms: Terms, weight: Tensor) -> Tensor:
    """Return `weight` (out, in) with the changes of `terms`, which may be itself."""
    for number, share in terms:
        if number in pieces:
            weight = torch.addmm(weight, pieces[number].b.t(), pieces[number].a, alpha=share)
    return weight


def frame_by_frame(plan: Plan, group: Group) -> Update:
    """Each frame's own adapters, each over the frames in which it has a part."""
    pieces = group.pieces

    def update(s: Tensor, y: Tensor) -> None:
        for row, stretches in enumerate(plan.mix.stretches()):
            own = [(pieces[number], *where) for number, *where in stretches if number in pieces]
            inner = [piece.inner(s[row, a:b]) * shares for piece, a, b, shares in own]
            for h, (piece, a, b, _) in zip(inner, own, strict=True):
                y[row, a:b].addmm_(h, piece.b)

    return update
