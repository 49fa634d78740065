"""Accuracy, calibration and confusions of a router on a data directory, with figures."""

from __future__ import annotations

import argparse
import logging

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="evaluate_router", description=__doc__)
    add = parser.add_argument
    add("--router", required=True, help="directory of train_router, or token: the base's own")
    add("--base_model", required=True, help="base directory, .pt, HF directory or official name")
    add("--data_dir", required=True, help="with feats.scp or wav.scp, and utt2lang")
    add("--out_dir", required=True, help="gets accuracy.json result.txt utt2langprob and figures")
    add("--languages", default="", help='of the token router, as "hi pa en"')
    add("--unknown_languages", default="", help='those to be answered by "other", as "el"')
    add("--crop_seconds", default="0.5 1 2", help="lengths of crops that are routed, too")
    add("--pairs", default="", help='pairs whose confusion is always reported, as "hi-pa"')
    add("--seed", type=int, default=0, help="of the crops' places")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--num_threads", type=int, default=1, help="of torch on the CPU")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Route the set, write the results, print them."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    lengths = seconds_of(args.crop_seconds)
    from espnet_peft.models import load_base
    from espnet_peft.models.device import set_threads
    from espnet_peft.routing.evaluate import evaluate_router
    from espnet_peft.routing.metrics import result_text
    from espnet_peft.routing.router import Router
    from espnet_peft.routing.token_router import TokenRouter

    set_threads(args.num_threads)
    model = load_base(args.base_model, args.device)
    if args.router == "token":
        router = TokenRouter(model, args.languages.split())
    else:
        router = Router.load(args.router, model)
    pairs = args.pairs.split()
    values = evaluate_router(
        router,
        model,
        args.data_dir,
        args.out_dir,
        unknown_languages=args.unknown_languages.split(),
        crop_seconds=lengths,
        pairs=pairs,
        seed=args.seed,
    )
    print(result_text(values, pairs), end="")


def seconds_of(text: str) -> list[float]:
    """Lengths in seconds from a list with spaces; ValueError for what is no positive number."""
    try:
        lengths = [float(word) for word in text.split()]
    except ValueError:
        lengths = [0.0]
    if not all(0 < length < float("inf") for length in lengths):
        raise ValueError(f"--crop_seconds: found {text!r}, expected lengths above 0 in seconds")
    return lengths


if __name__ == "__main__":
    run(main, "evaluate_router")
