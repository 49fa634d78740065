"""Whisper's audio encoder, for padded batches of any length."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from espnet_peft.models.attention import ResidualBlock, key_mask, prepend
from espnet_peft.models.dims import Dims


class Encoder(nn.Module):
    """Two convolutions and a stack of self-attention blocks over log-mel frames."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        state = dims.n_audio_state
        self.conv1 = nn.Conv1d(dims.n_mels, state, 3, padding=1)
        self.conv2 = nn.Conv1d(state, state, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(dims.n_audio_ctx, state))
        self.blocks = nn.ModuleList(
            ResidualBlock(state, dims.n_audio_head, False, i) for i in range(dims.n_audio_layer)
        )
        self.ln_post = nn.LayerNorm(state)
        self.prompt: nn.Module | None = None
        self.gradient_checkpointing = False

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode features (B, T, n_mels) of `lengths` (B,) frames.

        Returns states (B, ceil(T/2), D) and their lengths. Frames after an utterance's end are
        zero before each convolution, as a convolution pads it when the utterance is alone.
        """
        size = features.shape[1]
        x = features.to(self.conv1.weight.dtype).transpose(1, 2)
        inside = key_mask(lengths, size)
        padded = None if inside is None else ~inside[:, 0]  # (B, 1, T)
        if padded is not None:
            x = x.masked_fill(padded, 0.0)
        x = F.gelu(self.conv1(x))
        if padded is not None:
            x = x.masked_fill(padded, 0.0)
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        x = x + self.positional_embedding[: x.shape[1]].to(x.dtype)

        x, n_prompt = prepend(self.prompt, x)
        mask = key_mask(lengths + n_prompt, x.shape[1])
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, None, mask, use_reentrant=False)
            else:
                x = block(x, None, mask)
        return self.ln_post(x[:, n_prompt:]), lengths


def sinusoids(length: int, channels: int, longest: float = 10_000.0) -> Tensor:
    """Encoder positions (length, channels): sines, then cosines, of geometric wavelengths."""
    steps = channels // 2
    rates = torch.exp(-math.log(longest) / (steps - 1) * torch.arange(steps))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
