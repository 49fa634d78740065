"""The updates of several adapters at one module, computed for a batch that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from espnet_peft.adapters.piece import Piece, stacked

if TYPE_CHECKING:
    from espnet_peft.adapters.mix import Mix

LONG = 16  # positions from which a row's own product is worth a call of its own

Update = Callable[[Tensor, Tensor], None]
"""update(x, y): add to a module's output y what adapters make of its input x and of y."""


@dataclass(frozen=True)
class Group:
    """Pieces of one kind at one module, by the number of their adapter.

    key: what names the group among those of the model
    """

    key: tuple
    pieces: dict[int, Piece]

    @property
    def layout(self) -> tuple[tuple[int, int], ...]:
        """(adapter's number, rank) of the pieces, in order."""
        return tuple((number, len(piece.a)) for number, piece in self.pieces.items())


def patched(module: nn.Module, updates: list[Update]) -> Callable[[Tensor], Tensor]:
    """Return a `forward` for `module` that computes its own output, and adds the updates."""
    if type(module) is nn.Linear:
        weight, bias = module.weight, module.bias
        if len(updates) == 1:
            (update,) = updates

            def forward_one(x: Tensor) -> Tensor:
                y = F.linear(x, weight, bias)
                update(x, y)
                return y

            return forward_one

        def plain(x: Tensor) -> Tensor:
            return F.linear(x, weight, bias)
    else:
        plain = module.forward

    def forward(x: Tensor) -> Tensor:
        y = plain(x)
        for update in updates:
            update(x, y)
        return y

    return forward


def by_rows(mix: Mix, group: Group, by_frame: bool) -> Update:
    """Return the update of `group` for rows, or frames, with the weights that `mix` has."""
    side_by_side = all_at_once(mix, group, by_frame)
    one_by_one = run_by_run(mix, group)

    def update(x: Tensor, y: Tensor) -> None:
        if len(x) != mix.n_rows:
            raise ValueError(
                f"{group.key[0]}: {len(x)} rows, expected the mix's {mix.n_rows}; select those "
                f"that the batch has"
            )
        if by_frame or x.shape[1] < LONG:
            side_by_side(x, y)
        else:
            one_by_one(x, y)

    return update


def all_at_once(mix: Mix, group: Group, by_frame: bool) -> Update:
    """All adapters' ranks for all rows, most of them times zero: few calls, for few positions."""
    layout = group.layout
    stack: Piece | None = None

    def update(x: Tensor, y: Tensor) -> None:
        nonlocal stack
        if stack is None:
            if group.key not in mix.stacks:
                mix.stacks[group.key] = stacked(list(group.pieces.values()))
            stack = mix.stacks[group.key]
        mask = mix.mask(layout, by_frame)
        if by_frame and mask.shape[1] != x.shape[1]:
            raise ValueError(
                f"{group.key[0]}: {x.shape[1]} frames, expected the {mask.shape[1]} of the mix"
            )
        h = stack.inner(y if stack.reads_output else x)
        h *= mask
        y.view(-1, y.shape[-1]).addmm_(h.view(-1, h.shape[-1]), stack.b)

    return update


def run_by_run(mix: Mix, group: Group) -> Update:
    """Each row's own adapters only, with equal rows in succession together."""
    pieces = group.pieces

    def update(x: Tensor, y: Tensor) -> None:
        for start, stop, terms in mix.runs():
            own = [(pieces[number], share) for number, share in terms.items() if number in pieces]
            if not own:
                continue
            out = y[start:stop].view(-1, y.shape[-1])
            s = out if own[0][0].reads_output else x[start:stop].reshape(-1, x.shape[-1])
            inner = [piece.inner(s) for piece, _ in own]
            for h, (piece, share) in zip(inner, own, strict=True):
                out.addmm_(h, piece.b, alpha=share)

    return update
