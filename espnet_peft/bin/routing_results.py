"""Collect the scores of routing strategies into one table, RESULTS_routing.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet_peft.bin import run
from espnet_peft.bin.results import add_table_options, read_settings

PROG = "routing_results"


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog=PROG, description=__doc__)
    parser.add_argument(
        "--exp_dir",
        required=True,
        action="append",
        nargs="+",
        help="directory of a base model, exp/<base_tag>; several are several seeds",
    )
    parser.add_argument("--sets", default="", help='sets to show, "test_a test_b"; default: all')
    parser.add_argument("--decode_tag", help="of base and oracle, where there are several")
    parser.add_argument(
        "--timelines",
        action="store_true",
        help="the sets hold several languages an utterance: compare with <set>_segments, the same "
        "audio in pieces, and show timeline.json of score_timeline",
    )
    add_table_options(parser, "RESULTS_routing.md", "Routing")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Collect, write, and print the tables."""
    args = get_parser().parse_args(argv)

    from espnet_peft.scoring.collect_routes import collect_routes, tabulate_routes
    from espnet_peft.scoring.files import write_whole
    from espnet_peft.scoring.results import git_hash
    from espnet_peft.scoring.routing_table import find_controls, markdown, terminal

    settings = read_settings(args.setting)
    exp_dirs = [Path(path) for group in args.exp_dir for path in group]
    runs = collect_routes(exp_dirs, args.sets.split(), args.decode_tag)
    tables = tabulate_routes(runs)
    controls = find_controls(tables, exp_dirs, args.decode_tag) if args.timelines else None
    commit = git_hash(Path(__file__).resolve().parent)
    write_whole(args.out, markdown(runs, tables, commit, args.title, settings, controls))
    print(terminal(tables, controls))
    print(f"\nWritten to {args.out}")


if __name__ == "__main__":
    run(main, PROG)
