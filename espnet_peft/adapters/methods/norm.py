"""Method "norm": train the gains and biases of the normalisation layers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from espnet_peft.adapters.registry import register
from espnet_peft.adapters.targets import Layers, select_norms, sides_of
from espnet_peft.adapters.values import values_method
from espnet_peft.adapters.wrap import base_parameters


@dataclass(frozen=True)
class NormOptions:
    """side: encoder, decoder or both; layers: "0-5", a list, or None for all and the final norm."""

    side: str = "both"
    layers: str | int | list[int] | None = None

    def __post_init__(self) -> None:
        sides_of(self.side)


def norm_parameters(model: nn.Module, side: str, layers: Layers) -> list[str]:
    """Return the names of the parameters of the chosen norms."""
    there = base_parameters(model)
    names = [
        f"{norm}.{leaf}"
        for norm in select_norms(model, side, layers)
        for leaf in ("weight", "bias")
        if f"{norm}.{leaf}" in there
    ]
    if not names:
        raise ValueError(f"side {side!r}: the norms of this model have no parameters")
    return names


def select(model: nn.Module, options: NormOptions) -> list[str]:
    """Return the names of the parameters that `options` trains."""
    return norm_parameters(model, options.side, options.layers)


register(values_method("norm", NormOptions, select))
