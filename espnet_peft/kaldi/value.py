"""What the values of each kind of file must look like, and where their paths must lead."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator

from espnet_peft.kaldi.table import Table

# White space other than space and tab: a tokeniser may take it for part of a word.
ODD_SPACE = re.compile(r"[^\S \t]")
_ARK_OFFSET = re.compile(r"(.+):(\d+)(\[[\d:,]+\])?")
_NO_PIPE = "expected a file; pass --allow_pipes to run commands from wav.scp"


class PathCheck:
    """Checks that values lead to files; each ark file is looked up once."""

    def __init__(self, allow_pipes: bool = False, on_disk: bool = True) -> None:
        self.allow_pipes = allow_pipes
        self.on_disk = on_disk
        self._ark_sizes: dict[str, int] = {}

    def fault(self, value: str) -> str:
        """What is wrong with a path, `path.ark:offset` or pipe; "" for nothing."""
        if not value:
            return "no path, expected a file"
        if value.startswith("|") or value.endswith("|"):
            return "" if self.allow_pipes else f"shell pipe {value!r}, {_NO_PIPE}"
        if not self.on_disk:
            return ""
        match = _ARK_OFFSET.fullmatch(value)
        if match:
            return self._ark_fault(match[1], int(match[2]))
        try:
            size = os.stat(value).st_size
        except OSError as error:
            return f"{value!r}: {error.strerror}, expected a file; paths start at the recipe"
        if not os.path.isfile(value):
            return f"{value!r} is not a file, expected one"
        return "" if size else f"{value!r} has no bytes, expected a file with content"

    def _ark_fault(self, path: str, offset: int) -> str:
        if path not in self._ark_sizes:
            try:
                self._ark_sizes[path] = os.stat(path).st_size
            except OSError:
                self._ark_sizes[path] = -1
        size = self._ark_sizes[path]
        if size < 0:
            return f"{path!r}: no such file, expected an ark; paths start at the recipe"
        if offset >= size:
            return f"offset {offset} in {path!r} of {size} bytes, expected less; was it cut short?"
        return ""


def value_faults(
    table: Table, kind: str, paths: PathCheck, odd_space: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield (id, fault with path and line) for each value that is not of its kind.

    odd_space: accept white space other than space and tab in transcripts.
    """
    for key, value in table.values.items():
        fault = ""
        if kind in ("audio", "feats"):
            fault = paths.fault(value)
        elif kind == "text":
            fault = _text_fault(value, odd_space)
        elif kind in ("int", "float"):
            fault = _number_fault(value, kind)
        elif kind == "segment":
            fault = _segment_fault(value)
        elif kind == "ctm":
            fault = _ctm_fault(value)
        if fault:
            yield key, f"{table.path}:{table.lines[key]}: {key}: {fault}"


def _text_fault(value: str, odd_space: bool) -> str:
    if not value:
        return "empty transcript, expected words; run utils/fix_data_dir.sh to drop it"
    odd = None if odd_space else ODD_SPACE.search(value)
    if odd:
        return (
            f"white space U+{ord(odd[0]):04X} in the transcript, expected plain spaces; "
            "run utils/fix_data_dir.sh"
        )
    return ""


def _number(text: str) -> float:
    """The finite number in `text`, or NaN."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _number_fault(value: str, kind: str) -> str:
    wanted = "a whole number above 0" if kind == "int" else "a number above 0"
    if not _number(value) > 0 or (kind == "int" and not value.isdigit()):
        return f"{value!r}, expected {wanted}"
    return ""


def _segment_fault(value: str) -> str:
    fields = value.split(" ")
    if len(fields) not in (3, 4):
        return f'{len(fields) + 1} fields, expected "<utt_id> <rec_id> <start> <end>" in seconds'
    start, end = _number(fields[1]), _number(fields[2])
    if not start >= 0:
        return f"start {fields[1]!r}, expected seconds from 0 on"
    # An end of -1 is Kaldi's way to say "to the end of the recording".
    if not (end > start or end == -1):
        return f"end {fields[2]!r} is not after start {fields[1]!r}, expected start < end"
    return ""


def _ctm_fault(value: str) -> str:
    previous = 0.0
    for line in value.split("\n"):
        fields = line.split(" ")
        if len(fields) not in (4, 5):
            wanted = '"<utt_id> <channel> <start> <duration> <word>"'
            return f"{len(fields) + 1} fields in {line!r}, expected {wanted}"
        start, duration = _number(fields[1]), _number(fields[2])
        if not (start >= previous and duration >= 0):
            return f"times in {line!r}, expected a start from {previous} s on and a duration from 0"
        previous = start
    return ""
