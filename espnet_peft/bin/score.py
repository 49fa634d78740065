"""Score hypotheses against references: WER, CER and more, as sclite, Kaldi and jiwer count them."""

import argparse
import logging
from pathlib import Path
from typing import Any

from espnet_peft.bin import run

PROG = "score"


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG,
        description=__doc__,
        epilog="Writes score.json, wer (Kaldi's lines) and score_wer/ and score_cer/ with ref.trn, "
        "hyp.trn and result.txt. WER, CER and SER are sclite's; MER, WIL and WIP are jiwer's.",
    )
    parser.add_argument("--ref", required=True, help="references: '<utt_id> <text>' lines")
    parser.add_argument("--hyp", required=True, help="hypotheses: '<utt_id> <text>' lines")
    parser.add_argument("--out_dir", required=True, help="where to write the reports")
    parser.add_argument("--set", help="name of the set; default: the name of --out_dir")
    parser.add_argument("--utt2spk", help="speakers; default: each utterance its own")
    parser.add_argument("--utt2lang", help="languages, to score each of them too")
    parser.add_argument(
        "--normalise",
        default="basic",
        choices=["basic", "whisper_basic", "none"],
        help="text normalisation of both sides (default: basic)",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=1000,
        help="samples for the 95%% confidence intervals; 0: none (default: 1000)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples (default: 0)")
    parser.add_argument(
        "--allow_missing",
        action="store_true",
        help="score references without a hypothesis as deletions, not as an error",
    )
    parser.add_argument("--log_level", default="INFO", help="DEBUG, INFO, WARNING or ERROR")
    return parser


def score_files(args: argparse.Namespace) -> dict[str, Any]:
    """Read, score and write; return what is in score.json."""
    from espnet_peft.scoring.evaluate import Scoring, pair, score, write_reports, write_score
    from espnet_peft.scoring.files import read_lines

    if args.bootstrap < 0:
        raise ValueError(f"--bootstrap: {args.bootstrap}, expected 0 or more")
    refs, hyps = read_lines(args.ref), read_lines(args.hyp)
    maps = [read_lines(p, one_field=True) if p else None for p in (args.utt2spk, args.utt2lang)]
    try:
        utterances = pair(refs, hyps, maps[0], maps[1], args.normalise, args.allow_missing)
    except ValueError as error:
        raise ValueError(f"{args.hyp} against {args.ref}: {error}") from error
    missing = sum(key not in hyps for key in refs)
    if missing:
        logging.warning("%s: %d utterances missing, scored as deletions", args.hyp, missing)
    words, chars = Scoring(utterances, "word"), Scoring(utterances, "char")
    out_dir = Path(args.out_dir)
    result = {
        "set": args.set or out_dir.resolve().name,
        **score(utterances, words, chars, args.bootstrap, args.seed),
        "normalise": args.normalise,
        "missing_hypotheses": missing,
        "bootstrap": {"samples": args.bootstrap, "level": 0.95, "seed": args.seed},
    }
    (out_dir / "score.json").unlink(missing_ok=True)  # it comes last and vouches for the rest
    write_reports(out_dir / "score_wer", utterances, words)
    write_reports(out_dir / "score_cer", utterances, chars)
    write_score(out_dir, result)
    return result


def main(argv: list[str] | None = None) -> None:
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=args.log_level, format="%(levelname)s: %(message)s")
    result = score_files(args)

    from espnet_peft.scoring.evaluate import kaldi_lines

    for line in kaldi_lines({**result, "per_speaker": {}}):
        print(line)
    if interval := result.get("wer_ci"):
        low, high = (100 * value for value in interval)
        print(f"95% confidence interval of WER over utterances: {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    run(main, PROG)
