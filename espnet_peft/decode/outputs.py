"""Writes results as ESPnet does: `1best_recog/{text,token,token_int,score}` and the speed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.kaldi import write_table
from espnet_peft.kaldi.table import write_bytes


def write_results(out_dir: str | Path, utt_ids: Sequence[str], results: list[Hypothesis]) -> None:
    """Write one line an utterance in byte order; an empty result is the id alone.

    `text` comes last, so that it stands for a complete directory.
    """
    folder = Path(out_dir) / "1best_recog"
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "token": [" ".join(result.pieces) for result in results],
        "token_int": [" ".join(map(str, result.tokens)) for result in results],
        "score": [f"{result.score:.6f}" for result in results],
        "text": [result.text for result in results],
    }
    for file, values in columns.items():
        write_table(folder / file, dict(zip(utt_ids, values, strict=True)))


def write_speed(out_dir: str | Path, speed: dict[str, float]) -> None:
    """Write speed.json."""
    write_bytes(Path(out_dir) / "speed.json", (json.dumps(speed, indent=2) + "\n").encode())
