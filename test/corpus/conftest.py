"""The recipes' local/ folders are scripts, not packages: make their modules importable."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

for corpus in ("mini_lingua", "fsdd", "commonvoice"):
    sys.path.append(str(ROOT / "egs2" / corpus / "peft1" / "local"))


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def shared_data() -> Path:
    """Human speech beside the repository; the test is skipped where there is none."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no human speech at {path}")
    return path
