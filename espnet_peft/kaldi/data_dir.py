"""A data directory in memory: its tables, and selecting utterances from all of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from espnet_peft.kaldi.layout import FILES, SETTINGS, FileLayout
from espnet_peft.kaldi.table import read_table, table_bytes, written_to

Tables = dict[str, dict[str, str]]


@dataclass
class DataDir:
    """The tables of one data directory by file name, for example `data.tables["text"]["utt1"]`.

    extra: names of further utterance-keyed files (`text.prev`) that travel along.
    settings: content of one-line files such as `frame_shift`.
    """

    path: Path
    tables: Tables
    extra: tuple[str, ...] = ()
    settings: dict[str, bytes] = field(default_factory=dict)

    @property
    def utt_ids(self) -> list[str]:
        """All utterance ids in byte order."""
        return list(self.tables["utt2spk"])

    def layout(self, name: str) -> FileLayout:
        """The layout of one of this directory's files."""
        return FileLayout("utt", "rest", "text") if name in self.extra else FILES[name]


def read_data_dir(path: str | os.PathLike, extra: Iterable[str] = ()) -> DataDir:
    """Read all known files of a directory; `utt2spk` must be there.

    Raises FileNotFoundError without a directory or `utt2spk`, ValueError for a bad table.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory}: no such directory, expected a data directory")
    data = DataDir(directory, {}, tuple(extra), read_settings(directory))
    for name in (*FILES, *data.extra):
        if (directory / name).exists() or name == "utt2spk":
            data.tables[name] = read_table(directory / name, data.layout(name).columns)
    return data


def read_settings(directory: Path) -> dict[str, bytes]:
    """The content of the one-line setting files that a directory has."""
    return {
        name: (directory / name).read_bytes() for name in SETTINGS if (directory / name).is_file()
    }


def write_data_dir(data: DataDir, path: str | os.PathLike) -> None:
    """Write all tables to `path`, with a new `spk2utt`; known files it no longer has go away.

    Everything is written under temporary names before the first old file is replaced, so that a
    full disk leaves the directory as it was. `utt2spk` is replaced last.
    """
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    tables = data.tables | {"spk2utt": invert(data.tables["utt2spk"])}
    contents = dict(data.settings)
    for name in sorted(tables, key=lambda name: name == "utt2spk"):
        columns = data.layout(name).columns
        contents[name] = table_bytes(directory / name, tables[name], columns)
    try:
        for name, content in contents.items():
            with written_to(directory / name):
                (directory / f"{name}.tmp").write_bytes(content)
    except BaseException:
        for name in contents:
            with contextlib.suppress(OSError):
                (directory / f"{name}.tmp").unlink(missing_ok=True)
        raise
    for name in (*FILES, *SETTINGS):
        if name not in contents:
            (directory / name).unlink(missing_ok=True)
    for name in contents:
        os.replace(directory / f"{name}.tmp", directory / name)


def refuse_same(sources: Iterable[str | os.PathLike], dest: str | os.PathLike) -> None:
    """Raise ValueError if `dest` is one of `sources`, since writing removes what was there."""
    if any(os.path.realpath(source) == os.path.realpath(dest) for source in sources):
        raise ValueError(f"{dest}: source and destination are the same, expected a new directory")


def invert(utt2spk: dict[str, str]) -> dict[str, str]:
    """`spk2utt` of an `utt2spk`: speakers and their utterances in byte order."""
    speakers: dict[str, list[str]] = {}
    for utt in sorted(utt2spk):
        speakers.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: " ".join(speakers[speaker]) for speaker in sorted(speakers)}


def recording_of(data: DataDir) -> dict[str, str]:
    """The recording id of each utterance: its own id where there is no `segments`."""
    segments = data.tables.get("segments")
    if segments is None:
        return {utt: utt for utt in data.tables["utt2spk"]}
    return {utt: value.split(" ", 1)[0] for utt, value in segments.items()}


def select_utterances(data: DataDir, keep: Collection[str]) -> DataDir:
    """The same directory with only the utterances in `keep`, their speakers and recordings."""
    wanted = set(keep)
    utt2spk = {utt: spk for utt, spk in data.tables["utt2spk"].items() if utt in wanted}
    recordings = {rec for utt, rec in recording_of(data).items() if utt in utt2spk}
    by_key = {"utt": utt2spk.keys(), "spk": set(utt2spk.values()), "rec": recordings}
    tables: Tables = {}
    for name, table in data.tables.items():
        ids = by_key[data.layout(name).key]
        kept = {key: value for key, value in table.items() if key in ids}
        if kept or not data.layout(name).partial:
            tables[name] = kept
    tables["utt2spk"] = utt2spk
    tables["spk2utt"] = invert(utt2spk)
    return DataDir(data.path, tables, data.extra, dict(data.settings))
