"""Data directories for training: which files to read, and all that may be wrong with them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from espnet_peft.kaldi import read_table

NAMED = 5  # utterances that a message names before it says "and N more"


def expand_dir(data_dir: str) -> tuple[list[tuple[str, str, str]], str]:
    """ESPnet's (path, name, type) triples and shape file of one data directory.

    Features (`feats.scp`) are taken where there are any, else 16 kHz audio of the feature stage
    (`wav.scp` into an ark). Sound files are refused, because ESPnet's reader drops their rate.
    """
    path = Path(data_dir)
    if not path.is_dir():
        raise FileNotFoundError(f"{data_dir}: no such directory; make it with the data stages")
    if (path / "feats.scp").exists():
        speech, kind, shape = "feats.scp", "kaldi_ark", "utt2num_frames"
    elif (path / "wav.scp").exists():
        first = next(iter(read_table(path / "wav.scp").values()), "")
        if not re.search(r"\.ark:\d+$", first):
            raise ValueError(
                f"{path / 'wav.scp'}: found {first!r}, expected 16 kHz audio in an ark; run the "
                "feature stage first, with feats_type raw"
            )
        speech, kind, shape = "wav.scp", "kaldi_ark", "utt2num_samples"
    else:
        raise FileNotFoundError(
            f"{data_dir}: neither feats.scp nor wav.scp; run the feature stage first"
        )
    missing = [name for name in (shape, "text", "utt2lang") if not (path / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"{data_dir}: no {', no '.join(missing)}; training needs {speech} {shape} text "
            "utt2lang; run the feature stage first"
        )
    triples = [(str(path / speech), "speech", kind)]
    triples += [(str(path / "text"), "text", "text"), (str(path / "utt2lang"), "lang", "text")]
    return triples, str(path / shape)


def check_data(triples: list, shape_files: list[str], tokenizer) -> tuple[list[str], list[str]]:
    """All faults of one data set, and the languages in it.

    Looks for sets without utterances, utterances that some files lack, empty transcripts, text
    that the tokenizer cannot write and languages that it has no prompt for.
    """
    tables = {name: (path, read_table(path)) for path, name, _ in triples}
    tables |= {path: (path, read_table(path)) for path in shape_files}
    faults = [f"{path}: no utterances, expected at least 1" for path, t in tables.values() if not t]
    if faults:
        return faults, []
    everything = sorted(set().union(*(table for _, table in tables.values())))
    for path, table in tables.values():
        absent = [utt_id for utt_id in everything if utt_id not in table]
        if absent:
            faults.append(f"{path}: lacks {_name(absent)}, which the other files of the set have")
    faults += _text_faults(*tables["text"], tokenizer)
    language_path, language_table = tables["lang"]
    languages = sorted(set(language_table.values()))
    for language in languages:
        try:
            tokenizer.prompt(language)
        except ValueError as error:
            users = [utt_id for utt_id, value in language_table.items() if value == language]
            faults.append(f"{language_path}: {_name(users)}: {error}")
    return faults, languages


def _text_faults(path: str, table: dict[str, str], tokenizer) -> list[str]:
    faults = []
    empty = [utt_id for utt_id, text in table.items() if not text.strip()]
    if empty:
        faults.append(f"{path}: empty transcript: {_name(empty)}; remove these utterances")
    by_reason: dict[str, list[str]] = {}
    for utt_id, text in table.items():
        try:
            tokenizer.encode(text)
        except ValueError as error:
            by_reason.setdefault(str(error), []).append(utt_id)
    return faults + [f"{path}: {_name(ids)}: {reason}" for reason, ids in by_reason.items()]


def digest(paths: list[str]) -> str:
    """Short sum over the bytes of `paths`, to tell whether the data changed between two runs."""
    total = hashlib.sha256()
    for path in paths:
        total.update(Path(path).read_bytes())
        total.update(b"\0")
    return total.hexdigest()[:16]


def source_digest(source: str) -> str:
    """Short sum over a base or tokenizer: its small files tell it (a fingerprint is in config)."""
    path = Path(source)
    if path.is_dir():
        names = ("config.json", "tokenizer.model")
        return digest([str(path / name) for name in names if (path / name).exists()])
    return digest([source]) if path.is_file() else source


def _name(utt_ids: list[str]) -> str:
    more = f" and {len(utt_ids) - NAMED} more" if len(utt_ids) > NAMED else ""
    return " ".join(utt_ids[:NAMED]) + more
