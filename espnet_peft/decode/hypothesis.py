"""What a search returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from espnet_peft.decode.inputs import name
from espnet_peft.kaldi.timeline import Span

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Hypothesis:
    """The best transcription of one utterance.

    tokens: ids without prompt and end-of-text. score: sum of log-probabilities (natural log) of
    the tokens and, if `ended`, of end-of-text. ended: False where the length limit cut it off.

    The recogniser fills in the rest. text; pieces: one readable string a token. language: of the
    prompt. shares: adapter -> weight, `base` for the bare base, sum 1. probabilities: language ->
    probability, where a router was asked. spans: of languages, for the strategies `frame` and
    `spans`.
    """

    tokens: list[int]
    score: float
    ended: bool = True
    text: str = ""
    pieces: list[str] = field(default_factory=list)
    language: str | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    spans: Sequence[Span] = ()


def collect(tokens: Tensor, scores: Tensor, ended: Tensor, eot: int) -> list[Hypothesis]:
    """Hypotheses of tokens (B, L), cut at the first eot that fills them up, with scores (B,).

    ended: (B,) by end-of-text, not by the length limit.
    """
    lengths = (tokens != eot).sum(dim=1)
    columns = (tokens.tolist(), lengths.tolist(), scores.tolist(), ended.tolist())
    return [
        Hypothesis(row[:length], score, end)
        for row, length, score, end in zip(*columns, strict=True)
    ]


def check_scores(results: Sequence[Hypothesis], names: Sequence[str], place: str) -> None:
    """Raise ValueError that names the results in `place` whose score is no number."""
    broken = [
        one for one, result in zip(names, results, strict=True) if not math.isfinite(result.score)
    ]
    if broken:
        raise ValueError(
            f"{place}: {name(broken)} got a score that is no number;"
            " the model's weights are broken or --dtype is too narrow"
        )
