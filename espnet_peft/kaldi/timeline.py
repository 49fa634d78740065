"""Language timelines: who speaks which language from when to when, as NIST RTTM lines.

A line is `LANGUAGE <utt_id> 1 <start> <duration> <NA> <NA> <language> <confidence|<NA>> <NA>`,
the fields of RTTM (NIST, The Rich Transcription 2009 Evaluation Plan, appendix A) with the
language in the place of the speaker's name. Times are seconds with five decimals, less than one
sample at 16 kHz.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from espnet_peft.kaldi.table import write_bytes

KIND, CHANNEL, NONE = "LANGUAGE", "1", "<NA>"
_WANTED = f'"{KIND} <utt_id> {CHANNEL} <start> <dur> {NONE} {NONE} <lang> <conf|{NONE}> {NONE}"'
_ROUNDING = 2e-5  # seconds by which the written ends of neighbours may overlap
_FAULTS_SHOWN = 10


@dataclass(frozen=True)
class Span:
    """One language from start to end (seconds); confidence in [0, 1], None where unknown."""

    start: float
    end: float
    language: str
    confidence: float | None = None

    @property
    def seconds(self) -> float:
        return self.end - self.start


def merge_neighbours(spans: Iterable[Span]) -> list[Span]:
    """Join spans of one language that follow each other, with any gap between them.

    The confidence of a joined span is the mean over its time, None where a part has none.
    """
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].language == span.language:
            merged[-1] = _joined(merged[-1], span)
        else:
            merged.append(span)
    return merged


def _joined(first: Span, second: Span) -> Span:
    confidence = None
    if first.confidence is not None and second.confidence is not None:
        parts = first.seconds * first.confidence + second.seconds * second.confidence
        confidence = parts / (first.seconds + second.seconds)
    return replace(first, end=second.end, confidence=confidence)


def timeline_lines(utt_id: str, spans: Sequence[Span]) -> list[str]:
    """The RTTM lines of one utterance, without line ends.

    Raises ValueError for spans out of order or without length, and for names with white space.
    """
    faults = span_faults(spans)
    names = [utt_id, *(span.language for span in spans)]
    faults += [
        f"name {name!r}, expected printable characters without spaces"
        for name in names
        if not name or not name.isprintable() or " " in name
    ]
    if faults:
        raise ValueError(f"timeline of {utt_id}: {'; '.join(faults[:_FAULTS_SHOWN])}")
    lines = []
    for span in spans:
        start, end = round(span.start, 5), round(span.end, 5)
        conf = NONE if span.confidence is None else f"{span.confidence:.4f}"
        lines.append(
            f"{KIND} {utt_id} {CHANNEL} {start:.5f} {end - start:.5f}"
            f" {NONE} {NONE} {span.language} {conf} {NONE}"
        )
    return lines


def span_faults(spans: Sequence[Span]) -> list[str]:
    """What is wrong with the times of one utterance's spans."""
    faults = []
    before = 0.0
    for span in spans:
        place = f"span {span.start:g} to {span.end:g} s"
        if not (math.isfinite(span.start) and math.isfinite(span.end) and span.start >= 0):
            faults.append(f"{place}, expected finite seconds from 0 on")
        elif span.end <= span.start:
            faults.append(f"{place} has no length, expected start < end")
        elif span.start < before - _ROUNDING:
            faults.append(f"{place} begins before {before:g} s, expected spans side by side")
        before = max(before, span.end)
    return faults


def write_timeline(path: str | os.PathLike, timelines: Mapping[str, Sequence[Span]]) -> None:
    """Write the timelines of utterances, ids in byte order, in one piece (ValueError as above)."""
    lines = [
        line for utt_id in sorted(timelines) for line in timeline_lines(utt_id, timelines[utt_id])
    ]
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode("utf-8"))


def read_timeline(path: str | os.PathLike) -> dict[str, list[Span]]:
    """Read utt_id -> spans in order of time; blank lines and `;;` comments are skipped.

    Raises FileNotFoundError, or ValueError with all faults: lines of another form, spans without
    length, spans of an utterance that overlap, no span at all.
    """
    with open(path, "rb") as stream:
        content = stream.read()
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start + 1} is not UTF-8, expected UTF-8") from None
    found: dict[str, list[Span]] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(";;"):
            continue
        try:
            utt_id, span = _parse(line)
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
            continue
        found.setdefault(utt_id, []).append(span)
    for utt_id, spans in found.items():
        spans.sort(key=lambda span: span.start)
        faults += [f"{path}: {utt_id}: {fault}" for fault in span_faults(spans)]
    if not found and not faults:
        faults.append(f"{path}: no line, expected {_WANTED}")
    if faults:
        more = len(faults) - _FAULTS_SHOWN
        shown = "; ".join(faults[:_FAULTS_SHOWN])
        raise ValueError(f"{shown}; and {more} more" if more > 0 else shown)
    return found


def _parse(line: str) -> tuple[str, Span]:
    """Read one line; ValueError says what is wrong with it."""
    fields = line.split()
    if len(fields) != 10 or fields[0] != KIND:
        first = f", the first {fields[0]!r}" if fields[0] != KIND else ""
        raise ValueError(f"{len(fields)} fields{first}, expected {_WANTED}")
    start, duration = _number(fields[3], "start"), _number(fields[4], "duration")
    confidence = None if fields[8] == NONE else _number(fields[8], "confidence")
    # The sum of two rounded numbers: rounding again makes it what was written.
    return fields[1], Span(start, round(start + duration, 5), fields[7], confidence)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{what} {text!r}, expected a number")
    return number
