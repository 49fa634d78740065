"""Method "bias": train the bias terms alone (BitFit, https://arxiv.org/abs/2106.10199)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from espnet_peft.adapters.registry import one_of, register
from espnet_peft.adapters.targets import PRESETS, select_layers, select_roles, sides_of
from espnet_peft.adapters.values import values_method
from espnet_peft.adapters.wrap import base_modules, base_parameters


@dataclass(frozen=True)
class BiasOptions:
    """target: "every" for all biases, those of norms and convolutions too, or a preset.

    side: encoder, decoder or both; layers: "0-5", a list, or None for all.
    """

    target: str = "every"
    side: str = "both"
    layers: str | int | list[int] | None = None

    def __post_init__(self) -> None:
        one_of("target", self.target, ("every", *PRESETS))
        sides_of(self.side)


def select(model: nn.Module, options: BiasOptions) -> list[str]:
    """Return the names of the biases that `options` trains.

    Whisper's keys have no bias, so that "qkv" means those of q and v.
    Errors: `ValueError` where the chosen modules have no bias at all.
    """
    if options.target != "every":
        modules = select_roles(model, PRESETS[options.target], options.side, options.layers)
    elif options.layers is None:
        # Both sides mean the whole model, with what belongs to neither: a CTC head.
        prefix = "" if options.side == "both" else f"{options.side}."
        modules = [name for name, _ in base_modules(model) if name.startswith(prefix)]
    else:
        specs = select_layers(model, options.side, options.layers)
        modules = [name for spec in specs for names in spec.modules.values() for name in names]
        modules += [name for spec in specs for name in spec.norms]
    there = base_parameters(model)
    names = [f"{module}.bias" for module in dict.fromkeys(modules)]
    found = [name for name in names if name in there]
    if not found:
        raise ValueError(f"target {options.target!r}, side {options.side!r}: no bias is there")
    return found


register(values_method("bias", BiasOptions, select))
