"""Find all faults of a data directory at once."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from espnet_peft.kaldi.data_dir import invert
from espnet_peft.kaldi.layout import FILES, FileLayout
from espnet_peft.kaldi.table import Table, scan_table
from espnet_peft.kaldi.value import PathCheck, value_faults

_FIX = "run utils/fix_data_dir.sh"


def validate_data_dir(
    dir: str | os.PathLike,
    *,
    feats: bool = False,
    text: bool = True,
    wav: bool = True,
    lang: bool = False,
    spk_sort: bool = True,
    allow_pipes: bool = False,
    check_paths: bool = True,
    odd_space: bool = False,
    extra: Iterable[str] = (),
) -> list[str]:
    """List every fault of a data directory, as `path:line: found, expected; remedy`.

    feats, text, wav, lang: `feats.scp`, `text`, `wav.scp`, `utt2lang` must be there; what is
    there is checked in any case. spk_sort: sorting by speaker and by utterance must agree.
    check_paths: audio and feature files must exist. odd_space: accept no-break spaces and the like
    in transcripts. extra: names of further utterance-keyed text files. Time is linear.
    Never raises for a fault of the data.
    """
    directory = Path(dir)
    if not directory.is_dir():
        return [f"{directory}: no such directory, expected a data directory"]
    asked = {"feats.scp": feats, "text": text, "wav.scp": wav, "utt2lang": lang}
    required = {"utt2spk", "spk2utt", *(name for name in asked if asked[name]), *extra}
    paths = PathCheck(allow_pipes, check_paths)
    tables: dict[str, Table] = {}
    faults: list[str] = []
    for name, layout in (*FILES.items(), *((x, FileLayout("utt", "rest", "word")) for x in extra)):
        path = directory / name
        if not path.exists():
            if name in required:
                faults.append(f"{path}: no such file, expected one; {_remedy(name)}")
            continue
        try:
            table = scan_table(path, layout.columns)
        except OSError as error:
            faults.append(f"{path}: {error.strerror}, expected a file that can be read")
            continue
        tables[name] = table
        faults += table.faults
        faults += (fault for _, fault in value_faults(table, layout.kind, paths, odd_space))
    faults += _id_faults(tables)
    faults += _speaker_faults(tables, spk_sort)
    faults += _segment_faults(tables)
    return faults


def prefix_warnings(dir: str | os.PathLike) -> list[str]:
    """Say where utterance ids do not start with their speaker's id, which breaks sorting later."""
    path = Path(dir) / "utt2spk"
    table = scan_table(path, "one")
    odd = [utt for utt, spk in table.values.items() if not utt.startswith(spk)]
    if not odd:
        return []
    first = odd[0]
    return [
        f"{path}:{table.lines[first]}: {len(odd)} utterance ids do not start with the speaker id "
        f"(first {first!r} of {table.values[first]!r}); utils/copy_data_dir.sh --utt-prefix helps"
    ]


def _remedy(name: str) -> str:
    remedies = {
        "feats.scp": "make features, or pass --no-feats",
        "text": "write transcripts, or pass --no-text",
        "wav.scp": "list the audio, or pass --no-wav",
        "utt2lang": "write lines of <utt_id> <language>",
        "spk2utt": "make it with utils/utt2spk_to_spk2utt.pl",
    }
    return remedies.get(name, "write it in the data preparation")


def _id_faults(tables: dict[str, Table]) -> Iterator[str]:
    """Compare the ids of every file with those that utt2spk, or wav.scp, gives."""
    if "utt2spk" not in tables or not tables["utt2spk"].lines:
        return
    utts = tables["utt2spk"]
    utt_ids = utts.values.keys()
    speakers = set(utts.values.values())
    for name, table in tables.items():
        layout = FILES.get(name, FileLayout("utt", "rest", "word"))
        if name in ("utt2spk", "spk2utt") or (layout.key == "rec" and "segments" in tables):
            continue
        if not table.lines:  # Reported as an empty file, once, and not for every id.
            continue
        if layout.key == "spk":
            yield from _difference(table, speakers, "speaker", f"{utts.path}")
            continue
        if layout.partial:
            yield from _difference(table, utt_ids, "utterance", utts.path, wanted=())
            continue
        yield from _difference(table, utt_ids, "utterance", utts.path, utts.lines)


def _difference(
    table: Table,
    ids: Collection[str],
    noun: str,
    source: str,
    source_lines: dict[str, int] | None = None,
    wanted: Collection[str] | None = None,
) -> Iterator[str]:
    """Both directions of the difference between a table's ids and `ids` of the file `source`.

    `wanted` are those of `ids` that the table must have; default: all.
    """
    for key, line in table.lines.items():
        if key not in ids:
            yield f"{table.path}:{line}: {noun} {key!r} is not in {source}, expected both; {_FIX}"
    for key in ids if wanted is None else wanted:
        if key not in table.lines:
            line = f":{source_lines[key]}" if source_lines else ""
            yield f"{source}{line}: {noun} {key!r} is not in {table.path}, expected both; {_FIX}"


def _speaker_faults(tables: dict[str, Table], spk_sort: bool) -> Iterator[str]:
    """spk2utt must be the inverse of utt2spk, and sorting by either id must give one order."""
    if "utt2spk" not in tables:
        return
    utt2spk = tables["utt2spk"].values
    if "spk2utt" in tables:
        yield from _inverse_faults(tables["spk2utt"], invert(utt2spk), tables["utt2spk"].path)
    if spk_sort:
        previous = ("", "")
        for utt in sorted(utt2spk):
            current = (utt2spk[utt], utt)
            if current < previous:
                line = tables["utt2spk"].lines[utt]
                yield (
                    f"{tables['utt2spk'].path}:{line}: {utt!r} of speaker {current[0]!r} follows "
                    f"{previous[1]!r} of {previous[0]!r}, expected one order by utterance and by "
                    "speaker; make speaker ids prefixes of utterance ids, or pass --no-spk-sort"
                )
                break
            previous = current


def _inverse_faults(spk2utt: Table, wanted: dict[str, str], source: str) -> Iterator[str]:
    remedy = "make spk2utt again with utils/utt2spk_to_spk2utt.pl"
    if not spk2utt.lines:
        return
    for speaker in sorted(wanted.keys() - spk2utt.lines.keys()):
        yield f"{spk2utt.path}: no speaker {speaker!r}, expected all of {source}; {remedy}"
    for speaker, line in spk2utt.lines.items():
        place = f"{spk2utt.path}:{line}"
        if speaker not in wanted:
            yield f"{place}: speaker {speaker!r} is not in {source}; {remedy}"
            continue
        found, expected = spk2utt.values[speaker], wanted[speaker]
        if found == expected:
            continue
        odd = sorted(set(found.split(" ")) ^ set(expected.split(" ")))
        what = f"{odd[0]!r} is in one only" if odd else "the order differs or an id is there twice"
        yield f"{place}: utterances of {speaker!r} differ from {source} ({what}); {remedy}"


def _segment_faults(tables: dict[str, Table]) -> Iterator[str]:
    """Recordings of segments, wav.scp and the other recording-keyed files must be the same."""
    if "segments" not in tables:
        return
    segments = tables["segments"]
    first = {}
    for utt, value in segments.values.items():
        first.setdefault(value.split(" ", 1)[0], utt)
    for name, table in tables.items():
        if name not in FILES or FILES[name].key != "rec":
            continue
        for recording, utt in first.items():
            if table.lines and recording not in table.lines:
                line = segments.lines[utt]
                yield (
                    f"{segments.path}:{line}: {utt}: recording {recording!r} is not in "
                    f"{table.path}, expected it there; {_FIX}"
                )
        for recording, line in table.lines.items():
            if recording not in first:
                yield (
                    f"{table.path}:{line}: recording {recording!r} has no segment in "
                    f"{segments.path}, expected one; {_FIX}"
                )
