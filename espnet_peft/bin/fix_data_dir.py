"""Sort a data directory and keep the utterances that all of its files agree on."""

from __future__ import annotations

import argparse

from espnet_peft.bin import run
from espnet_peft.kaldi.fix import fix_data_dir


def get_parser() -> argparse.ArgumentParser:
    """Kaldi's options, with dashes or underscores."""
    parser = argparse.ArgumentParser(prog="fix_data_dir", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("data_dir", help="changed in place; old files go to <data_dir>/.backup")
    add(
        "--utt-extra-files", "--utt_extra_files", default="", help="further utterance-keyed files"
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Fix, then say what was found and how much is left."""
    args = get_parser().parse_args(argv)
    report = fix_data_dir(args.data_dir, args.utt_extra_files.split())
    for fault in report.faults[:100]:
        print(f"fix_data_dir: {fault}")
    if len(report.faults) > 100:
        print(f"fix_data_dir: ... and {len(report.faults) - 100} more faults")
    if report.kept == report.total:
        print(f"fix_data_dir: kept all {report.kept} utterances.")
    else:
        lost = ", ".join(f"{count} not in {name}" for name, count in report.dropped.items())
        print(
            f"fix_data_dir: kept {report.kept} utterances out of {report.total}"
            + (f" ({lost})" if lost else "")
        )


if __name__ == "__main__":
    run(main, "fix_data_dir")
