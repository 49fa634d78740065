"""Choose the adapter of each utterance: write utt2adapter."""

from __future__ import annotations

import argparse
import logging
from collections import Counter

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="route", description=__doc__)
    parser.add_argument("--strategy", choices=["oracle", "base"], default="oracle")
    parser.add_argument("--data_dir", required=True, help="with feats.scp or wav.scp, utt2lang")
    parser.add_argument("--adapters", default="", help='names, or "name=directory ..."')
    parser.add_argument("--out", required=True, help="utt2adapter to write")
    parser.add_argument("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Route the utterances of a data directory."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    from pathlib import Path

    from espnet_peft.kaldi import write_table
    from espnet_peft.routing import ROUTERS

    names = [item.partition("=")[0] for item in args.adapters.split()]
    if "" in names:
        raise ValueError(f"--adapters: found {args.adapters!r}, expected name or name=directory")
    choice = ROUTERS[args.strategy](args.data_dir, names)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    write_table(args.out, choice)
    counts = ", ".join(f"{name} {n}" for name, n in sorted(Counter(choice.values()).items()))
    print(f"routed {len(choice)} utterances: {counts}")


if __name__ == "__main__":
    run(main, "route")
