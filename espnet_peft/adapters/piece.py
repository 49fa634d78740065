"""What an adapter does at one module, in the form in which adapters share a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda x: x,
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True)
class Piece:
    """y + act(s a^T + c) b, where s is the module's input x, or its output y.

    a: (r, in); b: (r, out), with the method's own factor inside; c: (r,) or None;
    activation: relu gelu silu tanh, or None for a change of the weights.
    """

    a: Tensor
    b: Tensor
    c: Tensor | None = None
    activation: str | None = None
    reads_output: bool = False

    @property
    def kind(self) -> tuple[bool, str]:
        """What pieces have in common that are computed as one."""
        return self.reads_output, self.activation or ""

    def inner(self, s: Tensor) -> Tensor:
        """act(s a^T + c) for s (..., in): (..., r)."""
        return ACTIVATIONS[self.activation](F.linear(s, self.a, self.c))

    def zeros_like(self) -> Piece:
        """Return a piece of the same shapes that does nothing."""
        c = None if self.c is None else torch.zeros_like(self.c)
        return replace(self, a=torch.zeros_like(self.a), b=torch.zeros_like(self.b), c=c)

    def to(self, device: torch.device, dtype: torch.dtype) -> Piece:
        """Return the same on another device or in another dtype."""
        c = None if self.c is None else self.c.to(device, dtype)
        return replace(self, a=self.a.to(device, dtype), b=self.b.to(device, dtype), c=c)


def low_rank(a: Tensor, b: Tensor, factor: float) -> Piece:
    """Return the piece of an update factor * b a of the weights; a: (r, in), b: (out, r)."""
    return Piece(a.contiguous(), (b.T * factor).contiguous())


def bottleneck(
    down: tuple[Tensor, Tensor],
    up: tuple[Tensor, Tensor],
    activation: str,
    factor: float,
    reads_output: bool,
) -> Piece:
    """Return the piece of factor * up(act(down(s))), each given as (weight, bias).

    The outer bias is the output of one more inner unit, which reads nothing and is always on.
    """
    one = torch.ones(1)
    on = ACTIVATIONS[activation](one)
    return Piece(
        torch.cat([down[0], torch.zeros_like(down[0][:1])]),
        torch.cat([up[0].T * factor, (up[1] * factor / on)[None]]),
        torch.cat([down[1], one]),
        activation,
        reads_output,
    )


def padded(piece: Piece, rank: int) -> Piece:
    """Return the piece with inner units that do nothing added up to `rank`."""
    more = rank - len(piece.a)
    if more == 0:
        return piece
    a, b = F.pad(piece.a, (0, 0, 0, more)), F.pad(piece.b, (0, 0, 0, more))
    return replace(piece, a=a, b=b, c=None if piece.c is None else F.pad(piece.c, (0, more)))


@dataclass(frozen=True)
class Sharing:
    """How a method's adapters work side by side in one batch.

    refusal(options) -> why adapters with these options cannot, or None
    shapes(model, options) -> the shape of each tensor in a file, by `Key`
    pieces(options, tensors by `Key`, in float32 on the CPU) -> a piece by module
    """

    refusal: Callable[[Any], str | None]
    shapes: Callable[..., dict[tuple[str, str], tuple[int, ...]]]
    pieces: Callable[..., dict[str, Piece]]
