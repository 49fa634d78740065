"""Rates over lists of texts: wer and cer as sclite's, mer, wil and wip as jiwer's.

WER, CER and SER come from sclite's alignment, MER, WIL and WIP from the Levenshtein alignment
(both in align.py), because those are the programs that define these numbers in practice.
``wer(..., method="levenshtein")`` is jiwer's WER. All rates are fractions, not percentages.
"""

from collections.abc import Sequence

from espnet_peft.scoring.counts import edit_counts


def wer(refs: Sequence[str], hyps: Sequence[str], method: str = "sclite") -> float:
    """Word error rate over all texts together."""
    return edit_counts(refs, hyps, "word", method).error_rate


def cer(refs: Sequence[str], hyps: Sequence[str], method: str = "sclite") -> float:
    """Character error rate; the space between words is a character."""
    return edit_counts(refs, hyps, "char", method).error_rate


def ser(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """Fraction of utterances with any word error."""
    return edit_counts(refs, hyps).ser


def mer(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """Match error rate."""
    return edit_counts(refs, hyps, method="levenshtein").mer


def wil(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """Word information lost."""
    return edit_counts(refs, hyps, method="levenshtein").wil


def wip(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """Word information preserved."""
    return edit_counts(refs, hyps, method="levenshtein").wip
