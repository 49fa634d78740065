"""Greedy search over a batch, with a key/value cache that sheds finished rows."""

from __future__ import annotations

import torch

from espnet_peft.decode.hypothesis import Hypothesis, collect
from espnet_peft.decode.limits import length_limits, token_bias
from espnet_peft.decode.options import SearchOptions
from espnet_peft.decode.streams import Streams, rows_of
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
    mix=None,
    streams: Streams | None = None,
) -> list[Hypothesis]:
    """Take the most probable token at every step, until end-of-text or the length limit.

    enc: (B, T, D) encoder output; enc_lengths: (B,) frames; prompts: (B, P) token ids;
    durations: (B,) seconds, see `length_limits`; mix: adapters of the rows (`AdapterBank.mix`),
    inside whose `with` this runs and which it uses up. Returns B hypotheses, or with `streams`
    of K decoders B / K of them.
    """
    options = options or SearchOptions()
    eot = model.tokenizer.eot
    first_bias, bias = token_bias(model, options)
    count = 1 if streams is None else streams.count
    limits = length_limits(model, prompts.size(1), enc_lengths, options, durations)[::count]
    steps = int(limits.max()) if len(limits) else 0
    produced = prompts.new_full((len(limits), steps), eot)
    scores = torch.zeros(len(limits), device=enc.device)
    rows = torch.arange(len(limits), device=enc.device)
    alive = torch.ones_like(rows, dtype=torch.bool)
    cache = Cache(() if mix is None else (mix,))
    tokens = prompts
    for step in range(steps):
        logits = model.decoder(tokens, enc, enc_lengths, cache)[:, -1]
        logits = logits + (bias if step else first_bias)
        if streams is not None:
            logits = streams.mix(logits)
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
            cache.reorder(rows_of(keep, count))
            rows, token, alive = rows[keep], token[keep], alive[keep]
            streams = None if streams is None else streams.select(keep)
        tokens = token.repeat_interleave(count)[:, None]
        enc = enc_lengths = None  # the cache holds what the decoder needs of it
    ended = (produced != eot).sum(dim=1) < limits
    return collect(produced, scores, ended, eot)
