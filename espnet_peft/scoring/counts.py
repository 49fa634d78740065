"""Counts of correct, substituted, deleted and inserted tokens, and the rates made of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from espnet_peft.scoring.align import COR, DEL, INS, SUB, align_all

UNITS = ("word", "char")


def split_words(text: str) -> list[str]:
    """Split at any Unicode white space."""
    return text.split()


def split_chars(text: str) -> list[str]:
    """Split into code points; words are separated by one space, which counts as a character.

    A combining mark is a character of its own, as in jiwer and in ESPnet's character scores.
    """
    return list(" ".join(text.split()))


def split(text: str, unit: str) -> list[str]:
    """Split into words or characters (ValueError for another unit)."""
    if unit not in UNITS:
        raise ValueError(f"scoring unit '{unit}', expected one of {' '.join(UNITS)}")
    return split_words(text) if unit == "word" else split_chars(text)


@dataclass(frozen=True)
class Counts:
    """Edits over one or more utterances; ``wrong`` of ``utterances`` hold at least one."""

    cor: int = 0
    sub: int = 0
    dele: int = 0
    ins: int = 0
    utterances: int = 0
    wrong: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(self.astuple(), other.astuple(), strict=True)))

    def astuple(self) -> tuple[int, ...]:
        return (self.cor, self.sub, self.dele, self.ins, self.utterances, self.wrong)

    @property
    def ref(self) -> int:
        """Number of reference tokens."""
        return self.cor + self.sub + self.dele

    @property
    def hyp(self) -> int:
        """Number of hypothesis tokens."""
        return self.cor + self.sub + self.ins

    @property
    def errors(self) -> int:
        return self.sub + self.dele + self.ins

    @property
    def error_rate(self) -> float:
        """Errors per reference token; with no reference tokens the number of insertions.

        The latter is jiwer's convention, which stays finite.
        """
        return self.errors / self.ref if self.ref else float(self.ins)

    @property
    def ser(self) -> float:
        """Fraction of utterances with at least one error."""
        return self.wrong / self.utterances if self.utterances else 0.0

    @property
    def mer(self) -> float:
        """Match error rate: errors per aligned pair (Morris, Maier and Green 2004)."""
        return self.errors / (self.cor + self.errors) if self.errors else 0.0

    @property
    def wip(self) -> float:
        """Word information preserved: cor/ref * cor/hyp (Morris, Maier and Green 2004)."""
        if not self.ref and not self.hyp:
            return 1.0
        return self.cor / self.ref * (self.cor / self.hyp) if self.ref and self.hyp else 0.0

    @property
    def wil(self) -> float:
        """Word information lost: 1 - wip."""
        return 1.0 - self.wip

    def asdict(self) -> dict[str, int]:
        """Counts as they appear in score.json."""
        return {
            "ref": self.ref,
            "cor": self.cor,
            "sub": self.sub,
            "del": self.dele,
            "ins": self.ins,
        }


def count_paths(paths: Iterable[np.ndarray]) -> np.ndarray:
    """Count the operations of alignments: (number of pairs, 4) int64, order cor sub del ins."""
    rows = [np.bincount(path, minlength=INS + 1)[COR:] for path in paths]
    return np.array(rows, np.int64).reshape(len(rows), INS)


def total(table: np.ndarray) -> Counts:
    """Sum a table of ``count_paths`` into one Counts."""
    sums = table.sum(axis=0).tolist()
    wrong = int((table[:, SUB - COR :].sum(axis=1) > 0).sum())
    return Counts(
        sums[COR - 1], sums[SUB - 1], sums[DEL - 1], sums[INS - 1], len(table), wrong
    )


def edit_counts(
    refs: Sequence[str], hyps: Sequence[str], unit: str = "word", method: str = "sclite"
) -> Counts:
    """Count edits between texts, by sclite's alignment unless ``method`` is ``levenshtein``.

    Raises ValueError where the numbers of references and hypotheses differ.
    """
    if isinstance(refs, str) or isinstance(hyps, str):
        raise ValueError("scoring: a single string, expected a list of texts")
    tokens = [[split(text, unit) for text in side] for side in (refs, hyps)]
    return total(count_paths(align_all(tokens[0], tokens[1], method)))
