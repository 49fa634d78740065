"""Imports go down only: who may import whom, read from the sources without running them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "espnet_peft"

FLOORS = {
    "kaldi": 1,
    "audio": 1,
    "scoring": 1,
    "adapters": 2,
    "models": 3,
    "routing": 3,
    "train": 4,
    "decode": 4,
    "bin": 5,
}
# On one floor a part may use another only where this says so.
SAME_FLOOR = {
    ("audio", "kaldi"),
    ("scoring", "kaldi"),  # language timelines
    ("routing", "models"),
    ("train", "decode"),  # validation decodes
}
# Packages that cost seconds to import: bin/ imports none of them before main() runs.
HEAVY = {"torch", "torchaudio", "peft", "transformers", "espnet2", "whisper", "librosa"}
MAY_IMPORT_ESPNET = ("train/", "models/owsm.py")
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "common.py"}

SOURCES = sorted(p for p in PACKAGE.rglob("*.py"))
IDS = [str(p.relative_to(PACKAGE)) for p in SOURCES]


def imports(tree: ast.AST, top_only: bool = False) -> set[str]:
    """Dotted names that a module imports; `from a.b import c` gives `a.b.c`, which covers a.b.

    `top_only` leaves out what functions import when they are called, and type checking blocks.
    """
    names: set[str] = set()
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import, expected a full name"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif top_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            todo.extend(node.orelse)
        else:
            todo.extend(ast.iter_child_nodes(node))
    return names


def parse(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def outside(names: set[str]) -> set[str]:
    """The top-level packages among `names`."""
    return {name.partition(".")[0] for name in names}


def test_imports_reads_what_python_runs():
    tree = ast.parse(
        "import os.path\n"
        "from a.b import c\n"
        "if TYPE_CHECKING:\n    import t\n"
        "try:\n    import u\nexcept ImportError:\n    pass\n"
        "def f():\n    import torch\n"
    )
    assert imports(tree) == {"os.path", "a.b.c", "u", "torch"}
    assert imports(tree, top_only=True) == {"os.path", "a.b.c", "u"}


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_imports_go_down(path):
    here = part_of(path)
    if here not in FLOORS:
        assert path.parent == PACKAGE, f"{here}/ has no floor: add it to FLOORS"
        return
    for name in imports(parse(path)):
        parts = name.split(".")
        if parts[0] != "espnet_peft" or len(parts) < 2 or parts[1] not in FLOORS:
            continue
        there = parts[1]
        allowed = there == here or FLOORS[there] < FLOORS[here] or (here, there) in SAME_FLOOR
        assert allowed, f"{here} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})"


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_heavy_packages_stay_where_they_belong(path):
    place = path.relative_to(PACKAGE).as_posix()
    everywhere = outside(imports(parse(path)))
    if "espnet2" in everywhere or "espnet" in everywhere:
        assert place.startswith(MAY_IMPORT_ESPNET), "imports espnet2, which costs seconds"
    if part_of(path) in ("kaldi", "scoring"):
        assert not everywhere & HEAVY
    if part_of(path) == "adapters":
        assert not everywhere & {"whisper", "transformers", "espnet2"}, "imports a recogniser"
    if part_of(path) == "bin":
        assert not outside(imports(parse(path), top_only=True)) & HEAVY


@pytest.mark.parametrize("path", SOURCES, ids=IDS)
def test_names_say_what_is_inside(path):
    assert path.name not in FORBIDDEN_NAMES


@pytest.mark.parametrize("part", ["kaldi", "scoring"])
def test_light_parts_load_no_torch(part):
    """Importing all modules of a part leaves torch out, through any chain of imports."""
    modules = [
        "espnet_peft." + ".".join(p.relative_to(PACKAGE).with_suffix("").parts)
        for p in sorted((PACKAGE / part).glob("*.py"))
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name.removesuffix('.__init__'))\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
