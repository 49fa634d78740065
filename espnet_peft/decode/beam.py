"""Beam search over a batch of utterances, with beams, scores and results held in tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from espnet_peft.decode.hypothesis import Hypothesis, collect
from espnet_peft.decode.limits import length_limits, token_bias
from espnet_peft.decode.options import SearchOptions
from espnet_peft.decode.streams import Streams, rows_of
from espnet_peft.models.cache import Cache


@dataclass
class Best:
    """The best complete hypothesis of each utterance so far.

    rank: (B,) score / length ** length_penalty; score: (B,); tokens: (B, L) filled up by eot;
    ended: (B,) by eot, not by the length limit; count: (B,) hypotheses that ended so far.
    """

    rank: torch.Tensor
    score: torch.Tensor
    tokens: torch.Tensor
    ended: torch.Tensor
    count: torch.Tensor

    def offer(self, rows, better, rank, score, tokens, ended: bool) -> None:
        """Take the hypotheses (R,) of utterances `rows` (R,) where `better` (R,) is true."""
        better = better & (rank > self.rank[rows])
        self.rank[rows] = torch.where(better, rank, self.rank[rows])
        self.score[rows] = torch.where(better, score, self.score[rows])
        self.tokens[rows] = torch.where(better[:, None], tokens, self.tokens[rows])
        self.ended[rows] = torch.where(better, ended, self.ended[rows])


@torch.inference_mode()
def beam(
    model,
    enc: torch.Tensor,
    enc_lengths: torch.Tensor,
    prompts: torch.Tensor,
    options: SearchOptions | None = None,
    durations: torch.Tensor | None = None,
    mix=None,
    streams: Streams | None = None,
) -> list[Hypothesis]:
    """Keep the `beam_size` most probable prefixes of each utterance until as many have ended.

    Arguments as in `greedy`. An utterance is over when `beam_size` hypotheses have ended, at its
    length limit (the best unfinished prefix then competes too), or when no live prefix can
    overtake the best ended hypothesis any more, which changes no result. The rules are those of
    https://github.com/openai/whisper (decoding.py), the ranking that of HF transformers.
    """
    options = options or SearchOptions()
    width, alpha = options.beam_size, options.length_penalty
    eot = model.tokenizer.eot
    first_bias, bias = token_bias(model, options)
    count = 1 if streams is None else streams.count
    limits = length_limits(model, prompts.size(1), enc_lengths, options, durations)[::count]
    steps = int(limits.max()) if len(limits) else 0
    best = empty_best(len(limits), steps, eot, enc.device)
    rows = torch.arange(len(limits), device=enc.device)
    live_scores = torch.zeros(len(limits), 1, device=enc.device)
    live_tokens = prompts.new_full((len(limits), 1, steps), eot)
    cache = Cache(() if mix is None else (mix,))
    tokens = prompts
    for step in range(steps):
        logits = model.decoder(tokens, enc, enc_lengths, cache)[:, -1]
        logits = logits + (bias if step else first_bias)
        gains = logits.log_softmax(dim=-1) if streams is None else streams.mix(logits)
        scores, source, token = extend(live_scores, gains, 2 * width)
        weight = (step + 1) ** alpha

        n_going = (token != eot).cumsum(dim=1)
        ending = (token == eot) & (n_going < width) & (scores > -torch.inf)
        place = ending.int().argmax(dim=1, keepdim=True)  # the first is the best
        score = scores.gather(1, place).squeeze(1)
        prefix = take(live_tokens, source.gather(1, place)).squeeze(1)
        best.offer(rows, ending.any(dim=1), score / weight, score, prefix, ended=True)
        best.count[rows] += ending.sum(dim=1)

        live_scores, source, token = keep_going(scores, source, token, eot, width)
        live_tokens = take(live_tokens, source)
        live_tokens[:, :, step] = token
        top = live_scores[:, 0]
        full = best.count[rows] >= width
        at_limit = limits <= step + 1
        best.offer(rows, at_limit & ~full, top / weight, top, live_tokens[:, 0], ended=False)

        hopeless = best.rank[rows] >= top / limits**alpha
        keep = (~(full | at_limit | hopeless)).nonzero().squeeze(1)
        if len(keep) == 0:
            break
        index = (keep[:, None] * (len(gains) // len(rows)) + source[keep]).flatten()
        cache.reorder(rows_of(index, count))
        enc = enc_lengths = None  # the cache holds what the decoder needs of it
        rows, limits = rows[keep], limits[keep]
        live_scores, live_tokens, tokens = live_scores[keep], live_tokens[keep], token[keep]
        tokens = tokens.flatten().repeat_interleave(count)[:, None]
        streams = None if streams is None else streams.select(keep)
    return collect(best.tokens, best.score, best.ended, eot)


def empty_best(n_rows: int, steps: int, eot: int, device) -> Best:
    """No hypothesis yet for n_rows utterances of at most `steps` tokens."""
    return Best(
        rank=torch.full((n_rows,), -torch.inf, device=device),
        score=torch.full((n_rows,), -torch.inf, device=device),
        tokens=torch.full((n_rows, steps), eot, device=device),
        ended=torch.zeros(n_rows, dtype=torch.bool, device=device),
        count=torch.zeros(n_rows, dtype=torch.long, device=device),
    )


def extend(
    live_scores: torch.Tensor, gains: torch.Tensor, n_best: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The n_best extensions of the live prefixes of each utterance, best first.

    live_scores: (R, K); gains: (R*K, V) log-probabilities. Returns scores, index of the prefix
    and token, each (R, n_best); where there are fewer extensions the rest scores -inf.
    """
    n_rows, width = live_scores.shape
    n_vocab = gains.size(-1)
    scores = (live_scores[:, :, None] + gains.view(n_rows, width, n_vocab)).flatten(1)
    missing = n_best - scores.size(1)
    if missing > 0:
        scores = torch.nn.functional.pad(scores, (0, missing), value=-torch.inf)
    scores, flat = scores.topk(n_best, dim=1)
    flat = flat.clamp(max=width * n_vocab - 1)
    return scores, flat // n_vocab, flat % n_vocab


def keep_going(
    scores: torch.Tensor, source: torch.Tensor, token: torch.Tensor, eot: int, width: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first `width` extensions (R, N) -> (R, width) that do not end.

    At most one extension of each prefix ends, so 2 * width candidates hold enough; candidates
    that ended fill up with score -inf only where the vocabulary is tiny.
    """
    place = torch.arange(scores.size(1), device=scores.device)
    order = torch.where(token == eot, place + len(place), place)
    chosen = order.topk(width, dim=1, largest=False, sorted=True).indices
    scores = scores.masked_fill(token == eot, -torch.inf).gather(1, chosen)
    return scores, source.gather(1, chosen), token.gather(1, chosen)


def take(tokens: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Rows of tokens (R, K, L) by index source (R, N) -> (R, N, L)."""
    return tokens.gather(1, source[:, :, None].expand(-1, -1, tokens.size(2)))
