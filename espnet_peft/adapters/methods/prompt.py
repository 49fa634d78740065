"""Method "prompt": learned virtual tokens before the decoder's tokens or the encoder's frames.

Source: https://arxiv.org/abs/2104.08691. An adapted model does not start as the base: the
virtual tokens draw attention from the first step on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from espnet_peft.adapters.registry import Key, Method, one_of, register, within
from espnet_peft.adapters.targets import sides_of
from espnet_peft.adapters.wrap import AdapterSlot, base_parameters, slot_name


@dataclass(frozen=True)
class PromptOptions:
    """num_virtual_tokens: length; encoder_virtual_tokens: the encoder's, None for the same.

    side: decoder, encoder or both; init: vocab (rows of the token embedding; the encoder, which
    has none, starts normal) or normal (standard deviation 0.02).
    """

    num_virtual_tokens: int = 8
    encoder_virtual_tokens: int | None = None
    side: str = "decoder"
    init: str = "vocab"

    def __post_init__(self) -> None:
        within("num_virtual_tokens", self.num_virtual_tokens, 1, 448)
        if self.encoder_virtual_tokens is not None:
            within("encoder_virtual_tokens", self.encoder_virtual_tokens, 1, 1500)
        one_of("init", self.init, ("vocab", "normal"))
        sides_of(self.side)


class PromptSlot(AdapterSlot):
    """The virtual tokens of several adapters, of which one works or none."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.tokens = nn.ParameterDict()
        self.active: str | None = None

    def forward(self, batch_size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Return the virtual tokens, (batch_size, n, width); n is 0 where none works."""
        if self.active is None:
            return torch.zeros(batch_size, 0, self.width, dtype=dtype, device=device)
        return self.tokens[self.active].to(device, dtype).expand(batch_size, -1, -1)


def check(model: nn.Module, options: PromptOptions) -> list[str]:
    """Return the sides that get virtual tokens.

    Errors: `ValueError` where a side has no place for them.
    """
    for side in sides_of(options.side):
        if not hasattr(getattr(model, side, None), "prompt"):
            raise ValueError(f"side {side!r}: this model's {side} takes no virtual tokens")
    return list(sides_of(options.side))


def add(model: nn.Module, options: PromptOptions, name: str, targets: list[str]) -> int:
    """Hang virtual tokens into the slots of `targets`."""
    for side in targets:
        part = getattr(model, side)
        start = _start(model, side, options)
        if part.prompt is None:
            part.prompt = PromptSlot(start.shape[-1])
        part.prompt.tokens[slot_name(name)] = nn.Parameter(start)
    return len(targets)


def _start(model: nn.Module, side: str, options: PromptOptions) -> torch.Tensor:
    """Return the first values, (1, n, width)."""
    n = options.num_virtual_tokens
    if side == "encoder" and options.encoder_virtual_tokens is not None:
        n = options.encoder_virtual_tokens
    there = base_parameters(model)
    like = next(value for key, value in there.items() if key.startswith(f"{side}."))
    width = there[dict(model.final_norms())[side] + ".weight"].numel()
    embedding = next((m for m in getattr(model, side).children() if _embeds(m)), None)
    if side == "decoder" and options.init == "vocab" and embedding is not None:
        rows = torch.randint(embedding.num_embeddings, (n,), device=like.device)
        return embedding.weight.data[rows].clone()[None]
    return torch.randn(1, n, width, device=like.device).mul_(0.02).to(like.dtype)


def _embeds(module: nn.Module) -> bool:
    return isinstance(module, nn.Embedding)


def tensors(model: nn.Module, options: PromptOptions, name: str) -> dict[Key, torch.Tensor]:
    """Return the virtual tokens of each side, (1, n, width)."""
    slot = slot_name(name)
    return {
        (side, "prompt_tokens"): getattr(model, side).prompt.tokens[slot].data
        for side in sides_of(options.side)
    }


def parameters(model: nn.Module, options: PromptOptions, name: str) -> list[nn.Parameter]:
    """Return the virtual tokens of each side."""
    slot = slot_name(name)
    return [getattr(model, side).prompt.tokens[slot] for side in sides_of(options.side)]


def activate(model: nn.Module, options: PromptOptions, name: str, on: bool) -> None:
    """Let the slots give the adapter's tokens, or none."""
    for side in sides_of(options.side):
        getattr(model, side).prompt.active = slot_name(name) if on else None


def remove(model: nn.Module, options: PromptOptions, name: str) -> None:
    """Delete the adapter's tokens; an empty slot becomes None again."""
    for side in sides_of(options.side):
        part = getattr(model, side)
        if part.prompt is None or slot_name(name) not in part.prompt.tokens:
            continue
        part.prompt.active = None
        del part.prompt.tokens[slot_name(name)]
        if not len(part.prompt.tokens):
            part.prompt = None


register(
    Method(
        name="prompt",
        options=PromptOptions,
        check=check,
        add=add,
        tensors=tensors,
        parameters=parameters,
        activate=activate,
        remove=remove,
        hf_names=False,
    )
)
