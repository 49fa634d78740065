"""Scoring of transcripts: normalisation, alignment, error rates and reports. Needs no torch."""

from espnet_peft.scoring.align import align
from espnet_peft.scoring.bootstrap import confidence_interval
from espnet_peft.scoring.counts import Counts, edit_counts
from espnet_peft.scoring.metrics import cer, mer, ser, wer, wil, wip
from espnet_peft.scoring.normalise import normalise

__all__ = [
    "Counts",
    "align",
    "cer",
    "confidence_interval",
    "edit_counts",
    "mer",
    "normalise",
    "ser",
    "wer",
    "wil",
    "wip",
]
