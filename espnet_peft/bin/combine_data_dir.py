"""Write one data directory that holds the utterances of several."""

from __future__ import annotations

import argparse
import sys

from espnet_peft.bin import run
from espnet_peft.kaldi.combine import combine_data_dirs
from espnet_peft.kaldi.data_dir import read_data_dir, refuse_same, write_data_dir
from espnet_peft.kaldi.fix import fix_data_dir


def get_parser() -> argparse.ArgumentParser:
    """Kaldi's options, with dashes or underscores."""
    parser = argparse.ArgumentParser(prog="combine_data", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("dest", help="directory to write")
    add("sources", nargs="+", help="directories to combine; no utterance may be in two of them")
    add(
        "--extra-files",
        "--extra_files",
        "--utt_extra_files",
        default="",
        help="further utterance-keyed files",
    )
    add(
        "--skip-fix",
        "--skip_fix",
        choices=("true", "false"),
        default="false",
        help="do not drop utterances that some file lacks",
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Combine, write, fix, and say what was left out."""
    args = get_parser().parse_args(argv)
    refuse_same(args.sources, args.dest)
    sources = [read_data_dir(source, args.extra_files.split()) for source in args.sources]
    combined, left_out = combine_data_dirs(sources)
    write_data_dir(combined, args.dest)
    for name in left_out:
        print(
            f"combine_data: warning: not combining {name}, since not all directories have it",
            file=sys.stderr,
        )
    if args.skip_fix == "false":
        report = fix_data_dir(args.dest, args.extra_files.split())
        if report.kept < report.total:
            lost = ", ".join(f"{count} not in {name}" for name, count in report.dropped.items())
            print(f"combine_data: kept {report.kept} of {report.total} utterances ({lost})")
    total = len(combined.utt_ids)
    print(f"combine_data: combined {len(sources)} directories, {total} utterances: {args.dest}")


if __name__ == "__main__":
    run(main, "combine_data")
