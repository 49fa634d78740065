"""Joins the results of a decoding that was split into jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from espnet_peft.decode.outputs import write_speed
from espnet_peft.kaldi import read_table, write_table

FILES = ("text", "token", "token_int", "score")


def merge_jobs(job_dirs: Sequence[str | Path], out_dir: str | Path) -> dict:
    """Join `1best_recog/` and speed.json of jobs in out_dir; returns the joined speed.

    Seconds are summed over jobs, so that the real-time factor is that of one job. Raises
    ValueError where an utterance was decoded by two jobs, FileNotFoundError where a job did not
    finish; then nothing is written.
    """
    jobs = [Path(job) for job in job_dirs]
    tables = {name: join([job / "1best_recog" / name for job in jobs]) for name in FILES}
    speeds = [json.loads((job / "speed.json").read_text(encoding="utf-8")) for job in jobs]
    speed = dict(speeds[0])
    for key in ("utterances", "audio_seconds", "decode_seconds", "load_seconds"):
        speed[key] = round(sum(one[key] for one in speeds), 4)
    speed["rtf"] = round(speed["decode_seconds"] / speed["audio_seconds"], 6)
    Path(out_dir).mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        write_table(Path(out_dir) / name, table)
    write_speed(out_dir, speed)
    return speed


def join(paths: Sequence[Path]) -> dict[str, str]:
    """The rows of all tables; no id may stand in two of them."""
    joined: dict[str, str] = {}
    for path in paths:
        for utt_id, value in read_table(path).items():
            if utt_id in joined:
                raise ValueError(f"{path}: {utt_id} was decoded by another job too; decode again")
            joined[utt_id] = value
    return joined
