"""tools/installers/install.sh with installers that only write down that they ran."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


class Tools:
    """A copy of tools/ whose installers of dev and torch append their settings to a file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        (root / "installers").mkdir(parents=True)
        for name in ("installers/install.sh", "installers/install_python.sh"):
            shutil.copy(TOOLS / name, root / name)
        (root / "constraints.txt").write_text("torchaudio==1\nruff==1\n")
        for name in ("dev", "torch"):
            self.write(name, f'echo "{name} $TORCH_VERSION $TORCH_INDEX" >>"$VENV/../runs"')

    def write(self, name: str, body: str) -> None:
        path = self.root / "installers" / f"install_{name}.sh"
        path.write_text(f"#!/usr/bin/env bash\nset -e\n{body}\n")
        path.chmod(0o755)

    def install(self, *components: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "TORCH_VERSION": "2", "TORCH_INDEX": "", **settings}
        return subprocess.run(
            [str(self.root / "installers" / "install.sh"), *components],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def ran(self) -> list[str]:
        return self.runs.read_text().splitlines() if self.runs.exists() else []


@pytest.fixture
def tools(tmp_path):
    return Tools(tmp_path / "tools")


def test_a_second_call_installs_nothing(tools):
    assert tools.install("dev").returncode == 0
    again = tools.install("dev")
    assert (again.returncode, again.stdout, len(tools.ran())) == (0, "", 1)


def test_a_changed_installer_or_version_installs_again(tools):
    tools.install("dev")
    tools.write("dev", 'echo other >>"$VENV/../runs"')
    tools.install("dev")
    (tools.root / "constraints.txt").write_text("ruff==2\n")
    tools.install("dev")
    assert tools.ran() == ["dev 2 ", "other", "other"]


def test_touched_files_do_not_install_again(tools):
    tools.install("dev")
    os.utime(tools.root / "installers" / "install_dev.sh")
    tools.install("dev")
    assert len(tools.ran()) == 1


def test_torch_follows_its_version_and_index(tools):
    tools.install("torch")
    tools.install("torch", TORCH_VERSION="3", TORCH_INDEX="url", GIVEN="TORCH_VERSION TORCH_INDEX")
    tools.install("torch", TORCH_VERSION="3", TORCH_INDEX="url")
    assert tools.ran() == ["torch 2 ", "torch 3 url"]
    settings = (tools.root / "venv" / "settings.mk").read_text().splitlines()
    assert settings == ["TORCH_VERSION ?= 3", "TORCH_INDEX ?= url"]


def test_a_failure_shows_its_end_and_is_tried_again(tools):
    tools.write("dev", "echo the reason; exit 3")
    for _ in range(2):
        failed = tools.install("dev")
        assert failed.returncode == 1
        assert "the reason" in failed.stderr
        assert "tools: error: dev: installation failed" in failed.stderr


def test_an_unknown_component_lists_what_there_is(tools):
    failed = tools.install("deV")
    assert failed.returncode == 1
    assert failed.stderr.strip() == (
        "tools: error: deV: no such component, expected one of dev python torch"
    )


@pytest.mark.parametrize(
    "body, message",
    [
        ('case "$2" in *print*) echo 3.8 ;; *) exit 1 ;; esac', "Python 3.8"),
        ("exit 127", "cannot be run as Python"),
    ],
)
def test_a_python_that_will_not_do_is_one_line(tools, body, message):
    python = tools.root / "python"
    python.write_text(f"#!/bin/sh\n{body}\n")
    python.chmod(0o755)
    done = tools.install("python", "dev", PYTHON=str(python), VENV=str(tools.root / "venv"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"tools: error: {python}: {message}")
    assert tools.ran() == []
