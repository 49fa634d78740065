"""Join the output directories of a decoding that was split into jobs."""

from __future__ import annotations

import argparse
import logging

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="merge_decode", description=__doc__)
    parser.add_argument("jobs", nargs="+", help="output directories of the decode command")
    parser.add_argument("--out_dir", required=True, help="gets text token token_int score ...")
    parser.add_argument("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Join, print one summary line."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    from espnet_peft.decode.merge import merge_jobs

    speed = merge_jobs(args.jobs, args.out_dir)
    print(
        f"{args.out_dir}: {speed['utterances']} utterances, {speed['audio_seconds']:.1f} s of"
        f" audio decoded in {speed['decode_seconds']:.1f} s, RTF {speed['rtf']:.4f}"
    )


if __name__ == "__main__":
    run(main, "merge_decode")
