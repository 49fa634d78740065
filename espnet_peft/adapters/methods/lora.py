"""Method "lora": low-rank updates by Hugging Face peft (LoRA, rsLoRA, DoRA, PiSSA, OLoRA).

Sources: https://arxiv.org/abs/2106.09685, 2312.03732 (rsLoRA), 2402.09353 (DoRA), 2404.02948
(PiSSA), 2406.01775 (OLoRA).

PiSSA and OLoRA start from parts of the base's weights W: the update B A starts as B0 A0, and peft
takes B0 A0 out of W. Here W stays as it is, and a second, frozen update takes B0 A0 out instead,
so that the adapted model starts as the base up to rounding. The file holds both as one plain LoRA
of twice the rank, which any base with the weights W can load.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import nn

from espnet_peft.adapters.peft_layers import (
    START,
    add_peft,
    method_of_peft,
    peft_layers,
    peft_tensors,
)
from espnet_peft.adapters.piece import Piece, Sharing, low_rank
from espnet_peft.adapters.registry import Key, register, within
from espnet_peft.adapters.targets import resolve, sides_of
from espnet_peft.adapters.wrap import slot_name, wrappers

FROM_WEIGHTS = ("pissa", "olora")
REFUSED_INITS = {
    "loftq": "it quantises the base's weights",
    "eva": "it needs activations that are collected first",
    "corda": "it needs covariances that are collected first",
    "lora_ga": "it needs gradients that are collected first",
    "pissa_niter": "its start is random, so that training could not resume; pissa is exact",
}


@dataclass(frozen=True)
class LoraOptions:
    """Options under peft's names, and where to adapt.

    r: rank; lora_alpha: the update is scaled by lora_alpha / r (by its root with use_rslora);
    target: qv qkv qkvo attn ffn all, or regular expressions for module names;
    side: encoder, decoder or both; layers: "0-5", a list, or None for all;
    use_dora: train the columns' norms apart; init_lora_weights: true, gaussian, pissa or olora.
    """

    r: int = 16
    lora_alpha: int | float = 32
    lora_dropout: float = 0.0
    target: str | list[str] = "all"
    side: str = "both"
    layers: str | int | list[int] | None = None
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | str = True

    def __post_init__(self) -> None:
        within("r", self.r, 1, 4096)
        within("lora_dropout", self.lora_dropout, 0.0, 0.95)
        sides_of(self.side)
        check_init(self.init_lora_weights)
        if self.use_dora and self.init_lora_weights in FROM_WEIGHTS:
            raise ValueError(
                f"use_dora with init_lora_weights {self.init_lora_weights!r}: DoRA's norms would "
                f"count what the start took out of the base; use one of the two"
            )


def check_init(init: bool | str) -> None:
    """Raise `ValueError` for a start that is not the base itself, or that needs more than it."""
    if init is True or init in ("gaussian", *FROM_WEIGHTS):
        return
    if init is False:
        why = "it starts from a random update, so the adapted model would not start as the base"
    else:
        why = REFUSED_INITS.get(re.sub(r"_\d+$", "", str(init)), "there is no such start here")
    raise ValueError(f"init_lora_weights is {init!r}: {why}; use true, gaussian, pissa or olora")


def peft_config(options: LoraOptions, **more: Any) -> Any:
    """Return peft's configuration object for `options`."""
    from peft import LoraConfig

    skip = ("target", "side", "layers")
    conf = {key: value for key, value in asdict(options).items() if key not in skip}
    return LoraConfig(**conf, **more)


def add(model: nn.Module, options: LoraOptions, name: str, targets: list[str]) -> int:
    """Inject LoRA at `targets` and return at how many."""
    slot = slot_name(name)
    if options.init_lora_weights not in FROM_WEIGHTS:
        return add_peft(model, peft_config(options), slot, targets)
    bases = [wrappers(model, target)[-1][1] for target in targets]
    kept = [base.weight.data.clone() for base in bases]
    try:
        added = add_peft(model, peft_config(options), slot, targets)
    finally:
        for base, weight in zip(bases, kept, strict=True):
            base.weight.data = weight
    minus = replace(
        options, lora_alpha=-options.lora_alpha, lora_dropout=0.0, init_lora_weights=True
    )
    add_peft(model, peft_config(minus), slot + START, targets)
    for _, layer in peft_layers(model, slot, targets):
        for factors in (layer.lora_A, layer.lora_B):
            factors[slot + START].load_state_dict(factors[slot].state_dict())
    return added


def export(
    model: nn.Module, options: LoraOptions, name: str
) -> tuple[LoraOptions, dict[Key, torch.Tensor]]:
    """Return the update and what takes its start out as one plain LoRA."""
    plain = peft_tensors(model, options, name)
    if options.init_lora_weights not in FROM_WEIGHTS:
        return options, plain
    slot = slot_name(name) + START
    targets = resolve(model, options.target, options.side, options.layers)
    both: dict[Key, torch.Tensor] = {}
    for target, layer in peft_layers(model, slot, targets):
        a, b = (target, "lora_A.weight"), (target, "lora_B.weight")
        both[a] = torch.cat([plain[a], layer.lora_A[slot].weight.data])
        both[b] = torch.cat([plain[b], -layer.lora_B[slot].weight.data], dim=1)
    factor = math.sqrt(2) if options.use_rslora else 2
    return replace(
        options, r=2 * options.r, lora_alpha=factor * options.lora_alpha, init_lora_weights=True
    ), both


def refusal(options: LoraOptions) -> str | None:
    """Return why adapters with `options` cannot share a batch, or None."""
    if options.use_dora:
        return "DoRA scales the rows of the base's weights, which all rows of a batch share"
    if options.init_lora_weights in FROM_WEIGHTS:
        return "its file was not saved here, since saving turns such a start into plain LoRA"
    return None


def shapes(model: nn.Module, options: LoraOptions) -> dict[Key, tuple[int, ...]]:
    """Return the shapes of the factors of each target."""
    found: dict[Key, tuple[int, ...]] = {}
    for target in resolve(model, options.target, options.side, options.layers):
        base = wrappers(model, target)[-1][1]
        found[target, "lora_A.weight"] = (options.r, base.in_features)
        found[target, "lora_B.weight"] = (base.out_features, options.r)
    return found


def pieces(options: LoraOptions, tensors: dict[Key, torch.Tensor]) -> dict[str, Piece]:
    """Return the update of each target."""
    factor = options.lora_alpha / (math.sqrt(options.r) if options.use_rslora else options.r)
    return {
        target: low_rank(tensor, tensors[target, "lora_B.weight"], factor)
        for (target, own), tensor in tensors.items()
        if own == "lora_A.weight"
    }


register(
    method_of_peft("lora", LoraOptions, peft_config, add, export, Sharing(refusal, shapes, pieces))
)
