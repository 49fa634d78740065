"""Writes results as ESPnet does: `1best_recog/{text,token,token_int,score}` and the speed.

A routed decoding writes its choices beside them: utt2adapter, utt2lang, utt2langprob, timeline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.kaldi import write_table
from espnet_peft.kaldi.table import write_bytes
from espnet_peft.kaldi.timeline import write_timeline
from espnet_peft.routing.metrics import langprob_text

TIMELINE = "timeline"
ROUTED_FILES = ("utt2adapter", "utt2lang", "utt2langprob", TIMELINE)


def write_results(
    out_dir: str | Path,
    utt_ids: Sequence[str],
    results: Sequence[Hypothesis],
    routed: bool = False,
) -> None:
    """Write one line an utterance in byte order; an empty result is the id alone.

    `text` comes last, so that it stands for a complete directory; what an earlier decoding wrote
    of choices goes.
    """
    folder = Path(out_dir) / "1best_recog"
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("text", *ROUTED_FILES):
        (folder / file).unlink(missing_ok=True)
    columns = routed_columns(results) if routed else {}
    columns |= {
        "token": [" ".join(result.pieces) for result in results],
        "token_int": [" ".join(map(str, result.tokens)) for result in results],
        "score": [f"{result.score:.6f}" for result in results],
        "text": [result.text for result in results],
    }
    if routed and all(result.spans for result in results):
        spans = [result.spans for result in results]
        write_timeline(folder / TIMELINE, dict(zip(utt_ids, spans, strict=True)))
    for file, values in columns.items():
        write_table(folder / file, dict(zip(utt_ids, values, strict=True)))


def routed_columns(results: Sequence[Hypothesis]) -> dict[str, list[str]]:
    """The choices by file: adapters, languages and probabilities, where there are any."""
    columns = {"utt2adapter": [adapter_text(result.shares) for result in results]}
    if all(result.language for result in results):
        columns["utt2lang"] = [result.language for result in results]
    if all(result.probabilities for result in results):
        columns["utt2langprob"] = [langprob_text(result.probabilities) for result in results]
    return columns


def adapter_text(shares: Mapping[str, float]) -> str:
    """`hi` for one adapter, `hi:0.70 pa:0.30` for a mixture, the greatest share first."""
    if len(shares) == 1:
        return next(iter(shares))
    return " ".join(f"{name}:{share:.2f}" for name, share in shares.items())


def write_speed(out_dir: str | Path, speed: Mapping) -> None:
    """Write speed.json."""
    write_bytes(Path(out_dir) / "speed.json", (json.dumps(speed, indent=2) + "\n").encode())
