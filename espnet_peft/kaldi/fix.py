"""Repair a data directory: sort its files and keep what all of them agree on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from espnet_peft.kaldi.data_dir import (
    DataDir,
    read_settings,
    recording_of,
    select_utterances,
    write_data_dir,
)
from espnet_peft.kaldi.layout import FILES
from espnet_peft.kaldi.table import scan_table
from espnet_peft.kaldi.value import ODD_SPACE, PathCheck, value_faults


@dataclass
class FixReport:
    """kept of total utterances; faults: what was found; dropped: utterances lost, by file."""

    kept: int
    total: int
    faults: list[str]
    dropped: dict[str, int]


def fix_data_dir(dir: str | os.PathLike, extra: Iterable[str] = ()) -> FixReport:
    """Sort all files, drop unusable lines, keep the utterances that every file has.

    `spk2utt` is made anew, and files that change are kept under `.backup/` as they were. Audio and
    feature files are not looked for. Raises FileNotFoundError without the directory or both of
    `utt2spk` and `spk2utt`, ValueError when no utterance would be left; then nothing is written.
    """
    directory = Path(dir)
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory}: no such directory, expected a data directory")
    data, faults = _salvage(directory, tuple(extra))
    utts, dropped = _common_utterances(data)
    total = len(set().union(*(t for n, t in data.tables.items() if data.layout(n).key == "utt")))
    if not utts:
        lost = ", ".join(f"{count} by {name}" for name, count in dropped.items())
        raise ValueError(
            f"{directory}: no utterance is in all files ({lost}), expected at least one; "
            "compare the ids of the files"
        )
    fixed = select_utterances(data, utts)
    _back_up(directory, data)
    write_data_dir(fixed, directory)
    _discard_equal_backups(directory)
    return FixReport(len(utts), total, faults, dropped)


def _salvage(directory: Path, extra: tuple[str, ...]) -> tuple[DataDir, list[str]]:
    """Read every usable line of every file, with the faults of the others."""
    data = DataDir(directory, {}, extra, read_settings(directory))
    anything = PathCheck(allow_pipes=True, on_disk=False)
    faults: list[str] = []
    for name in (*FILES, *extra):
        path = directory / name
        if not path.exists():
            continue
        layout = data.layout(name)
        table = scan_table(path, layout.columns)
        faults += table.faults
        kind = "word" if name in extra else layout.kind
        if kind == "text":
            faults += (fault for _, fault in value_faults(table, kind, anything))
            table.values = {u: ODD_SPACE.sub(" ", t).strip() for u, t in table.values.items()}
            table.values = {utt: words for utt, words in table.values.items() if words}
        else:
            for key, fault in list(value_faults(table, kind, anything)):
                faults.append(fault)
                del table.values[key]
        data.tables[name] = dict(sorted(table.values.items()))
    spk2utt = data.tables.pop("spk2utt", {})
    if "utt2spk" not in data.tables:
        if not spk2utt:
            raise FileNotFoundError(f"{directory}/utt2spk: no such file, expected one")
        pairs = ((utt, spk) for spk, utts in spk2utt.items() for utt in utts.split(" "))
        data.tables["utt2spk"] = dict(sorted(pairs))
    return data, faults


def _common_utterances(data: DataDir) -> tuple[set[str], dict[str, int]]:
    """The utterances that every file covers, and how many of the rest each file lacks."""
    utt2spk = data.tables["utt2spk"]
    recordings = recording_of(data)
    utts = set(utt2spk)
    dropped: dict[str, int] = {}
    for name, table in data.tables.items():
        if data.layout(name).partial:
            continue
        key = data.layout(name).key
        owner = {"utt": {u: u for u in utts}, "spk": utt2spk, "rec": recordings}[key]
        kept = {utt for utt in utts if owner.get(utt) in table}
        if len(kept) < len(utts):
            dropped[name] = len(utts) - len(kept)
        utts = kept
    return utts, dropped


def _back_up(directory: Path, data: DataDir) -> None:
    backup = directory / ".backup"
    backup.mkdir(exist_ok=True)
    for name in (*data.tables, "spk2utt"):
        if (directory / name).exists():
            shutil.copyfile(directory / name, backup / name)


def _discard_equal_backups(directory: Path) -> None:
    """Remove backups of files that did not change."""
    backup = directory / ".backup"
    for saved in backup.iterdir():
        current = directory / saved.name
        if current.exists() and current.read_bytes() == saved.read_bytes():
            saved.unlink()
    if not any(backup.iterdir()):
        backup.rmdir()
