"""Attention and residual blocks of Whisper, under OpenAI's parameter names."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_peft.models.cache import Cache


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention; each projection is a module of its own, ready to be wrapped."""

    def __init__(self, n_state: int, n_head: int, cross: bool = False) -> None:
        super().__init__()
        self.n_head = n_head
        self.cross = cross
        self.query = nn.Linear(n_state, n_state)
        self.key = nn.Linear(n_state, n_state, bias=False)
        self.value = nn.Linear(n_state, n_state)
        self.out = nn.Linear(n_state, n_state)

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        causal: bool = False,
        cache: Cache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """Attend from x (B, U, D) to source (B, T, D), or to itself; returns (B, U, D).

        A cross-attention whose keys the cache holds needs no source.

        `mask` is boolean, True where a key may be seen, broadcastable to (B, H, U, T).
        """
        query = self._heads(self.query(x))
        if not self.cross:
            key, value = self._heads(self.key(x)), self._heads(self.value(x))
            if cache is not None:
                key, value = cache.append(layer, key, value)
        else:
            key, value = self._source(source, cache, layer)
        seen = F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)
        return self.out(seen.transpose(1, 2).flatten(2))

    def _source(
        self, source: Tensor | None, cache: Cache | None, layer: int
    ) -> tuple[Tensor, Tensor]:
        kept = cache.cross(layer) if cache is not None else None
        if kept is None:
            kept = self._heads(self.key(source)), self._heads(self.value(source))
            if cache is not None:
                cache.set_cross(layer, *kept)
        return kept

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.n_head, -1)).transpose(1, 2)


class ResidualBlock(nn.Module):
    """Pre-norm block: self-attention, cross-attention (in the decoder), feed-forward."""

    def __init__(self, n_state: int, n_head: int, cross: bool, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attn = MultiHeadAttention(n_state, n_head)
        self.attn_ln = nn.LayerNorm(n_state)
        self.cross_attn = MultiHeadAttention(n_state, n_head, cross=True) if cross else None
        self.cross_attn_ln = nn.LayerNorm(n_state) if cross else None
        self.mlp = nn.Sequential(
            nn.Linear(n_state, 4 * n_state), nn.GELU(), nn.Linear(4 * n_state, n_state)
        )
        self.mlp_ln = nn.LayerNorm(n_state)

    def forward(
        self,
        x: Tensor,
        source: Tensor | None = None,
        mask: Tensor | None = None,
        source_mask: Tensor | None = None,
        causal: bool = False,
        cache: Cache | None = None,
    ) -> Tensor:
        """Transform x (B, U, D); in a decoder block `source` (B, T', D) is the encoder's output."""
        x = x + self.attn(self.attn_ln(x), None, mask, causal, cache, self.layer)
        if self.cross_attn is not None:
            normed = self.cross_attn_ln(x)
            x = x + self.cross_attn(normed, source, source_mask, False, cache, self.layer)
        return x + self.mlp(self.mlp_ln(x))


def key_mask(lengths: Tensor, size: int) -> Tensor | None:
    """Boolean mask (B, 1, 1, size) of keys inside each length; None where all are full.

    Without a mask the fastest kernel runs, so batches of equal lengths get none.
    """
    if int(lengths.min()) >= size:
        return None
    return (torch.arange(size, device=lengths.device) < lengths[:, None])[:, None, None, :]


def prepend(prompt: nn.Module | None, x: Tensor) -> tuple[Tensor, int]:
    """Put a soft prompt before x (B, T, D); returns that and the prompt's length."""
    if prompt is None:
        return x, 0
    virtual = prompt(x.shape[0], x.dtype, x.device)
    if virtual.shape[1] == 0:
        return x, 0
    return torch.cat([virtual, x], dim=1), virtual.shape[1]
