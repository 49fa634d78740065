"""Joins the results of a decoding that was split into jobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from espnet_peft.decode.outputs import ROUTED_FILES, TIMELINE, write_speed
from espnet_peft.kaldi import read_table, write_table
from espnet_peft.kaldi.timeline import read_timeline, write_timeline

FILES = ("text", "token", "token_int", "score")
SUMMED = ("utterances", "audio_seconds", "decode_seconds", "load_seconds")
SUMMED_ROUTED = ("route_seconds", "route_encoder_seconds")

Value = TypeVar("Value")


def merge_jobs(job_dirs: Sequence[str | Path], out_dir: str | Path) -> dict:
    """Join `1best_recog/` and speed.json of jobs in out_dir; returns the joined speed.

    Seconds are summed over jobs, so that the real-time factor is that of one job. Raises
    ValueError where an utterance was decoded by two jobs or jobs were decoded by different
    strategies, FileNotFoundError where a job did not finish; then nothing is written.
    """
    jobs = [Path(job) for job in job_dirs]
    speeds = [json.loads((job / "speed.json").read_text(encoding="utf-8")) for job in jobs]
    tables = {name: join([job / "1best_recog" / name for job in jobs]) for name in FILES}
    timeline = None
    for name in ROUTED_FILES:
        paths = [job / "1best_recog" / name for job in jobs]
        if not any(path.exists() for path in paths):
            continue
        if name == TIMELINE:
            timeline = join(paths, read_timeline)
        else:
            tables[name] = join(paths)
    speed = join_speeds(speeds, jobs)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in ROUTED_FILES:
        (out_dir / name).unlink(missing_ok=True)
    for name, table in tables.items():
        write_table(out_dir / name, table)
    if timeline is not None:
        write_timeline(out_dir / TIMELINE, timeline)
    write_speed(out_dir, speed)
    return speed


def join_speeds(speeds: Sequence[Mapping], jobs: Sequence[Path]) -> dict:
    """What speed.json holds of all jobs together."""
    strategies = {speed.get("strategy") for speed in speeds}
    if len(strategies) > 1:
        pairs = zip(jobs, speeds, strict=True)
        found = ", ".join(f"{job} {speed.get('strategy')}" for job, speed in pairs)
        raise ValueError(f"strategies of jobs differ: {found}; decode them all by the same one")
    speed = dict(speeds[0])
    routed = speed.get("strategy") is not None
    for key in SUMMED + (SUMMED_ROUTED if routed else ()):
        speed[key] = round(sum(one[key] for one in speeds), 4)
    speed["rtf"] = round(speed["decode_seconds"] / speed["audio_seconds"], 6)
    if routed:
        seconds = speed["route_seconds"]
        speed["route_ms_per_utterance"] = round(1000 * seconds / speed["utterances"], 4)
        speed["route_share"] = round(seconds / speed["decode_seconds"], 6)
        speed["prefix_shared"] = all(one["prefix_shared"] for one in speeds)
        speed["adapters_loaded"] = max(one["adapters_loaded"] for one in speeds)
    return speed


def join(
    paths: Sequence[Path], read: Callable[[Path], dict[str, Value]] = read_table
) -> dict[str, Value]:
    """The rows of all tables; no id may stand in two of them."""
    joined: dict[str, Value] = {}
    for path in paths:
        for utt_id, value in read(path).items():
            if utt_id in joined:
                raise ValueError(f"{path}: {utt_id} was decoded by another job too; decode again")
            joined[utt_id] = value
    return joined
