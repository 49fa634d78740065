"""Method "lora": low-rank updates by Hugging Face peft (LoRA, rsLoRA, DoRA).

Sources: https://arxiv.org/abs/2106.09685, 2312.03732 (rsLoRA), 2402.09353 (DoRA).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from espnet_peft.adapters.peft_layers import method_of_peft
from espnet_peft.adapters.registry import register, within
from espnet_peft.adapters.targets import sides_of

REFUSED_INITS = {
    "loftq": "it quantises the base's weights",
    "eva": "it needs activations that are collected first",
    "corda": "it needs covariances that are collected first",
    "lora_ga": "it needs gradients that are collected first",
}


@dataclass(frozen=True)
class LoraOptions:
    """Options under peft's names, and where to adapt.

    r: rank; lora_alpha: the update is scaled by lora_alpha / r (by its root with use_rslora);
    target: qv qkv qkvo attn ffn all, or regular expressions for module names;
    side: encoder, decoder or both; layers: "0-5", a list, or None for all;
    use_dora: train the columns' norms apart; init_lora_weights: true or gaussian.
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


def check_init(init: bool | str) -> None:
    """Raise `ValueError` for a start that is not the base itself, or that needs more than it."""
    if init is True or init == "gaussian":
        return
    if init is False:
        why = "it starts from a random update, so the adapted model would not start as the base"
    else:
        why = REFUSED_INITS.get(str(init).split("_niter_")[0], "there is no such start here")
    raise ValueError(f"init_lora_weights is {init!r}: {why}; use true or gaussian")


def peft_config(options: LoraOptions, **more: Any) -> Any:
    """Return peft's configuration object for `options`."""
    from peft import LoraConfig

    skip = ("target", "side", "layers")
    conf = {key: value for key, value in asdict(options).items() if key not in skip}
    return LoraConfig(**conf, **more)


register(method_of_peft("lora", LoraOptions, peft_config))
