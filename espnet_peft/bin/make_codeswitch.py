"""Make utterances that switch language, with a reference timeline, from data directories."""

from __future__ import annotations

import argparse

from espnet_peft.bin import run

PROG = "make_codeswitch"


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=__doc__,
        epilog="Also writes <out_dir>_segments: the same audio cut at the switches, utterances of "
        "one language each. Words are cut by the file `ctm` of a data directory; without one, in "
        "pauses, where the words on both sides are an estimate.",
    )
    add = parser.add_argument
    add(
        "--kind",
        required=True,
        choices=["inter", "intra", "rapid"],
        help="inter: 2 or 3 utterances joined; intra: words of a sentence replaced by words of "
        "another language; rapid: 4 to 8 short phrases of two languages in turn",
    )
    add("--data_dirs", required=True, help="data directories with text and utt2lang")
    add("--out_dir", required=True, help="directory to write; must not exist")
    add("--n", type=int, default=60, help="utterances to make (default: 60)")
    add("--seed", type=int, default=0, help="of all choices (default: 0)")
    add(
        "--same_voice",
        default="",
        help="pattern in speaker ids: only speakers in whom its group matches the same text are "
        "mixed, for example '_(.+)' for it_f3 and hi_f3 (default: any speakers)",
    )
    add("--allow_pipes", action="store_true", help="run the commands that wav.scp holds")
    add("--log_level", default="INFO")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Make one set, print one summary line."""
    args = get_parser().parse_args(argv)
    import logging

    logging.basicConfig(level=args.log_level.upper(), format="%(message)s")
    from espnet_peft.audio.codeswitch import make_mixtures
    from espnet_peft.audio.new_set import write_mixtures
    from espnet_peft.audio.source import read_sources

    directories = args.data_dirs.split()
    if not directories:
        raise ValueError("--data_dirs is empty: expected data directories")
    sources = read_sources(directories, args.same_voice, args.allow_pipes)
    try:
        mixtures = make_mixtures(sources, args.kind, args.n, args.seed)
        count, seconds = write_mixtures(mixtures, args.out_dir)
    except ValueError as error:
        raise ValueError(f"{args.data_dirs}: {error}") from error
    languages = " ".join(sources)
    print(
        f"{args.out_dir}: {count} utterances ({args.kind}; {languages}), {seconds / 60:.1f} minutes"
    )


if __name__ == "__main__":
    run(main, PROG)
