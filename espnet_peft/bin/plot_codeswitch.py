"""Draw utterances whose language changes: waveform, posteriors, timelines, text."""

from __future__ import annotations

import argparse
import logging

from espnet_peft.bin import run

PROG = "plot_codeswitch"


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=__doc__,
        epilog="Writes <out_dir>/<utt_id>.png, and <utt_id>.txt with the same in words.",
    )
    parser.add_argument("--base_model", required=True, help="path or official name")
    parser.add_argument("--router", required=True, help="directory of a trained router")
    parser.add_argument("--data_dir", required=True, help="with wav.scp, timeline and text")
    parser.add_argument("--decode_dir", required=True, help="with timeline and text")
    parser.add_argument("--out_dir", required=True, help="where to write the pictures")
    parser.add_argument("--utts", default="", help='ids to draw, "u1 u2"; default: the first --n')
    parser.add_argument("--n", type=int, default=4, help="number of pictures (default: 4)")
    parser.add_argument("--title", default="", help="put behind the id above each picture")
    parser.add_argument("--log_level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Draw, and print the files."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    if args.n < 1:
        raise ValueError(f"--n {args.n}: expected at least 1")
    from espnet_peft.routing.codeswitch_figures import plot_set

    paths = plot_set(
        args.base_model,
        args.router,
        args.data_dir,
        args.decode_dir,
        args.out_dir,
        args.utts.split(),
        args.n,
        args.title,
    )
    for path in paths:
        print(path)


if __name__ == "__main__":
    run(main, PROG)
