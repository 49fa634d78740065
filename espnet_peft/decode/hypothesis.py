"""What a search returns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Hypothesis:
    """The best transcription of one utterance.

    tokens: ids without prompt and end-of-text. score: sum of log-probabilities (natural log) of
    the tokens and, if `ended`, of end-of-text. ended: False where the length limit cut it off.
    text and pieces (one readable string a token) are filled in by the recogniser.
    """

    tokens: list[int]
    score: float
    ended: bool = True
    text: str = ""
    pieces: list[str] = field(default_factory=list)
