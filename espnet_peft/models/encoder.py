"""Whisper's audio encoder, for padded batches of any length."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from espnet_peft.models.attention import ResidualBlock, key_mask, prepend
from espnet_peft.models.dims import Dims


@dataclass(frozen=True)
class Prefix:
    """The encoder's work so far, which can be read and then continued.

    x: (B, T', D) residual stream after `layer` blocks, 0 being convolutions and positions;
    lengths: (B,) valid frames of 20 ms; spoken: (B,) those of the audio itself, which are fewer
    where it was padded to 30 s; n_prompt: frames of a soft prompt at the start of x.
    """

    x: Tensor
    lengths: Tensor
    spoken: Tensor
    layer: int = 0
    n_prompt: int = 0

    def select(self, index: Tensor) -> Prefix:
        """Rows `index` (R,), which may repeat, without frames that are padding in all of them."""
        lengths = self.lengths[index]
        x = self.x[index, : self.n_prompt + int(lengths.max())]
        return replace(self, x=x, lengths=lengths, spoken=self.spoken[index])


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

        Returns states (B, ceil(T/2), D) and their lengths.
        """
        return self.finish(self.start(features, lengths))

    def start(self, features: Tensor, lengths: Tensor, spoken: Tensor | None = None) -> Prefix:
        """Apply convolutions and positions to features (B, T, n_mels) of `lengths` (B,) frames.

        Frames after an utterance's end are zero before each convolution, as a convolution pads
        it when the utterance is alone. spoken: frames (B,) of audio, where `lengths` have more.
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
        x = x + self.positional_embedding[: x.shape[1]].to(x.dtype)
        halved = (lengths + 1) // 2
        return Prefix(x, halved, halved if spoken is None else (spoken + 1) // 2)

    def advance(self, prefix: Prefix, layer: int) -> Prefix:
        """Apply the blocks from the prefix's layer up to `layer`; a soft prompt joins before 0."""
        x, n_prompt = prefix.x, prefix.n_prompt
        if prefix.layer == 0 and layer > 0:
            x, n_prompt = prepend(self.prompt, x)
        mask = key_mask(prefix.lengths + n_prompt, x.shape[1])
        for block in self.blocks[prefix.layer : layer]:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, None, mask, use_reentrant=False)
            else:
                x = block(x, None, mask)
        return Prefix(x, prefix.lengths, prefix.spoken, layer, n_prompt)

    def finish(self, prefix: Prefix) -> tuple[Tensor, Tensor]:
        """Apply the remaining blocks and the last norm; returns states (B, T', D), lengths."""
        prefix = self.advance(prefix, len(self.blocks))
        return self.ln_post(prefix.x[:, prefix.n_prompt :]), prefix.lengths


def sinusoids(length: int, channels: int, longest: float = 10_000.0) -> Tensor:
    """Encoder positions (length, channels): sines, then cosines, of geometric wavelengths."""
    steps = channels // 2
    rates = torch.exp(-math.log(longest) / (steps - 1) * torch.arange(steps))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)
