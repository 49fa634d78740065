"""Reports in NIST sclite's layout, as ``sclite -s -e utf-8 -i rm -o all stdout`` prints them.

Texts in ASCII come out byte for byte as sclite's. In other scripts the columns of the alignments
are as wide as a terminal shows them, where sclite counts bytes and its columns drift apart.
Layout: SCTK 2.4, https://github.com/usnistgov/SCTK.
"""

import functools
import statistics
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from espnet_peft.scoring.align import COR, DEL, INS, SUB, Edit
from espnet_peft.scoring.counts import Counts

_PAGE_WIDTH = 80
_LINE_WIDTH = 1000
_CACHE = 1 << 16  # columns remembered: most of them, and nearly all of characters, recur
_LETTERS = {COR: "", SUB: "S", DEL: "D", INS: "I"}
_FOOTNOTE = """
* No Reference words for this/these speaker(s).  Word counts supplied
  rather than percents.
# No Reference words for this/these speaker(s).  NCE not computable.
+ Speaker(s) with no reference data is ignored
"""


class Aligned(NamedTuple):
    """One utterance of a report; id with its parentheses, tokens escaped."""

    id: str
    edits: list[Edit]
    counts: Counts


def report(speakers: dict[str, list[Aligned]], title: str = "hyp.trn") -> str:
    """Return both summary tables and every alignment, speakers in the order given."""
    totals = {
        name: sum((utterance.counts for utterance in utterances), Counts())
        for name, utterances in speakers.items()
    }
    return "".join(
        [
            summary(totals, title),
            summary(totals, title, raw=True),
            *alignments(speakers, title),
        ]
    )


def kaldi_line(counts: Counts, name: str = "WER") -> str:
    """Return e.g. ``%WER 13.45 [ 2708 / 20138, 358 ins, 330 del, 2020 sub ]``."""
    return (
        f"%{name} {100 * counts.error_rate:.2f} [ {counts.errors} / {counts.ref}, "
        f"{counts.ins} ins, {counts.dele} del, {counts.sub} sub ]"
    )


def summary(speakers: dict[str, Counts], title: str, raw: bool = False) -> str:
    """Return the table of speakers in percent of the reference, or in counts where ``raw``."""
    everyone = sum(speakers.values(), Counts())
    values = {name: _values(counts, raw) for name, counts in speakers.items()}
    silent = not raw and any(not counts.ref for counts in speakers.values())
    spoken = [values[name] for name, counts in speakers.items() if raw or counts.ref]
    rows = [
        ["l", f" {name} ", *_speaker_cells(counts, values[name], raw)]
        for name, counts in speakers.items()
    ]
    digits = 0 if raw else 1
    sums = _values(everyone, raw, silent_as_zero=True)
    cells = [f"{_round(value, digits):5.{digits}f} " for value in sums]
    rows.append(["l", " Sum" if raw else " Sum/Avg", *_sizes(everyone), *cells])
    for name, function in ((" Mean ", _mean), (" S.D. ", _deviation), ("Median", _median)):
        sizes = [function([c.utterances for c in speakers.values()])]
        sizes.append(function([c.ref for c in speakers.values()]))
        rates = [function([row[k] for row in spoken]) for k in range(5)]
        wrong = function([row[5] for row in values.values()])
        cells = [f"{_round(v, 1):5.1f} " for v in sizes]
        cells += [f"{_round(v, 1):5.1f}{'+' if silent else ' '}" for v in rates]
        rows.append(["c", name, *cells, f"{_round(wrong, 1):5.1f} "])
    heading = _center("SYSTEM SUMMARY PERCENTAGES by SPEAKER", _PAGE_WIDTH)
    table = "\n".join(_table(rows, title, len(speakers)))
    return f"\n\n\n{heading}\n\n{table}\n" + _FOOTNOTE * silent


def _values(counts: Counts, raw: bool, silent_as_zero: bool = False) -> list[float]:
    """Corr, Sub, Del, Ins, Err, S.Err; counts instead of percents where there is no reference."""
    words = [counts.cor, counts.sub, counts.dele, counts.ins, counts.errors]
    if raw:
        return [float(value) for value in (*words, counts.wrong)]
    if counts.ref:
        rates = [value / counts.ref * 100.0 for value in words]
    else:
        rates = [0.0] * 5 if silent_as_zero else [float(value) for value in words]
    return [*rates, counts.wrong / counts.utterances * 100.0 if counts.utterances else 0.0]


def _sizes(counts: Counts) -> list[str]:
    return [f"{counts.utterances:5d}", f"{counts.ref:5d}"]


def _speaker_cells(counts: Counts, values: list[float], raw: bool) -> list[str]:
    digits = 0 if raw else 1
    cells = [f"{_round(value, digits):5.{digits}f} " for value in values]
    if not raw and not counts.ref:
        cells[:5] = [f"{_round(value, 0):5.0f}*" for value in values[:5]]
    return _sizes(counts) + cells


def _round(value: float, digits: int) -> float:
    """Round half away from zero, as sclite does and Python's round does not."""
    scale = 10**digits
    return int(value * scale + (0.5 if value > 0 else -0.5)) / scale


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def _center(text: str, width: int) -> str:
    before = max(width - len(text), 0) // 2
    return (" " * before + text).ljust(width)


def _table(rows: list[list[str]], title: str, speakers: int) -> Iterator[str]:
    """Draw the box: title, heading, a line before each speaker, double lines around the sum."""
    head = ["l", " SPKR", " # Snt", "# Wrd", "Corr", " Sub", " Del", " Ins", " Err", "S.Err"]
    cells = [head, *rows]
    widths = [max(display_width(row[k]) for row in cells) for k in range(1, len(head))]
    groups = [widths[0], sum(widths[1:3]) + 1, sum(widths[3:]) + len(widths) - 4]
    inner = sum(groups) + 2
    pad = " " * max((_PAGE_WIDTH - inner - 2) // 2, 0)
    rule = f"{pad}|{'+'.join('-' * width for width in groups)}|"
    double = f"{pad}|{'=' * inner}|"
    yield f"{pad},{'-' * inner}."
    yield f"{pad}|{_center(title, inner)}|"
    yield f"{pad}|{'-' * inner}|"
    for k, (side, *row) in enumerate(cells):
        if 0 < k <= speakers:
            yield rule
        elif k in (speakers + 1, speakers + 2):
            yield double
        first = _pad(row[0], widths[0]) if side == "l" else _center(row[0], widths[0])
        rest = [_center(cell, width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield f"{pad}|{first}|{' '.join(rest[:2])}|{' '.join(rest[2:])}|"
    yield f"{pad}`{'-' * inner}'"


@functools.lru_cache(maxsize=_CACHE)
def display_width(text: str) -> int:
    """Count terminal columns: none for non-spacing marks and format characters, two for wide.

    A mark alone (a character score has them) is drawn on a placeholder, one column wide.
    """
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    bases = sum(unicodedata.category(char) not in ("Mn", "Me", "Cf") for char in text)
    return max(wide + bases, 1)


def _pad(text: str, width: int, measure: Callable[[str], int] = display_width) -> str:
    return text + " " * (width - measure(text))


def alignments(
    speakers: dict[str, list[Aligned]],
    title: str,
    measure: Callable[[str], int] = display_width,
) -> Iterator[str]:
    """Return the alignment of every utterance, speaker by speaker."""
    yield f"\n\n\t\tDUMP OF SYSTEM ALIGNMENT STRUCTURE\n\nSystem name:   {title}\n\nSpeakers: \n"
    for k, name in enumerate(speakers):
        yield f"   {k:2d}:  {name}\n"
    yield "\n"
    for k, (name, utterances) in enumerate(speakers.items()):
        yield f"Speaker sentences{k:4d}:  {name}   #utts: {len(utterances)}\n"
        for utterance in utterances:
            counts = utterance.counts
            yield (
                f"id: {utterance.id}\nScores: (#C #S #D #I) "
                f"{counts.cor} {counts.sub} {counts.dele} {counts.ins}\n"
                "Attributes: Case_sensitve \n"  # sclite's spelling
            )
            yield from _lines(utterance.edits, measure)
            yield "\n"
    yield "\n"


def _lines(edits: list[Edit], measure: Callable[[str], int]) -> Iterator[str]:
    """Yield the REF, HYP and Eval lines, cut where they would exceed the line width."""
    columns = [_column(edit, measure) for edit in edits]
    start = 0
    while start < len(columns):
        used, end = 9 if start else 6, start
        while used < _LINE_WIDTH and end < len(columns):
            used += measure(columns[end][0])
            end += 1
        if end < len(columns):
            end = max(end - 1, start + 1)
        lead = ">> " if start else ""
        if start:
            yield "\n"
        for line, label in enumerate(("REF:  ", "HYP:  ", "Eval: ")):
            cells = "".join(column[line] for column in columns[start:end])
            yield f"{lead}{label}{cells}\n"
        start = end


@functools.lru_cache(maxsize=_CACHE)
def _column(edit: Edit, measure: Callable[[str], int]) -> tuple[str, str, str]:
    """Return what stands in the three lines for an edit, padded, with the space behind it."""
    ref = edit.ref if edit.ref is not None else "*" * measure(edit.hyp or "")
    hyp = edit.hyp if edit.hyp is not None else "*" * measure(ref)
    width = max(measure(ref), measure(hyp))
    cells: Iterable[str] = (_pad(cell, width, measure) for cell in (ref, hyp, _LETTERS[edit.op]))
    first, second, third = (cell + " " for cell in cells)
    return first, second, third
