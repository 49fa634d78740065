"""Write a data directory with some of the utterances of another one.

Without a mode, <num_utts> utterances are taken at even distances.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from espnet_peft.bin import run
from espnet_peft.kaldi import subset
from espnet_peft.kaldi.data_dir import (
    DataDir,
    read_data_dir,
    refuse_same,
    select_utterances,
    write_data_dir,
)

_MODES = {
    "first": subset.choose_first,
    "last": subset.choose_last,
    "shortest": subset.choose_shortest,
    "speakers": subset.choose_speakers,
    "per_spk": subset.choose_per_speaker,
}


def get_parser() -> argparse.ArgumentParser:
    """Kaldi's options, with dashes or underscores."""
    parser = argparse.ArgumentParser(
        prog="subset_data_dir",
        description=__doc__,
        allow_abbrev=False,
        usage="%(prog)s [--first|--last|--shortest|--speakers|--per-spk] <src> <num_utts> <dest>\n"
        "       %(prog)s [--utt-list <file>|--spk-list <file>] <src> <dest>",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--first", action="store_true", help="the first utterances")
    mode.add_argument("--last", action="store_true", help="the last utterances")
    mode.add_argument("--shortest", action="store_true", help="the shortest utterances")
    mode.add_argument(
        "--speakers", action="store_true", help="whole speakers, at least <num_utts> utterances"
    )
    mode.add_argument(
        "--per-spk", "--per_spk", action="store_true", help="<num_utts> of each speaker"
    )
    mode.add_argument("--utt-list", "--utt_list", help="file whose first column is utterance ids")
    mode.add_argument("--spk-list", "--spk_list", help="file whose first column is speaker ids")
    parser.add_argument(
        "--utt-extra-files", "--utt_extra_files", default="", help="further utterance-keyed files"
    )
    parser.add_argument("places", nargs="+", metavar="<src> [<num_utts>] <dest>")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Choose, write, and say how many utterances are left."""
    parser = get_parser()
    args = parser.parse_args(argv)
    listed = args.utt_list or args.spk_list
    if len(args.places) != (2 if listed else 3):
        parser.error(f"{len(args.places)} arguments, expected {'2' if listed else '3'}")
    source, dest = args.places[0], args.places[-1]
    refuse_same([source], dest)
    data = read_data_dir(source, args.utt_extra_files.split())
    if listed:
        utts = _listed(data, listed, by_speaker=bool(args.spk_list))
    else:
        utts = _counted(data, args)
    write_data_dir(select_utterances(data, utts), dest)
    print(f"subset_data_dir: reducing #utt from {len(data.utt_ids)} to {len(utts)}: {dest}")


def _counted(data: DataDir, args: argparse.Namespace) -> list[str]:
    if not args.places[1].isdigit() or int(args.places[1]) == 0:
        raise ValueError(f"num_utts: {args.places[1]!r}, expected a whole number above 0")
    chosen = [choose for name, choose in _MODES.items() if getattr(args, name)]
    choose = chosen[0] if chosen else subset.choose_spread
    return choose(data, int(args.places[1]))


def _listed(data: DataDir, path: str, by_speaker: bool) -> list[str]:
    # Lists are often whole tables (utt2spk, text), in any order: only the first column counts.
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    ids = {line.split(None, 1)[0] for line in lines if line.strip()}
    utts, unknown = subset.choose_listed(data, ids, by_speaker)
    if not utts:
        raise ValueError(f"{path}: none of its {len(ids)} ids is in {data.path}, expected some")
    if unknown:
        print(
            f"subset_data_dir: warning: {path}: {len(unknown)} of {len(ids)} ids are not in "
            f"{data.path} (first {min(unknown)!r})",
            file=sys.stderr,
        )
    return utts


if __name__ == "__main__":
    run(main, "subset_data_dir")
