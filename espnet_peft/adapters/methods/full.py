"""Method "full": train everything, as the reference for the small methods."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from espnet_peft.adapters.registry import register
from espnet_peft.adapters.targets import sides_of
from espnet_peft.adapters.values import values_method
from espnet_peft.adapters.wrap import base_parameters


@dataclass(frozen=True)
class FullOptions:
    """side: both for the whole model, or encoder or decoder to leave the rest frozen."""

    side: str = "both"

    def __post_init__(self) -> None:
        sides_of(self.side)


def select(model: nn.Module, options: FullOptions) -> list[str]:
    """Return the names of all parameters, or of one side's."""
    names = list(base_parameters(model))
    if options.side == "both":
        return names
    found = [name for name in names if name.startswith(f"{options.side}.")]
    if not found:
        raise ValueError(f"side {options.side!r}: the model has no parameters there")
    return found


register(values_method("full", FullOptions, select))
