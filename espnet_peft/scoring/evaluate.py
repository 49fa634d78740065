"""Score a set of utterances and write its reports."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_peft.scoring import trn
from espnet_peft.scoring.align import Edit, align_all, pair_up
from espnet_peft.scoring.bootstrap import confidence_interval
from espnet_peft.scoring.counts import Counts, count_paths, split, total
from espnet_peft.scoring.files import shorten, write_whole
from espnet_peft.scoring.normalise import normalise
from espnet_peft.scoring.report import Aligned, kaldi_line, report


@dataclass(frozen=True)
class Utterance:
    """A reference and a hypothesis, both as they are scored."""

    id: str
    speaker: str
    language: str | None
    ref: str
    hyp: str


class Scoring:
    """Alignments of a set of utterances in one unit, ``word`` or ``char``.

    ``table`` and ``levenshtein``: (number of utterances, 4) counts, cor sub del ins, by sclite's
    and by jiwer's alignment.
    """

    def __init__(self, utterances: Sequence[Utterance], unit: str) -> None:
        self.refs = [split(utterance.ref, unit) for utterance in utterances]
        self.hyps = [split(utterance.hyp, unit) for utterance in utterances]
        self.paths = align_all(self.refs, self.hyps, "sclite")
        self.table = count_paths(self.paths)
        self.levenshtein = count_paths(align_all(self.refs, self.hyps, "levenshtein"))


def pair(
    refs: dict[str, str],
    hyps: dict[str, str],
    speakers: dict[str, str] | None = None,
    languages: dict[str, str] | None = None,
    kind: str = "basic",
    allow_missing: bool = False,
) -> list[Utterance]:
    """Bring references and hypotheses together, normalised, in the order of the references.

    Without ``speakers`` each utterance is its own speaker. With ``allow_missing`` a reference
    without a hypothesis is scored against nothing, that is, as deletions.
    Raises ValueError, all faults in one message, naming the ids that one side lacks.
    """
    faults = []
    if not refs:
        faults.append("no references, expected at least one utterance")
    lacking = [] if allow_missing else [key for key in refs if key not in hyps]
    tables = (
        ("hypothesis", lacking, "; decode them or give --allow_missing"),
        ("reference", [key for key in hyps if key not in refs], ""),
        ("speaker", [key for key in refs if speakers is not None and key not in speakers], ""),
        ("language", [key for key in refs if languages is not None and key not in languages], ""),
    )
    for what, missing, remedy in tables:
        if missing:
            faults.append(f"{len(missing)} utterances without a {what}: {shorten(missing)}{remedy}")
    if faults:
        raise ValueError("; ".join(faults))
    return [
        Utterance(
            key,
            key if speakers is None else speakers[key],
            None if languages is None else languages[key],
            normalise(ref, kind),
            normalise(hyps.get(key, ""), kind),
        )
        for key, ref in refs.items()
    ]


def score(
    utterances: Sequence[Utterance],
    words: Scoring,
    chars: Scoring,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the rates (fractions) and counts of all utterances, per language and per speaker."""
    result = _rates(words, chars, np.arange(len(utterances)), bootstrap, seed)
    languages = _groups([utterance.language for utterance in utterances])
    speakers = _groups([utterance.speaker for utterance in utterances])
    result["per_language"] = {
        name: _rates(words, chars, rows, bootstrap, seed) for name, rows in languages.items()
    }
    result["per_speaker"] = {
        name: _rates(words, chars, rows, 0, seed) for name, rows in speakers.items()
    }
    return result


def _groups(names: Sequence[str | None]) -> dict[str, np.ndarray]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            rows.setdefault(name, []).append(row)
    return {name: np.array(rows[name]) for name in sorted(rows)}


def _rates(
    words: Scoring, chars: Scoring, rows: np.ndarray, bootstrap: int, seed: int
) -> dict[str, Any]:
    word, char = total(words.table[rows]), total(chars.table[rows])
    word_lev, char_lev = total(words.levenshtein[rows]), total(chars.levenshtein[rows])
    rates: dict[str, Any] = {
        "utterances": len(rows),
        "wer": word.error_rate,
        "cer": char.error_rate,
        "ser": word.ser,
        "mer": word_lev.mer,
        "wil": word_lev.wil,
        "wip": word_lev.wip,
        "words": word.asdict(),
        "chars": char.asdict(),
        "levenshtein": {
            "wer": word_lev.error_rate,
            "cer": char_lev.error_rate,
            "words": word_lev.asdict(),
            "chars": char_lev.asdict(),
        },
    }
    if bootstrap:
        rates["wer_ci"] = _interval(words.table[rows], bootstrap, seed)
        rates["cer_ci"] = _interval(chars.table[rows], bootstrap, seed)
    return rates


def _interval(table: np.ndarray, bootstrap: int, seed: int) -> list[float] | None:
    interval = confidence_interval(
        table[:, 1:].sum(axis=1), table[:, :3].sum(axis=1), bootstrap, seed=seed
    )
    return None if interval is None else list(interval)


def write_reports(out_dir: Path, utterances: Sequence[Utterance], scoring: Scoring) -> None:
    """Write ref.trn, hyp.trn and result.txt of one unit."""
    rows = list(zip(utterances, scoring.refs, scoring.hyps, strict=True))
    for name, side in (("ref.trn", 1), ("hyp.trn", 2)):
        write_whole(
            out_dir / name, trn.trn([(row[side], row[0].speaker, row[0].id) for row in rows])
        )
    speakers: dict[str, list[Aligned]] = {}
    for k, (utterance, ref, hyp) in enumerate(rows):
        edits = [_escape(edit) for edit in pair_up(ref, hyp, scoring.paths[k])]
        name = trn.escape_speaker(utterance.speaker)
        speakers.setdefault(name, []).append(
            Aligned(
                trn.utterance_id(utterance.speaker, utterance.id),
                edits,
                total(scoring.table[k : k + 1]),
            )
        )
    write_whole(out_dir / "result.txt", report(speakers))


@functools.lru_cache(maxsize=1 << 16)
def _escape(edit: Edit) -> Edit:
    ref, hyp = (None if t is None else trn.escape_token(t) for t in (edit.ref, edit.hyp))
    return Edit(edit.op, ref, hyp)


def kaldi_lines(result: dict[str, Any]) -> list[str]:
    """Return Kaldi's lines of WER, CER and SER for the set, and of WER for its languages."""
    wrong = round(result["ser"] * result["utterances"])
    lines = [
        kaldi_line(_counts(result["words"])),
        kaldi_line(_counts(result["chars"]), "CER"),
        f"%SER {100 * result['ser']:.2f} [ {wrong} / {result['utterances']} ]",
    ]
    for group in ("per_language", "per_speaker"):
        for name, rates in result[group].items():
            kind = group.removeprefix("per_")
            lines.append(f"{kaldi_line(_counts(rates['words']))} {kind} {name}")
            lines.append(f"{kaldi_line(_counts(rates['chars']), 'CER')} {kind} {name}")
    return lines


def _counts(words: dict[str, int]) -> Counts:
    return Counts(words["cor"], words["sub"], words["del"], words["ins"])


def write_score(out_dir: Path, result: dict[str, Any]) -> None:
    """Write score.json, last of all files, and ``wer`` with Kaldi's lines."""
    write_whole(out_dir / "wer", "".join(f"{line}\n" for line in kaldi_lines(result)))
    text = json.dumps(result, ensure_ascii=False, indent=2, allow_nan=False)
    write_whole(out_dir / "score.json", text + "\n")
