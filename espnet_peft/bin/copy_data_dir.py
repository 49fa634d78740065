"""Copy a data directory, with a prefix or suffix at its utterance and speaker ids."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet_peft.bin import run
from espnet_peft.bin import validate_data_dir as validate
from espnet_peft.kaldi.copy import rename
from espnet_peft.kaldi.data_dir import read_data_dir, refuse_same, write_data_dir


def get_parser() -> argparse.ArgumentParser:
    """Kaldi's options, with dashes or underscores."""
    parser = argparse.ArgumentParser(prog="copy_data_dir", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("source", help="directory to copy")
    add("dest", help="directory to write; known files that the source lacks are removed there")
    for name in ("utt", "spk"):
        for end in ("prefix", "suffix"):
            add(f"--{name}-{end}", f"--{name}_{end}", default="", help=f"{end} for {name} ids")
    add("--utt-extra-files", "--utt_extra_files", default="", help="further utterance-keyed files")
    add(
        "--validate-opts",
        "--validate_opts",
        default="",
        help="options for validate_data_dir, such as --validate-opts=--no-spk-sort",
    )
    return parser


def main(argv: list[str] | None = None) -> None:
    """Copy, then validate the copy."""
    args = get_parser().parse_args(argv)
    refuse_same([args.source], args.dest)
    data = read_data_dir(args.source, args.utt_extra_files.split())
    copied = rename(
        data,
        utt_prefix=args.utt_prefix,
        utt_suffix=args.utt_suffix,
        spk_prefix=args.spk_prefix,
        spk_suffix=args.spk_suffix,
    )
    write_data_dir(copied, args.dest)
    print(f"copy_data_dir: copied {len(copied.utt_ids)} utterances to {args.dest}")
    # A copy is as complete as its source; whether audio is in reach is not the copy's business.
    absent = {"feats.scp": "--no-feats", "text": "--no-text", "wav.scp": "--no-wav"}
    options = [option for name, option in absent.items() if not (Path(args.dest) / name).exists()]
    options += ["--no-paths", "--allow-pipes", *args.validate_opts.split(), args.dest]
    validate.main(options)


if __name__ == "__main__":
    run(main, "copy_data_dir")
