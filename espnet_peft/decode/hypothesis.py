"""What a search returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from espnet_peft.kaldi.timeline import Span


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
