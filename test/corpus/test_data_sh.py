"""The shell side: options reach the scripts, faults give one message and a status."""

import os
import subprocess

import pytest


def run(root, corpus, *arguments):
    """Run local/data.sh in its recipe; returns status and standard error."""
    process = subprocess.run(
        ["local/data.sh", *map(str, arguments)],
        cwd=root / "egs2" / corpus / "peft1",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process.returncode, process.stderr


def test_smallest_mini_lingua(root, tmp_path):
    options = "--lang it --base_langs es --n_train_rich 3 --n_train_target 3 --n_dev 1 --n_test 1"
    status, errors = run(root, "mini_lingua", *options.split(), "--data", tmp_path / "data")
    assert status == 0, errors
    made = {path.name for path in (tmp_path / "data").iterdir()}
    sets = {f"{split}_{x}" for split in ("train", "dev", "test") for x in ("es", "it")}
    assert made == sets | {"train_base", "dev_base", "audio"}


@pytest.mark.parametrize(
    "corpus, options, message",
    [
        ("mini_lingua", "--lang xx", "synthesise: error: language 'xx': no grammar"),
        ("mini_lingua", "--n_test 0", "--n_test 0: expected at least 1"),
        ("mini_lingua", "extra", "unexpected argument 'extra'"),
        ("fsdd", "", "--db_root is empty"),
        ("fsdd", "--db_root /nowhere", "fsdd: error: /nowhere: no directory recordings/"),
        ("fsdd", "--db_root /nowhere --lang de", "English only"),
        ("fsdd", "--colour red", "unknown option"),
        ("commonvoice", "--lang it", "--db_root is empty"),
        ("commonvoice", "--db_root /nowhere", "--lang is empty"),
        ("commonvoice", "--db_root /nowhere --lang it", "/nowhere: no such directory"),
        ("commonvoice", "--db_root / --lang it --remove_punct maybe", "expected true or false"),
    ],
)
def test_faults(root, tmp_path, corpus, options, message):
    status, errors = run(root, corpus, "--data", tmp_path / "data",
                         *options.split())  # fmt: skip
    assert status == 1 and message in errors and "Traceback" not in errors
    assert not (tmp_path / "data").exists()
