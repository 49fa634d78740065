"""Greedy search over a batch, with a key/value cache that sheds finished rows."""

from __future__ import annotations

import torch

from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.limits import length_limits, token_bias
from espnet_peft.decode.options import SearchOptions
from espnet_peft.models.cache import Cache

# Shedding rows copies the cache once, which costs about as much as a step over the kept rows:
# it pays when this share of the rows has finished.
SHED_SHARE = 0.25


@torch.inference_mode()
def greedy(
    model,
    enc: torch.Tensor,
    enc_lengths: torch.Tensor,
    prompts: torch.Tensor,
    options: SearchOptions | None = None,
    durations: torch.Tensor | None = None,
) -> list[Hypothesis]:
    """Take the most probable token at every step, until end-of-text or the length limit.

    enc: (B, T, D) encoder output; enc_lengths: (B,) frames; prompts: (B, P) token ids;
    durations: (B,) seconds, see `length_limits`. Returns B hypotheses.
    """
    options = options or SearchOptions()
    eot = model.tokenizer.eot
    first_bias, bias = token_bias(model, options)
    limits = length_limits(model, prompts.size(1), enc_lengths, options, durations)
    steps = int(limits.max()) if len(limits) else 0
    produced = prompts.new_full((len(prompts), steps), eot)
    scores = torch.zeros(len(prompts), device=enc.device)
    rows = torch.arange(len(prompts), device=enc.device)
    alive = torch.ones_like(rows, dtype=torch.bool)
    cache = Cache()
    tokens = prompts
    for step in range(steps):
        logits = model.decoder(tokens, enc, enc_lengths, cache)[:, -1]
        logits = logits + (bias if step else first_bias)
        best, token = logits.max(dim=-1)
        gain = best - logits.logsumexp(dim=-1)
        produced[rows, step] = torch.where(alive, token, eot)
        scores[rows] += torch.where(alive, gain, 0.0)
        alive = alive & (token != eot) & (limits[rows] > step + 1)
        n_alive = int(alive.sum())
        if n_alive == 0:
            break
        if n_alive <= (1 - SHED_SHARE) * len(alive):
            keep = alive.nonzero().squeeze(1)
            cache.reorder(keep)
            rows, token, alive = rows[keep], token[keep], alive[keep]
        tokens = token[:, None]
        enc = enc_lengths = None  # the cache holds what the decoder needs of it
    return collect(produced, scores, limits, eot)


def collect(
    produced: torch.Tensor, scores: torch.Tensor, limits: torch.Tensor, eot: int
) -> list[Hypothesis]:
    """Cut rows (B, L), filled up by eot, at the first eot."""
    lengths = (produced != eot).sum(dim=1)
    return [
        Hypothesis(tokens[:length], score, length < limit)
        for tokens, length, score, limit in zip(
            produced.tolist(), lengths.tolist(), scores.tolist(), limits.tolist(), strict=True
        )
    ]
