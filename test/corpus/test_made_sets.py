"""The scripts that make code-switched and hard sets, run in a recipe as its stages run them."""

import os
import subprocess

import pytest

pytest.importorskip("espeakng_loader", reason="eSpeak NG is not installed")

import synthesise as corpus  # noqa: E402


def run(root, script, *arguments):
    """Run a script in the recipe; returns status and what it printed."""
    process = subprocess.run(
        [script, *map(str, arguments)],
        cwd=root / "egs2" / "mini_lingua" / "peft1",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return process.returncode, process.stdout + process.stderr


@pytest.fixture
def data(tmp_path):
    sizes = "--n_train_rich 1 --n_train_target 1 --n_dev 1 --n_test 4 --nj 1".split()
    corpus.main(["--lang", "it", "--base_langs", "en", *sizes, "--data", str(tmp_path / "data")])
    return tmp_path / "data"


def test_code_switched_sets(root, data):
    sources = [data / "test_it", data / "test_en"]
    script = "local/make_codeswitch.sh"
    options = ["--n", "3", "--same_voice", "_(.+)", "--kinds", "intra rapid"]
    status, output = run(root, script, *options, data / "cs", *sources)
    assert status == 0, output
    made = {path.name for path in data.glob("cs*")}
    assert made == {"cs_intra", "cs_intra_segments", "cs_rapid", "cs_rapid_segments"}
    before = (data / "cs_intra" / "timeline").stat().st_mtime_ns
    status, output = run(root, script, *options, data / "cs", *sources)
    assert status == 0 and output.count("is up to date") == 2
    assert (data / "cs_intra" / "timeline").stat().st_mtime_ns == before
    status, output = run(root, script, "--kinds", "mixed", data / "cs", *sources)
    assert status == 1 and "found mixed, expected some of: inter intra rapid" in output
    status, output = run(root, script, data / "cs")
    assert status == 1 and "expected 2 arguments or more, found 1" in output
    status, output = run(root, script, "--seed", "x", data / "one", *sources)
    assert status != 0 and "Traceback" not in output and not list(data.glob("one*"))


def test_hard_sets(root, data):
    status, output = run(root, "scripts/hard_sets.sh", "--snr", "5", data / "test_it", data / "t")
    assert status == 0, output
    assert {path.name for path in data.glob("t_*")} == {"t_short", "t_noise"}
    assert (data / "t_noise" / "wav").is_dir() and (data / "t_short" / "segments").is_file()
    status, output = run(root, "scripts/hard_sets.sh", "--snr", "0", data / "test_it", data / "t")
    assert status == 0 and output.count("is up to date") == 1  # the short ones
    status, output = run(root, "scripts/hard_sets.sh", data / "nothing")
    assert status == 1 and "nothing/wav.scp is missing" in output
