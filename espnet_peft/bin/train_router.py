"""Train the language classifier that picks adapters, on states of extract_states."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import time

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="train_router", description=__doc__)
    add = parser.add_argument
    add("--config", help="YAML of the router, the one that the states were extracted with")
    add("--train_dirs", required=True, help='directories of states, as "dir1 dir2"')
    add("--valid_dirs", required=True, help="the same, for early stopping and calibration")
    add("--base_model", required=True, help="base directory, .pt, HF directory or official name")
    add("--out_dir", required=True, help="gets config.json model.safetensors train.log loss.png")
    add("--languages", required=True, help='the classes, as "it hi pa te en es"')
    add("--seed", type=int, default=1, help="of weights, sampling and crops")
    add("--num_threads", type=int, default=1, help="of torch on the CPU")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Train, write the router, print one summary line."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    started = time.perf_counter()
    languages = args.languages.split()
    if len(languages) < 2 or len(set(languages)) < len(languages):
        raise ValueError(f"--languages: found {args.languages!r}, expected two or more, each once")
    from espnet_peft.routing.job import train_router

    router, facts = train_router(
        args.base_model,
        args.train_dirs.split(),
        args.valid_dirs.split(),
        args.out_dir,
        languages,
        config=args.config,
        seed=args.seed,
        num_threads=args.num_threads,
        command=shlex.join(sys.argv if argv is None else ["train_router", *argv]),
        started=started,
    )
    print(
        f"{args.out_dir}: {router.config.head} on layer {router.layer}, {len(languages)} languages,"
        f" {100 * facts['valid_accuracy']:.2f} % of {facts['valid_items']} validation items in"
        f" epoch {facts['best_epoch']}, temperature {router.temperature:.2f},"
        f" {facts['train_seconds']:.1f} s"
    )


if __name__ == "__main__":
    run(main, "train_router")
