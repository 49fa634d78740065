"""Report all faults of a data directory at once."""

from __future__ import annotations

import argparse
import sys

from espnet_peft.bin import run
from espnet_peft.kaldi.table import scan_table
from espnet_peft.kaldi.validate import prefix_warnings, validate_data_dir


def get_parser() -> argparse.ArgumentParser:
    """Kaldi's options, with dashes or underscores."""
    parser = argparse.ArgumentParser(
        prog="validate_data_dir", description=__doc__, allow_abbrev=False
    )
    add = parser.add_argument
    add("data_dir", help="for example data/train")
    add("--no-feats", "--no_feats", action="store_true", help="feats.scp may be missing")
    add("--no-text", "--no_text", action="store_true", help="text may be missing")
    add("--no-wav", "--no_wav", action="store_true", help="wav.scp may be missing")
    add("--no-spk-sort", "--no_spk_sort", action="store_true", help="speaker order may differ")
    add("--non-print", "--non_print", action="store_true", help="allow odd white space in text")
    add("--lang", action="store_true", help="utt2lang must be there")
    add("--allow-pipes", "--allow_pipes", action="store_true", help="wav.scp may hold commands")
    add("--no-paths", "--no_paths", action="store_true", help="do not look for audio and features")
    add("--extra-files", "--extra_files", default="", help="further files keyed by utterance")
    add("--max-faults", "--max_faults", type=int, default=100, help="lines shown; 0: all")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Print faults on stderr and leave with 1, or say that there are none."""
    args = get_parser().parse_args(argv)
    faults = validate_data_dir(
        args.data_dir,
        feats=not args.no_feats,
        text=not args.no_text,
        wav=not args.no_wav,
        lang=args.lang,
        spk_sort=not args.no_spk_sort,
        allow_pipes=args.allow_pipes,
        check_paths=not args.no_paths,
        odd_space=args.non_print,
        extra=args.extra_files.split(),
    )
    if faults:
        raise ValueError(summarise(args.data_dir, faults, args.max_faults))
    for warning in prefix_warnings(args.data_dir):
        print(f"validate_data_dir: warning: {warning}", file=sys.stderr)
    utt2spk = scan_table(f"{args.data_dir}/utt2spk", "one").values
    print(
        f"validate_data_dir: Successfully validated data-directory {args.data_dir} "
        f"({len(utt2spk)} utterances, {len(set(utt2spk.values()))} speakers)"
    )


def summarise(data_dir: str, faults: list[str], shown: int = 100) -> str:
    """A head line and the faults, the first `shown` of them where that is not 0."""
    lines = [f"{data_dir}: {len(faults)} fault{'s' if len(faults) > 1 else ''}", *faults]
    if shown and len(faults) > shown:
        lines[shown + 1 :] = [f"... and {len(faults) - shown} more; --max_faults 0 shows all"]
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, "validate_data_dir")
