"""Every command answers --help without loading anything heavy, and refuses unknown options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    p.stem for p in (ROOT / "espnet_peft" / "bin").glob("*.py") if p.stem != "__init__"
)
# Its options are ESPnet's and its own, so it asks ESPnet for them.
ASKS_ESPNET = ("train",)
HEAVY = ("torch", "torchaudio", "peft", "transformers", "espnet2", "whisper", "librosa", "scipy")


def start(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as `python -m` does, and end with a line that names heavy modules loaded."""
    code = (
        "import atexit, runpy, sys\n"
        f"show = lambda: print('loaded:', *[m for m in {HEAVY!r} if m in sys.modules])\n"
        "atexit.register(show)\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        f"runpy.run_module('espnet_peft.bin.{command}', run_name='__main__', alter_sys=True)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


def test_there_are_commands():
    assert COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_light(command):
    done = start(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    if command not in ASKS_ESPNET:
        assert done.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in ASKS_ESPNET])
def test_unknown_option_is_an_error(command):
    done = start(command, "--no_such_option", "1")
    assert done.returncode == 2
    assert "usage:" in done.stderr
