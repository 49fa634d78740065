"""Kaldi tables: text files of `<id> <value>` lines in byte order."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SORT_REMEDY = "sort with `LC_ALL=C sort` or run utils/fix_data_dir.sh"
_WANTED = {
    "one": '"<id> <value>"',
    "rest": '"<id> <rest of the line>"',
    "many": '"<id> <value>..."',
    "lines": '"<id> <value>...", one or more of each id',
}


@dataclass
class Table:
    """What one file holds: usable rows, the line of each id (usable or not), all faults found."""

    path: str
    values: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def read_table(path: str | os.PathLike, columns: str = "rest") -> dict[str, str]:
    """Read a table whose lines are sorted by id in byte order.

    columns: "one" value per line, the "rest" of the line (which may be empty, as a recogniser's
    output may be), "many" values, or many values on each of several "lines" of one id, which are
    joined by line breaks. Raises FileNotFoundError, or ValueError for the first fault (duplicate
    or unsorted ids, an empty file, bad UTF-8, a wrong number of fields).
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: no such file, expected a table of {_WANTED[columns]}")
    table = scan_table(path, columns)
    if table.faults:
        more = len(table.faults) - 1
        raise ValueError(table.faults[0] + (f" (and {more} more faults)" if more else ""))
    return table.values


def write_table(
    path: str | os.PathLike, mapping: Mapping[str, object], columns: str = "rest"
) -> None:
    """Write a table in byte order, by way of `<path>.tmp`, so that no reader sees half of it.

    Raises ValueError for an id with white space, and for a value with a line break unless
    `columns` is "lines".
    """
    write_bytes(path, table_bytes(path, mapping, columns))


def table_bytes(
    path: str | os.PathLike, mapping: Mapping[str, object], columns: str = "rest"
) -> bytes:
    """A table's content in byte order; `path` is for the message of a ValueError."""
    rows = []
    # Code points and UTF-8 bytes sort alike, so this is the order of LC_ALL=C.
    for key in sorted(mapping):
        value = str(mapping[key]).strip(" \t")
        if not key or not key.isprintable() or " " in key:
            raise ValueError(f"{path}: id {key!r}, expected printable characters without spaces")
        if columns == "lines":
            rows += [f"{key} {line}\n" for line in value.split("\n")]
            continue
        if "\n" in value or "\r" in value:
            raise ValueError(f"{path}: the value of {key!r} has a line break, expected one line")
        rows.append(f"{key} {value}\n" if value else f"{key}\n")
    return "".join(rows).encode("utf-8")


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Replace a file by way of `<path>.tmp`; a failure (a full disk) leaves the old file."""
    temporary = f"{os.fspath(path)}.tmp"
    try:
        with written_to(path), open(temporary, "wb") as stream:
            stream.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def written_to(path: str | os.PathLike) -> Iterator[None]:
    """Name the file in an OSError of writing: a full disk's has no name of its own."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def scan_table(path: str | os.PathLike, columns: str = "rest") -> Table:
    """Read what can be read of a table and collect all faults, in linear time.

    Rows with a fault are left out of `values`, except that carriage returns are stripped and the
    first of several equal ids is kept. Faults of the whole file (order, carriage returns) are
    reported once, at their first line, with a count. Raises OSError if the file cannot be read.
    """
    if columns not in _WANTED:
        raise ValueError(f"columns={columns!r}, expected one of {', '.join(_WANTED)}")
    table = Table(os.fspath(path))
    with open(path, "rb") as stream:
        content = stream.read()
    if not content.strip():
        table.faults.append(f"{path}: empty file, expected lines of {_WANTED[columns]}")
        return table
    if content.startswith(b"\xef\xbb\xbf"):
        table.faults.append(f"{path}:1: byte order mark, expected plain UTF-8; remove the mark")
        content = content[3:]
    rows = content.split(b"\n")
    if rows[-1]:
        table.faults.append(
            f"{path}:{len(rows)}: no line break at the end, expected one; was the file cut short?"
        )
    else:
        rows.pop()
    _scan_rows(table, rows, columns)
    return table


def _scan_rows(table: Table, rows: list[bytes], columns: str) -> None:
    """Fill `table` from raw lines."""
    returns: list[int] = []
    unsorted: list[tuple[int, str, str]] = []
    previous = ""
    values: dict[str, list[str]] = {}
    for number, raw in enumerate(rows, 1):
        if b"\r" in raw:
            returns.append(number)
            raw = raw.replace(b"\r", b"")
        key, value, fault = _parse(raw, columns)
        if key in table.lines and not (columns == "lines" and key == previous):
            fault = f"id {key!r} again (first on line {table.lines[key]}), expected it once"
        if key:
            # Also without a usable value, so that the id is not reported as missing on top.
            table.lines.setdefault(key, number)
        if fault:
            table.faults.append(f"{table.path}:{number}: {fault}")
            continue
        if key < previous:
            unsorted.append((number, key, previous))
        previous = key
        values.setdefault(key, []).append(value)
    table.values = {key: "\n".join(lines) for key, lines in values.items()}
    if unsorted:
        number, key, before = unsorted[0]
        table.faults.append(
            f"{table.path}:{number}: {key!r} after {before!r}{_others(len(unsorted))}, "
            f"expected byte order; {SORT_REMEDY}"
        )
    if returns:
        table.faults.append(
            f"{table.path}:{returns[0]}: carriage return{_others(len(returns))}, expected "
            "Unix line ends; run utils/fix_data_dir.sh"
        )


def _others(count: int) -> str:
    return f" (and {count - 1} more such lines)" if count > 1 else ""


def _parse(raw: bytes, columns: str) -> tuple[str, str, str]:
    """Return (id, value, fault): no fault for a usable row, no id where it cannot be told."""
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        key = raw[: error.start].decode("utf-8").partition(" ")
        fault = f"byte {error.start + 1} is not UTF-8, expected UTF-8; convert with iconv"
        return key[0] if key[1] else "", "", fault
    # Only space and tab part fields: str.split() would also cut at a no-break space in a text.
    line = line.replace("\t", " ") if columns != "rest" else line
    if not line.strip(" \t"):
        return "", "", f"blank line, expected {_WANTED[columns]}; remove it"
    if line[0] in " \t":
        return "", "", f"line starts with white space, expected {_WANTED[columns]}"
    cut = _first_separator(line)
    key, value = line[:cut], line[cut:].strip(" \t")
    if not key.isprintable():
        return "", "", f"id {key!r} has a character that does not print, expected none"
    if columns == "rest":
        return key, value, ""
    fields = value.split()
    if not fields or (columns == "one" and len(fields) != 1):
        count = f"{len(fields) + 1} field{'s' if fields else ''}"
        return key, "", f"{count}, expected {_WANTED[columns]}"
    return key, " ".join(fields), ""


def _first_separator(line: str) -> int:
    """Index of the first space or tab, or the line's length."""
    space, tab = line.find(" "), line.find("\t")
    found = [index for index in (space, tab) if index >= 0]
    return min(found) if found else len(line)
