"""Train the language classifier that picks adapters, on states of extract_states."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import time
from pathlib import Path

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
    begun = time.perf_counter()
    languages = args.languages.split()
    if len(languages) < 2 or len(set(languages)) < len(languages):
        raise ValueError(f"--languages: found {args.languages!r}, expected two or more, each once")
    from espnet_peft.kaldi.table import write_bytes
    from espnet_peft.models import load_base
    from espnet_peft.models.device import set_threads
    from espnet_peft.routing.config import RouterConfig, read_router_config
    from espnet_peft.routing.figures import plot_training
    from espnet_peft.routing.router import Router
    from espnet_peft.routing.states import check_layers, fingerprint_of, read_states
    from espnet_peft.routing.train import describe, train_classifier
    from espnet_peft.scoring.results import git_hash

    set_threads(args.num_threads)
    config = read_router_config(args.config) if args.config else RouterConfig()
    model = load_base(args.base_model)
    check_layers(model, config.layers, args.config or "layers")
    fingerprint = fingerprint_of(model)
    out_dir = Path(args.out_dir)
    sets = [
        read_states(dirs.split(), languages, config.layers, fingerprint)
        for dirs in (args.train_dirs, args.valid_dirs)
    ]
    out_dir.mkdir(parents=True, exist_ok=True)
    trained = train_classifier(config, *sets, len(languages), args.seed)
    router = Router(
        trained.classifier,
        config,
        languages,
        trained.temperature,
        trained.window_temperature,
        trained.other_threshold,
    )
    plot_training(trained.curve, out_dir / "loss.png")
    log = [describe(values, k, config.max_epochs) for k, values in enumerate(trained.curve, 1)]
    write_bytes(out_dir / "train.log", ("\n".join(log) + "\n").encode())
    best = trained.curve[trained.best_epoch - 1]
    facts = {
        "train_items": len(sets[0].utt_ids),
        "valid_items": len(sets[1].utt_ids),
        "best_epoch": trained.best_epoch,
        "valid_accuracy": best["valid_acc"],
        "curve": trained.curve,
        "train_seconds": round(time.perf_counter() - begun, 1),
        "seed": args.seed,
        "git_hash": git_hash(Path(__file__).resolve().parent),
        "command": shlex.join(sys.argv if argv is None else ["train_router", *argv]),
    }
    router.save(out_dir, fingerprint, facts)
    print(
        f"{args.out_dir}: {config.head} on layer {config.layers[-1]}, {len(languages)} languages,"
        f" {100 * best['valid_acc']:.2f} % of {len(sets[1].utt_ids)} validation items in epoch"
        f" {trained.best_epoch}, temperature {trained.temperature:.2f},"
        f" {facts['train_seconds']:.1f} s"
    )


if __name__ == "__main__":
    run(main, "train_router")
