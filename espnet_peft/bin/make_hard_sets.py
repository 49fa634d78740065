"""Make a set of utterances whose language is hard to tell: short ones, or noisy ones."""

from __future__ import annotations

import argparse

from espnet_peft.bin import run

PROG = "make_hard_sets"


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog=PROG, description=__doc__)
    add = parser.add_argument
    add(
        "--kind",
        required=True,
        choices=["short", "noise"],
        help="short: some whole words of each utterance, as segments; noise: each utterance with "
        "noise, as new wav files",
    )
    add("--data_dir", required=True, help="data directory with text and utt2lang, and a ctm")
    add("--out_dir", required=True, help="directory to write; must not exist")
    add("--min_seconds", type=float, default=0.4, help="of a short utterance (default: 0.4)")
    add("--max_seconds", type=float, default=1.5, help="of a short utterance (default: 1.5)")
    add("--snr", type=float, default=0.0, help="of speech to noise in dB (default: 0)")
    add(
        "--noise",
        default="white babble",
        help="kinds of noise that take turns: white speech_shaped babble (default: white babble)",
    )
    add("--seed", type=int, default=0, help="of crops and noise, 0 or more (default: 0)")
    add("--allow_pipes", action="store_true", help="run the commands that wav.scp holds")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Make one set, print one summary line."""
    args = get_parser().parse_args(argv)
    import logging

    logging.basicConfig(level=args.log_level.upper(), format="%(message)s")
    if args.seed < 0:
        raise ValueError(f"--seed {args.seed}: expected 0 or more")
    from espnet_peft.audio.hard_sets import write_noisy, write_short

    common = {"seed": args.seed, "allow_pipes": args.allow_pipes}
    if args.kind == "short":
        lengths = (args.min_seconds, args.max_seconds)
        count, total = write_short(args.data_dir, args.out_dir, lengths, **common)
        print(f"{args.out_dir}: {count} short utterances, of {total} in {args.data_dir}")
    else:
        noises = args.noise.split()
        count = write_noisy(args.data_dir, args.out_dir, noises, args.snr, **common)
        print(f"{args.out_dir}: {count} utterances with {args.noise} noise at {args.snr:g} dB")


if __name__ == "__main__":
    run(main, PROG)
