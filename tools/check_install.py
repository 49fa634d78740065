#!/usr/bin/env python3
"""Shows a table of what this project uses: what is there, what it is for, how to install it.

    check_install.py [--import]     exit 1 if something that is required is missing

`--import` also imports each Python package (some seconds) instead of only asking for its version.
Standard library only, so that any Python can run it; it reports on tools/venv where there is one.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VENV = Path(__file__).resolve().parent / "venv"
OK, MISSING, BROKEN, NOT_THERE = "ok", "MISSING", "BROKEN", "-"


@dataclass(frozen=True)
class Component:
    """A thing to look for: a Python package by `module`, otherwise a program in PATH."""

    name: str
    purpose: str
    install: str
    module: str = ""
    programs: tuple[str, ...] = ()
    version_args: tuple[str, ...] = ("--version",)
    required: bool = True


@dataclass(frozen=True)
class Row:
    component: Component
    version: str
    state: str


def _package(name: str, module: str, purpose: str, target: str, required: bool = True) -> Component:
    return Component(name, purpose, f"make -C tools {target}", module=module, required=required)


def _program(
    name: str, purpose: str, install: str, *programs: str, args: tuple[str, ...] = ("--version",)
) -> Component:
    found = programs or (name,)
    return Component(name, purpose, install, "", found, version_args=args, required=False)


COMPONENTS = (
    _package("torch", "torch", "models and training", "torch"),
    _package("torchaudio", "torchaudio", "imported by ESPnet", "torch"),
    _package("espnet", "espnet2", "task and trainer", "espnet"),
    _package("espnet_model_zoo", "espnet_model_zoo", "published ESPnet models", "espnet"),
    _package("peft", "peft", "the LoRA family", "peft"),
    _package("transformers", "transformers", "HF Whisper checkpoints", "peft"),
    _package("safetensors", "safetensors", "adapters on disk", "peft"),
    _package("openai-whisper", "whisper", "checkpoints by name, token files", "peft"),
    _package("soundfile", "soundfile", "wav, flac, mp3", "audio"),
    _package("kaldiio", "kaldiio", "Kaldi archives", "audio"),
    _package("sentencepiece", "sentencepiece", "token units of small models", "audio"),
    _package("jiwer", "jiwer", "tests: scores compared with it", "audio"),
    _package("espeakng-loader", "espeakng_loader", "mini_lingua's speech", "espeak"),
    _package("pytest", "pytest", "tests", "dev"),
    _package("ruff", "ruff", "lint: Python", "dev"),
    _program("shellcheck", "lint: shell", "make -C tools dev"),
    _package("espnet_peft", "espnet_peft", "this project", "package"),
    _program("sox", "wav.scp entries that call it", "apt-get install sox"),
    _program(
        "sctk", "tests: scores compared with NIST's", "apt-get install sctk", "sctk", "sclite",
        args=(),
    ),
    _program("bats", "tests: shell", "apt-get install bats, or npm and make -C tools dev"),
    _program("sbatch", "jobs on a cluster", "by the cluster's administrator"),
    _program("nvidia-smi", "training on a GPU", "driver; make -C tools TORCH_INDEX=...", args=()),
)  # fmt: skip


def check(component: Component, do_import: bool = False) -> Row:
    """Look for one component in this Python or in PATH."""
    if component.module:
        return _check_package(component, do_import)
    for program in component.programs:
        if shutil.which(program):
            return Row(component, _program_version(program, component.version_args), OK)
    return Row(component, "", MISSING if component.required else NOT_THERE)


def _check_package(component: Component, do_import: bool) -> Row:
    try:
        version = importlib.metadata.version(component.name)
    except importlib.metadata.PackageNotFoundError:
        return Row(component, "", MISSING if component.required else NOT_THERE)
    if do_import:
        command = [sys.executable, "-c", f"import {component.module}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            print(f"{component.name}: {lines[-1] if lines else 'import failed'}", file=sys.stderr)
            return Row(component, version, BROKEN)
    return Row(component, version, OK)


def _program_version(program: str, version_args: tuple[str, ...]) -> str:
    if not version_args:
        return ""
    try:
        done = subprocess.run(
            [program, *version_args], capture_output=True, text=True, timeout=20,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    words = (done.stdout + done.stderr).replace(",", " ").split()
    numbers = (w.lstrip("vV") for w in words if w.lstrip("vV")[:1].isdigit() and "." in w)
    return next(numbers, "")


def is_failure(row: Row) -> bool:
    return row.state == BROKEN or row.state == MISSING and row.component.required


def format_table(rows: list[Row]) -> str:
    """Columns as wide as their widest cell; optional components are marked in the state."""
    cells = [("component", "version", "state", "what for", "how to install")]
    for row in rows:
        state = row.state if row.component.required else f"{row.state} (optional)"
        c = row.component
        cells.append((c.name, row.version or "-", state, c.purpose, c.install))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    text = ["  ".join(w.ljust(n) for w, n in zip(line, widths, strict=True)) for line in cells]
    return "\n".join(line.rstrip() for line in text)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--import", dest="do_import", action="store_true", help="import each Python package"
    )
    args = parser.parse_args(argv)
    rows = [check(component, args.do_import) for component in COMPONENTS]
    print(f"Python {platform.python_version()} in {sys.prefix}")
    print(format_table(rows))
    failures = [row.component for row in rows if is_failure(row)]
    for component in failures:
        print(
            f"check_install: error: {component.name}: required, but not usable;"
            f" run: {component.install}",
            file=sys.stderr,
        )
    return 1 if failures else 0


if __name__ == "__main__":
    if (VENV / "bin/python").exists() and Path(sys.prefix).resolve() != VENV:
        # Outside the environment its packages would all seem to be missing.
        os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
        os.execv(VENV / "bin/python", [str(VENV / "bin/python"), *sys.argv])
    sys.exit(main())
