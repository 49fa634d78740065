#!/usr/bin/env python3
"""Kaldi data directories of the Free Spoken Digit Dataset: the sets differ in speakers."""

import argparse
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from espnet_peft.bin import run
from espnet_peft.kaldi import DataDir, write_data_dir

WORDS = "zero one two three four five six seven eight nine".split()
LANGUAGE = "en"
_NAME = re.compile(r"([0-9])_([A-Za-z][A-Za-z0-9]*)_([0-9]+)\.wav")


class Recording(NamedTuple):
    """One file; sorts by speaker, digit and number."""

    speaker: str
    digit: int
    number: int
    path: Path

    @property
    def utt_id(self) -> str:
        return f"{self.speaker}-{self.digit}_{self.number}"


def find_recordings(db_root: Path) -> list[Recording]:
    """All recordings of the corpus, sorted.

    Raises FileNotFoundError without recordings, ValueError listing unexpected file names.
    """
    directory = db_root / "recordings"
    if not directory.is_dir():
        raise FileNotFoundError(
            f"{db_root}: no directory recordings/ in it, expected the Free Spoken Digit Dataset"
        )
    recordings, strange = [], []
    for path in sorted(directory.glob("*.wav")):
        match = _NAME.fullmatch(path.name)
        if match:
            recordings.append(Recording(match[2], int(match[1]), int(match[3]), path))
        else:
            strange.append(path.name)
    if strange:
        raise ValueError(
            f"{directory}: {len(strange)} unexpected names, expected <digit>_<speaker>_<n>.wav: "
            f"{' '.join(strange[:10])}{' ...' if len(strange) > 10 else ''}; move them away"
        )
    if not recordings:
        raise FileNotFoundError(f"{directory}: no *.wav in it, expected <digit>_<speaker>_<n>.wav")
    ids = Counter(r.utt_id for r in recordings)
    double = sorted(utt_id for utt_id, n in ids.items() if n > 1)
    if double:
        raise ValueError(
            f"{directory}: recordings that differ in leading zeros only: {' '.join(double[:10])}; "
            "remove one of each"
        )
    return sorted(recordings)


def select(
    recordings: list[Recording], speakers: dict[str, list[str]], max_per_digit: int
) -> dict[str, list[Recording]]:
    """Recordings of each set (`{"train": [speaker, ...], ...}`), at most so many of a digit.

    Raises ValueError for speakers in two sets, and for those that lack all or some digits.
    """
    faults = []
    uses = Counter(speaker for names in speakers.values() for speaker in names)
    faults += [f"speaker {name} is named {n} times" for name, n in uses.items() if n > 1]
    faults += [f"no speaker for {name}" for name, names in speakers.items() if not names]
    by_digit: dict[tuple[str, int], list[Recording]] = defaultdict(list)
    for recording in recordings:
        by_digit[recording.speaker, recording.digit].append(recording)
    present = sorted({r.speaker for r in recordings})
    for name in uses:
        missing = [str(d) for d in range(10) if not by_digit.get((name, d))]
        if len(missing) == 10:
            faults.append(f"speaker {name} has no recordings; there are {' '.join(present)}")
        elif missing:
            faults.append(f"speaker {name} has no recording of {' '.join(missing)}")
    if faults:
        raise ValueError("; ".join(faults))
    return {
        split: [
            recording
            for name in names
            for digit in range(10)
            for recording in by_digit[name, digit][: max_per_digit or None]
        ]
        for split, names in speakers.items()
    }


def write_set(directory: Path, recordings: list[Recording]) -> None:
    """Write a Kaldi data directory."""
    tables = {
        "wav.scp": {r.utt_id: r.path for r in recordings},
        "text": {r.utt_id: WORDS[r.digit] for r in recordings},
        "utt2lang": {r.utt_id: LANGUAGE for r in recordings},
        "utt2spk": {r.utt_id: r.speaker for r in recordings},
    }
    write_data_dir(DataDir(directory, tables), directory)


def get_parser() -> argparse.ArgumentParser:
    """The command line; `local/data.sh` holds the defaults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--db_root", type=Path, required=True, help="holds recordings/")
    for split in ("train", "dev", "test"):
        parser.add_argument(f"--{split}_speakers", required=True, help=f"speakers of {split}")
    parser.add_argument("--max_per_digit", type=int, default=0, help="0 takes all")
    parser.add_argument("--data", type=Path, default=Path("data"), help="output directory")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Make the sets."""
    args = get_parser().parse_args(argv)
    if args.max_per_digit < 0:
        raise ValueError(f"--max_per_digit {args.max_per_digit}: expected 0 (all) or more")
    speakers = {s: getattr(args, f"{s}_speakers").split() for s in ("train", "dev", "test")}
    recordings = find_recordings(args.db_root)
    sets = select(recordings, speakers, args.max_per_digit)
    for split, chosen in sets.items():
        directory = args.data / f"{split}_{LANGUAGE}"
        write_set(directory, chosen)
        print(f"{directory}: {len(chosen)} recordings of {' '.join(speakers[split])}")
    used = {name for names in speakers.values() for name in names}
    for name, n in sorted(Counter(r.speaker for r in recordings).items()):
        if name not in used:
            print(f"{args.db_root}: speaker {name} ({n} recordings) is in no set")


if __name__ == "__main__":
    run(main, "fsdd")
