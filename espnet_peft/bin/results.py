"""Collect the scores of experiments into one table, RESULTS.md."""

import argparse
from pathlib import Path

from espnet_peft.bin import run

PROG = "results"


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROG, description=__doc__)
    parser.add_argument(
        "--exp_dir",
        required=True,
        action="append",
        nargs="+",
        help="directory of a base model, exp/<base_tag>, or exp for all; several are several seeds",
    )
    add_table_options(parser, "RESULTS.md", "Results")
    return parser


def add_table_options(parser: argparse.ArgumentParser, out: str, title: str) -> None:
    """Options of commands that write a file of tables; out and title are the defaults."""
    parser.add_argument("--out", default=out, help=f"file to write (default: {out})")
    parser.add_argument("--title", default=title, help="heading of the file")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting to name at the top of the file; may be given again",
    )
    parser.add_argument("--log_level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")


def read_settings(pairs: list[str]) -> dict[str, str]:
    """Split NAME=VALUE options (ValueError for one without a name or an equals sign)."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ValueError(f"--setting: '{pair}', expected NAME=VALUE")
        settings[name.strip()] = value.strip()
    return settings


def main(argv: list[str] | None = None) -> None:
    args = get_parser().parse_args(argv)

    from espnet_peft.scoring.collect import collect, tabulate
    from espnet_peft.scoring.files import write_whole
    from espnet_peft.scoring.results import git_hash, markdown, terminal

    settings = read_settings(args.setting)
    exp_dirs = [Path(path) for group in args.exp_dir for path in group]
    runs = collect(exp_dirs)
    tables = tabulate(runs)
    commit = git_hash(Path(__file__).resolve().parent)
    write_whole(args.out, markdown(runs, tables, commit, args.title, settings))
    print(terminal(tables, len(exp_dirs)))
    print(f"\nWritten to {args.out}")


if __name__ == "__main__":
    run(main, PROG)
