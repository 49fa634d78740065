"""States of the frozen encoder for data directories, on which a router is trained."""

from __future__ import annotations

import argparse
import logging

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="extract_states", description=__doc__)
    add = parser.add_argument
    add("--base_model", required=True, help="base directory, .pt, HF directory or official name")
    add("--data_dir", required=True, nargs="+", help="with feats.scp or wav.scp, and utt2lang")
    add("--out_dir", required=True, nargs="+", help="one each; gets feats.scp states.json ...")
    add("--config", help="YAML of the router; the options below go before it")
    add("--layers", help='encoder blocks after which to read, as "1" or "1 2"; 0: convolutions')
    add("--crop_seconds", help='shortest and longest crop, as "0.5 5"')
    add("--n_crops", type=int, help="crops of the audio beside each utterance")
    add("--max_per_language", type=int, help="utterances of each language; 0: all")
    add("--key_file", help="ids (first column) of the utterances to encode")
    add("--seed", type=int, default=0, help="of the choice and the crops")
    add("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    add("--num_threads", type=int, default=1, help="of torch on the CPU")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Extract, print one summary line a set."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    if len(args.data_dir) != len(args.out_dir):
        found = f"{len(args.data_dir)} --data_dir and {len(args.out_dir)} --out_dir"
        raise ValueError(f"command line: {found}, expected as many of each")
    config = settings(args)
    from espnet_peft.kaldi import read_table
    from espnet_peft.models import load_base
    from espnet_peft.models.device import set_threads
    from espnet_peft.routing.states import extract_states

    set_threads(args.num_threads)
    keys = set(read_table(args.key_file)) if args.key_file else None
    model = load_base(args.base_model, args.device)
    for data_dir, out_dir in zip(args.data_dir, args.out_dir, strict=True):
        count, seconds = extract_states(model, data_dir, out_dir, config, args.seed, keys)
        print(f"{out_dir}: states of {count} items, {seconds / 3600:.2f} hours")


def settings(args: argparse.Namespace):
    """RouterConfig of `--config` with what the command line changes; ValueError for bad values."""
    from espnet_peft.routing.config import RouterConfig, config_from_dict, read_router_config

    config = read_router_config(args.config) if args.config else RouterConfig()
    changes: dict = {}
    for name, kind in (("layers", int), ("crop_seconds", float)):
        text = getattr(args, name)
        if text is not None:
            try:
                changes[name] = [kind(word) for word in text.split()]
            except ValueError:
                raise ValueError(f"--{name}: found {text!r}, expected numbers") from None
    if args.n_crops is not None:
        changes["n_crops"] = args.n_crops
    if args.max_per_language is not None:
        changes["max_per_language"] = args.max_per_language or None
    return config_from_dict(config.asdict() | changes, "command line")


if __name__ == "__main__":
    run(main, "extract_states")
