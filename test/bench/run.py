#!/usr/bin/env python3
"""Times a case and writes .bench/<case>.json, with the machine and the versions beside the times.

    python test/bench/run.py --case demo [--stages "1 2 3"] [--keep] [-- options of run.sh]
    python test/bench/run.py --case mixed_adapters [-- shapes, of mini tiny base]

The case `demo` is egs2/mini_lingua/peft1 from nothing, in directories of its own, stage by stage.
Times are those of one run, wall clock and CPU of all child processes; other load counts too, so
`load_before` is written down as well. The case `mixed_adapters` is described in its file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / ".bench"
PACKAGES = ("torch", "espnet", "peft", "transformers", "numpy", "kaldiio")
STAGES = {
    1: "data",
    2: "features",
    3: "base",
    4: "train",
    5: "router",
    6: "decode",
    7: "score",
    8: "pack",
}


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, load, system."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def git_hash() -> str:
    """The commit, with `+` where the working tree differs from it; "unknown" outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = "+" if git("status", "--porcelain") else ""
        return git("rev-parse", "--short=12", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def timed(command: list[str], cwd: Path, log: Path) -> dict[str, float]:
    """Run a command with its output in `log`; wall and CPU seconds. Fails as the command does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as sink:
        done = subprocess.run(
            command, cwd=cwd, stdout=sink, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        print(*tail, sep="\n", file=sys.stderr)
        raise SystemExit(f"bench: error: {' '.join(command)}: status {done.returncode}; see {log}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}


def bench_demo(work: Path, stages: list[int], options: list[str]) -> list[dict[str, Any]]:
    """Each stage of the demo by itself, in the order of the recipe, in `work`."""
    recipe = ROOT / "egs2" / "mini_lingua" / "peft1"
    rows = []
    print(f"{'stage':>5} {'':10} {'wall s':>9} {'cpu s':>9}")
    for stage in stages:
        name = STAGES[stage]
        command = ["./run.sh", "--stage", str(stage), "--stop_stage", str(stage), *options]
        for kind in ("data", "dump", "exp"):
            command += [f"--{kind}dir", str(work / kind)]
        times = timed(command, recipe, work / f"stage{stage}.log")
        rows.append({"stage": stage, "name": name, **times})
        print(format_row(rows[-1]), flush=True)
    total = {
        key: round(sum(row[key] for row in rows), 2) for key in ("wall_seconds", "cpu_seconds")
    }
    rows.append({"stage": "", "name": "total", **total})
    print(format_row(rows[-1]))
    return rows


def format_row(row: dict[str, Any]) -> str:
    return "{stage:>5} {name:10} {wall_seconds:>9} {cpu_seconds:>9}".format(**row)


def bench_mixed_adapters(work: Path, stages: list[int], options: list[str]) -> list[dict[str, Any]]:
    """Batches with several adapters, in the shapes that the options name, or in all."""
    from mixed_adapters import bench  # costs seconds, and lies beside this file

    return bench(options)


CASES = {"demo": bench_demo, "mixed_adapters": bench_mixed_adapters}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=sorted(CASES), default="demo")
    parser.add_argument("--stages", default="1 2 3 4 5 6 7 8", help="stages to run, in order")
    parser.add_argument("--keep", action="store_true", help="go on with the last run's directories")
    parser.add_argument("options", nargs="*", help="after --: those of the case")
    args = parser.parse_args()
    stages = [int(s) for s in args.stages.split()]
    if not stages or not set(stages) <= set(STAGES):
        parser.error(f"--stages {args.stages}: expected some of {' '.join(map(str, STAGES))}")

    work = OUT / args.case
    if not args.keep:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {
        "case": args.case,
        "options": args.options,
        "git_hash": git_hash(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
    }
    print(f"{args.case} at {result['git_hash']} on {result['machine']['cores']} cores"
          f" of {result['machine']['cpu']}, load {result['machine']['load_before']}")  # fmt: skip
    result["rows"] = CASES[args.case](work, stages, args.options)
    report = OUT / f"{args.case}.json"
    temporary = report.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, report)
    print(f"written: {report.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
