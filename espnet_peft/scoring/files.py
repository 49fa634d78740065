"""Transcripts and maps read from ``id text`` lines, and results written in one piece."""

import os
from pathlib import Path

_FAULTS_SHOWN = 10


def read_lines(path: str | os.PathLike[str], *, one_field: bool = False) -> dict[str, str]:
    """Read ``id rest of line`` lines in their order; the rest may be empty, as in a hypothesis.

    one_field: the rest is exactly one field, as in utt2spk.
    Raises ValueError, all faults in one message, for ids that recur, lines without an id, bytes
    that are not UTF-8, and a wrong number of fields; FileNotFoundError where there is no file.
    """
    table: dict[str, str] = {}
    first_line: dict[str, int] = {}
    faults: list[str] = []
    lines = Path(path).read_bytes().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for number, raw in enumerate(lines, start=1):
        place = f"{path}:{number}"
        try:
            fields = raw.decode("utf-8").replace("\t", " ").strip(" \r").split(" ", 1)
        except UnicodeDecodeError:
            faults.append(f"{place}: bytes that are not UTF-8, expected UTF-8")
            continue
        key, value = fields[0], fields[1].strip() if len(fields) > 1 else ""
        if not key:
            faults.append(f"{place}: an empty line, expected an id")
        elif key in table:
            faults.append(f"{place}: '{key}' again, first in line {first_line[key]}")
        elif one_field and len(value.split()) != 1:
            count = 1 + len(value.split())
            faults.append(f'{place}: {count} fields, expected 2 "<utt_id> <value>"')
        table.setdefault(key, value)
        first_line.setdefault(key, number)
    if faults:
        raise ValueError(shorten(faults, "; "))
    return table


def shorten(items: list[str], separator: str = " ") -> str:
    """Join the first few items and say how many more there are."""
    shown = separator.join(items[:_FAULTS_SHOWN])
    more = len(items) - _FAULTS_SHOWN
    return f"{shown}{separator}and {more} more" if more > 0 else shown


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 file under a temporary name and rename it; make its directory."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".tmp")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
