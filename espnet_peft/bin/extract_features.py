"""Log-mel features, or 16 kHz audio, of a data directory."""

from __future__ import annotations

import argparse
import logging

from espnet_peft.bin import run


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="extract_features", description=__doc__)
    add = parser.add_argument
    add("--data_dir", required=True, help="with wav.scp, and segments if recordings are cut")
    add("--out_dir", required=True, help="gets feats.ark feats.scp utt2num_frames (or wav...)")
    add("--feats_type", default="fbank", choices=["fbank", "raw"], help="default: fbank")
    add("--n_mels", type=int, default=80, help="mel bands: 80, or 128 for large-v3")
    add("--key_file", help="ids (first column) of the utterances to extract")
    add("--expected_rate", type=int, help="refuse audio of another rate (Hz)")
    add("--allow_pipes", action="store_true", help="run the commands that wav.scp holds")
    add("--compression_method", type=int, default=2, help="Kaldi's; 0 stores 32-bit floats")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Extract, print one summary line."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(message)s")
    if args.n_mels < 1:
        raise ValueError(f"--n_mels: {args.n_mels}, expected 80 or 128")
    from espnet_peft.audio.extract import extract
    from espnet_peft.kaldi import read_table

    count, seconds = extract(
        args.data_dir,
        args.out_dir,
        feats_type=args.feats_type,
        n_mels=args.n_mels,
        keys=set(read_table(args.key_file)) if args.key_file else None,
        expected_rate=args.expected_rate,
        allow_pipes=args.allow_pipes,
        compression=args.compression_method,
    )
    print(f"{args.out_dir}: {count} utterances, {seconds / 3600:.2f} hours")


if __name__ == "__main__":
    run(main, "extract_features")
