"""Common Voice's tables: reading them, and what must hold between the sets of a language."""

import csv
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

_COLUMNS = ("client_id", "path", "sentence")
# Both become part of utterance ids.
_CLIENT = re.compile(r"[A-Za-z0-9_]+")
_CLIP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Row:
    """One clip: its speaker, file name and sentence (in NFC, white space collapsed)."""

    client_id: str
    clip: str
    sentence: str


def read_tsv(path: Path) -> list[Row]:
    """Read a table in which quotes are literal and columns come in any order.

    Raises FileNotFoundError, or ValueError with all faults: missing columns or fields, empty
    speakers or sentences, clips named twice or outside clips/.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected Common Voice's official layout")
    with open(path, encoding="utf-8-sig", newline="") as stream:
        try:
            lines = list(csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
        except csv.Error as error:
            raise ValueError(f"{path}: no table of tab-separated values ({error})") from None
    header = lines[0] if lines else []
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ValueError(f"{path}:1: no column {' '.join(missing)}, expected a Common Voice table")
    rows: list[Row] = []
    faults = []
    seen: dict[str, int] = {}
    for number, fields in enumerate(lines[1:], start=2):
        if len(fields) != len(header):
            faults.append(f"{path}:{number}: {len(fields)} fields, expected {len(header)}")
            continue
        record = dict(zip(header, fields, strict=True))
        clip = record["path"].strip()
        row = Row(record["client_id"].strip(), clip, _clean(record["sentence"]))
        if not _CLIENT.fullmatch(row.client_id):
            faults.append(
                f"{path}:{number}: client_id '{row.client_id}', expected letters and digits"
            )
        if not row.sentence:
            faults.append(f"{path}:{number}: no sentence for {clip}, expected a transcript")
        if not _CLIP.fullmatch(clip):
            faults.append(f"{path}:{number}: path '{clip}', expected a plain file name in clips/")
        elif clip in seen:
            faults.append(f"{path}:{number}: {clip} was in line {seen[clip]} already")
        seen[clip] = number
        rows.append(row)
    if not faults and not rows:
        faults = [f"{path}: no rows below the header"]
    if faults:
        raise ValueError("\n".join(faults))
    return rows


def _clean(sentence: str) -> str:
    return " ".join(unicodedata.normalize("NFC", sentence).split())


def speaker_ids(rows: list[Row]) -> dict[str, str]:
    """Short ids of the speakers: as much of client_id as tells all of them apart, at least 12."""
    clients = sorted({row.client_id for row in rows})
    length = 12
    while len({client[:length] for client in clients}) < len(clients):
        length += 4
    return {client: client[:length] for client in clients}


def read_locale(directory: Path, warnings: list[str]) -> dict[str, list[Row]]:
    """The sets of a locale, with a replacement for a dev set that does not exist.

    Raises ValueError if a clip or a speaker is in two sets.
    """
    sets = {name: read_tsv(directory / f"{name}.tsv") for name in ("train", "test")}
    if (directory / "dev.tsv").is_file():
        sets["dev"] = read_tsv(directory / "dev.tsv")
        _check_disjoint(directory, sets)
    else:
        _check_disjoint(directory, sets)
        sets["train"], sets["dev"] = _make_dev(directory, sets, warnings)
    _warn_of_repeats(directory, sets, warnings)
    return {name: sets[name] for name in ("train", "dev", "test")}


def _check_disjoint(directory: Path, sets: dict[str, list[Row]]) -> None:
    faults = []
    for one, other in combinations(sets, 2):
        for field in ("client_id", "clip"):
            both = {getattr(r, field) for r in sets[one]} & {getattr(r, field) for r in sets[other]}
            if both:
                faults.append(
                    f"{directory}: {len(both)} values of {field} are in both {one}.tsv and "
                    f"{other}.tsv, expected disjoint sets: {some(sorted(both))}"
                )
    if faults:
        raise ValueError("\n".join(faults))


def _make_dev(
    directory: Path, sets: dict[str, list[Row]], warnings: list[str]
) -> tuple[list[Row], list[Row]]:
    """Take dev from validated.tsv's other speakers or, failing that, from train's end."""
    taken = {row.client_id for rows in sets.values() for row in rows}
    path = directory / "validated.tsv"
    others = [r for r in read_tsv(path) if r.client_id not in taken] if path.is_file() else []
    if others:
        warnings.append(
            f"{directory}: no dev.tsv: dev is {len(others)} utterances of validated.tsv, of "
            "speakers that are neither in train nor in test"
        )
        return sets["train"], others
    n = max(1, len(sets["train"]) // 10)
    if len(sets["train"]) < 2:
        raise ValueError(f"{directory}: no dev.tsv, and too few rows in train.tsv to split")
    warnings.append(
        f"{directory}: no dev.tsv and no further speakers in validated.tsv: dev is the last {n} "
        "utterances of train.tsv, so that DEV SHARES SPEAKERS WITH TRAIN and its WER is too good"
    )
    return sets["train"][:-n], sets["train"][-n:]


def _warn_of_repeats(directory: Path, sets: dict[str, list[Row]], warnings: list[str]) -> None:
    where = defaultdict(set)
    for name, rows in sets.items():
        for row in rows:
            where[row.sentence].add(name)
    pairs = Counter(pair for names in where.values() for pair in combinations(sorted(names), 2))
    for (one, other), n in sorted(pairs.items()):
        warnings.append(f"{directory}: {n} sentences are in both {one} and {other}")


def some(names: list[str], n: int = 10) -> str:
    """The first `n` names, and how many there are if more."""
    return " ".join(names[:n]) + (f" ... ({len(names)} in all)" if len(names) > n else "")
