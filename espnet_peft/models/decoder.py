"""Whisper's text decoder, with a cache of keys and values."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from espnet_peft.models.attention import ResidualBlock, key_mask, prepend
from espnet_peft.models.cache import Cache
from espnet_peft.models.dims import Dims


class Decoder(nn.Module):
    """Causal blocks over tokens with attention to the encoder; output tied to the embedding."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        state = dims.n_text_state
        self.token_embedding = nn.Embedding(dims.n_vocab, state)
        self.positional_embedding = nn.Parameter(torch.zeros(dims.n_text_ctx, state))
        self.blocks = nn.ModuleList(
            ResidualBlock(state, dims.n_text_head, True, i) for i in range(dims.n_text_layer)
        )
        self.ln = nn.LayerNorm(state)
        self.prompt: nn.Module | None = None
        self.gradient_checkpointing = False

    def forward(
        self,
        tokens: Tensor,
        enc: Tensor | None,
        enc_lengths: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits (B, U, V) in float32 that follow each of tokens (B, U).

        With a cache, `tokens` are the new ones only, and the encoder's states are read at the
        first call alone (None will do later). A soft prompt stands before the first token,
        without positions; attention is causal over both together.

        Raises:
            ValueError: more tokens than there are positions.
        """
        past = cache.length if cache is not None else 0
        end = past + tokens.shape[1]
        if end > len(self.positional_embedding):
            limit = len(self.positional_embedding)
            raise ValueError(f"decoder: {end} tokens, expected at most {limit}; shorten the text")
        x = self.token_embedding(tokens) + self.positional_embedding[past:end]
        n_prompt = 0
        if past == 0:
            x, n_prompt = prepend(self.prompt, x)
        source_mask = self._source_mask(enc, enc_lengths, cache, tokens)
        mask, causal = _causal_mask(x, past + (cache.prefix if cache is not None else 0))
        for block in self.blocks:
            if self.gradient_checkpointing and self.training and cache is None:
                x = checkpoint(block, x, enc, mask, source_mask, causal, use_reentrant=False)
            else:
                x = block(x, enc, mask, source_mask, causal, cache)
        if cache is not None:
            cache.length = end
            cache.prefix += n_prompt
        x = self.ln(x[:, n_prompt:])
        return F.linear(x, self.token_embedding.weight.to(x.dtype)).float()

    @staticmethod
    def _source_mask(
        enc: Tensor | None, enc_lengths: Tensor | None, cache: Cache | None, tokens: Tensor
    ) -> Tensor | None:
        if cache is not None and cache.rows is not None:
            return cache.cross_mask
        mask = key_mask(enc_lengths.to(enc.device), enc.shape[1])
        if cache is not None:
            cache.rows = torch.arange(len(tokens), device=tokens.device)
            cache.cross_mask = mask
        return mask


def _causal_mask(x: Tensor, past: int) -> tuple[Tensor | None, bool]:
    """Mask of new positions over `past` and themselves, and whether the kernel's own will do."""
    new = x.shape[1]
    if new == 1:
        return None, False
    if past == 0:
        return None, True
    ones = torch.ones(new, past + new, dtype=torch.bool, device=x.device)
    return ones.tril(past), False
