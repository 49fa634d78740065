"""Put several data directories together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from espnet_peft.kaldi.data_dir import DataDir, Tables, invert
from espnet_peft.kaldi.layout import SETTINGS


def combine_data_dirs(sources: Sequence[DataDir]) -> tuple[DataDir, list[str]]:
    """Join directories into one; returns it and the names of files that only some of them have.

    Files that only some have are left out, but for `segments`, which whole recordings get from
    `utt2dur`, and `utt2uniq`, which is the utterance's own id. The same recording may be in
    several. Raises ValueError for an utterance that is in two, for a recording or speaker with two
    different values, and for differing settings.
    """
    tables_of = [dict(source.tables) for source in sources]
    if any("segments" in tables for tables in tables_of):
        for source, tables in zip(sources, tables_of, strict=True):
            tables.setdefault("segments", _whole_recordings(source))
    if any("utt2uniq" in tables for tables in tables_of):
        for tables in tables_of:
            tables.setdefault("utt2uniq", {utt: utt for utt in tables["utt2spk"]})
    names = list(dict.fromkeys(name for tables in tables_of for name in tables))
    everywhere = [name for name in names if all(name in tables for tables in tables_of)]
    joined: Tables = {}
    for name in everywhere:
        if name != "spk2utt":
            joined[name] = _join(name, sources, tables_of)
    joined["spk2utt"] = invert(joined["utt2spk"])
    extra = tuple(dict.fromkeys(name for source in sources for name in source.extra))
    settings = _common_settings(sources)
    left_out = [name for name in names if name not in everywhere and name != "spk2utt"]
    return DataDir(Path(), joined, extra, settings), left_out


def _join(name: str, sources: Sequence[DataDir], tables_of: Sequence[Tables]) -> dict[str, str]:
    """One file of all sources, in byte order."""
    once = sources[0].layout(name).key == "utt"
    joined: dict[str, str] = {}
    origin: dict[str, Path] = {}
    for source, tables in zip(sources, tables_of, strict=True):
        for key, value in tables[name].items():
            if key in joined and (once or joined[key] != value):
                what = "is in both" if once else f"is {joined[key]!r} and {value!r}"
                raise ValueError(
                    f"{source.path}/{name}: {key!r} {what}, here and in {origin[key]}, expected "
                    "different ids; rename with utils/copy_data_dir.sh --utt-prefix --spk-prefix"
                )
            joined[key] = value
            origin[key] = source.path
    return dict(sorted(joined.items()))


def _whole_recordings(source: DataDir) -> dict[str, str]:
    """`segments` lines from 0 to the end for a directory whose utterances are recordings."""
    durations = source.tables.get("utt2dur")
    if durations is None or durations.keys() != source.tables["utt2spk"].keys():
        raise ValueError(
            f"{source.path}/utt2dur: missing or not of all utterances, expected the length of each "
            "since other directories have segments; write utt2dur first"
        )
    return {utt: f"{utt} 0.0 {durations[utt]}" for utt in source.tables["utt2spk"]}


def _common_settings(sources: Sequence[DataDir]) -> dict[str, bytes]:
    """Settings that all sources have; ValueError where they differ."""
    settings: dict[str, bytes] = {}
    for name in SETTINGS:
        values = {source.settings.get(name, b"").strip() for source in sources}
        if len(values) > 1:
            shown = ", ".join(f"{s.path}: {s.settings.get(name, b'none')!r}" for s in sources)
            raise ValueError(f"{name} differs ({shown}), expected one value for all")
        if values != {b""}:
            settings[name] = sources[0].settings[name]
    return settings
