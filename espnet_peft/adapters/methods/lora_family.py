"""LoRA's relatives in Hugging Face peft that start as the base itself: one method each.

Not here, for a reason: VeRA, VB-LoRA, FRoD and TinyLoRA share weights between layers, for which
peft has no injection; FourierFT and C3A do not start as the base; RandLoRA, SHiRA and WaveFT need
more than the trained weights to be loaded again; BOFT compiles a CUDA extension when it is used.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import peft

from espnet_peft.adapters.peft_layers import method_of_peft
from espnet_peft.adapters.registry import register, within
from espnet_peft.adapters.targets import sides_of


@dataclass(frozen=True, kw_only=True)
class Where:
    """target: qv qkv qkvo attn ffn all, or regular expressions for module names;

    side: encoder, decoder or both; layers: "0-5", a list, or None for all.
    """

    target: str | list[str] = "all"
    side: str = "both"
    layers: str | int | list[int] | None = None

    def __post_init__(self) -> None:
        sides_of(self.side)
        within("r", getattr(self, "r", 1), 1, 4096)


@dataclass(frozen=True, kw_only=True)
class LohaOptions(Where):
    """Product of two low-rank matrices, element by element (https://arxiv.org/abs/2108.06098)."""

    r: int = 8
    alpha: int = 8
    module_dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LokrOptions(Where):
    """Kronecker product of two matrices (https://arxiv.org/abs/2309.14859)."""

    r: int = 8
    alpha: int = 8
    module_dropout: float = 0.0
    decompose_both: bool = False


@dataclass(frozen=True, kw_only=True)
class OftOptions(Where):
    """Rotation of the inputs, block by block (https://arxiv.org/abs/2306.07280).

    oft_block_size has to divide each target's input width.
    """

    oft_block_size: int = 16
    module_dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MissOptions(Where):
    """One shared matrix for shards of the weight (https://arxiv.org/abs/2409.15371)."""

    r: int = 16
    miss_dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Ia3Options(Where):
    """A gain for each output of the targets (https://arxiv.org/abs/2205.05638)."""


def configure(kind: type, **fixed: Any) -> Any:
    """Return a function from our options to peft's configuration `kind`."""

    def config(options: Where, **more: Any) -> Any:
        skip = ("target", "side", "layers")
        conf = {key: value for key, value in asdict(options).items() if key not in skip}
        return kind(**conf, **fixed, **more)

    return config


register(method_of_peft("loha", LohaOptions, configure(peft.LoHaConfig)))
register(method_of_peft("lokr", LokrOptions, configure(peft.LoKrConfig)))
register(method_of_peft("oft", OftOptions, configure(peft.OFTConfig, r=0)))
register(method_of_peft("miss", MissOptions, configure(peft.MissConfig)))
register(method_of_peft("ia3", Ia3Options, configure(peft.IA3Config, feedforward_modules=[])))
