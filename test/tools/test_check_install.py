"""tools/check_install.py tells what is there and fails when a required thing is not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "check_install.py"


@pytest.fixture
def checker(monkeypatch):
    spec = importlib.util.spec_from_file_location("check_install", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up there.
    monkeypatch.setitem(sys.modules, "check_install", module)
    spec.loader.exec_module(module)
    return module


def test_this_environment_is_complete(checker, capsys):
    assert checker.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["component", "version", "state"]
    assert {line.split()[0] for line in lines[2:]} == {c.name for c in checker.COMPONENTS}


def test_versions_are_the_installed_ones(checker):
    row = checker.check(next(c for c in checker.COMPONENTS if c.name == "pytest"))
    assert (row.state, row.version) == ("ok", pytest.__version__)


def test_a_missing_required_package_fails(checker, capsys, monkeypatch):
    gone = checker.Component("no-such-package", "nothing", "make -C tools x", module="nothing")
    monkeypatch.setattr(checker, "COMPONENTS", (gone,))
    assert checker.main([]) == 1
    out, err = capsys.readouterr()
    assert "MISSING" in out
    assert "no-such-package: required, but not usable; run: make -C tools x" in err


def test_a_missing_program_is_optional(checker, capsys, monkeypatch):
    gone = checker._program("no-such-program", "nothing", "apt-get install x")
    monkeypatch.setattr(checker, "COMPONENTS", (gone,))
    assert checker.main([]) == 0
    assert "- (optional)" in capsys.readouterr().out


def test_a_package_that_cannot_be_imported_fails(checker, capsys, monkeypatch):
    broken = checker.Component("pytest", "tests", "make -C tools dev", module="pytest.no_such_part")
    monkeypatch.setattr(checker, "COMPONENTS", (broken,))
    assert checker.main(["--import"]) == 1
    assert "BROKEN" in capsys.readouterr().out
