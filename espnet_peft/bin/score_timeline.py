"""Score language timelines: frame accuracy, delay of detected switches, false switches."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from espnet_peft.bin import run

PROG = "score_timeline"


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(
        prog=PROG, description=__doc__, epilog="Writes timeline.txt and timeline.json."
    )
    parser.add_argument("--ref", required=True, help="true timelines, RTTM lines")
    parser.add_argument("--hyp", required=True, help="found timelines, RTTM lines")
    parser.add_argument("--out_dir", required=True, help="where to write the reports")
    parser.add_argument("--log_level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read, score, write, and print one summary line."""
    args = get_parser().parse_args(argv)

    from espnet_peft.kaldi.timeline import read_timeline
    from espnet_peft.scoring.files import write_whole
    from espnet_peft.scoring.timeline import report, score_timelines

    try:
        result = score_timelines(read_timeline(args.ref), read_timeline(args.hyp))
    except ValueError as error:
        raise ValueError(f"{args.hyp} against {args.ref}: {error}") from error
    out_dir = Path(args.out_dir)
    (out_dir / "timeline.json").unlink(missing_ok=True)  # it comes last and vouches for the rest
    text = report(result)
    write_whole(out_dir / "timeline.txt", text)
    content = json.dumps(result, ensure_ascii=False, indent=2, allow_nan=False)
    write_whole(out_dir / "timeline.json", content + "\n")
    print(text.partition("\n\n")[0])


if __name__ == "__main__":
    run(main, PROG)
