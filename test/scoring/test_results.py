import json
import subprocess

import pytest

from espnet_peft.bin import results
from espnet_peft.scoring.results import git_hash

TOTAL = 1_200_000


def put(base_dir, system, name, wer, languages=("hi",), decode="greedy"):
    rates = {"wer": wer, "cer": wer / 2, "ser": 1.0, "mer": wer, "wil": wer, "wip": 1 - wer}
    rates |= {"utterances": 100, "words": {"ref": 600}, "wer_ci": [wer - 0.01, wer + 0.01]}
    score = {"set": name, **rates, "normalise": "basic"}
    score["per_language"] = {language: rates for language in languages}
    folder = base_dir / system / decode / name
    folder.mkdir(parents=True)
    (folder / "score.json").write_text(json.dumps(score))
    (folder / "speed.json").write_text(json.dumps({"rtf": 0.0123}))


def train(base_dir, language, system, trainable, seed=1):
    stats = {"trainable": trainable, "total": TOTAL, "train_seconds": 150.0, "seed": seed}
    stats["git_hash"] = "0123abc"
    folder = base_dir / f"{language}_{system}"
    folder.mkdir(parents=True)
    (folder / "train_stats.json").write_text(json.dumps(stats))


def fill(base_dir, seed=1, shift=0.0):
    """Fill exp/<base_tag> as the recipe does: systems by method, training by language."""
    put(base_dir, "base", "test_hi", 0.8)
    put(base_dir, "lora_r16", "test_hi", 0.1 + shift)
    put(base_dir, "full", "test_hi", 0.06 + shift)
    train(base_dir, "hi", "lora_r16", 120_000, seed)
    train(base_dir, "hi", "full", TOTAL, seed)
    return base_dir


def make(tmp_path, *exp_dirs, options=()):
    out = tmp_path / "RESULTS.md"
    results.main([*(f"--exp_dir={path}" for path in exp_dirs), f"--out={out}", *options])
    return out.read_text(encoding="utf-8")


def test_one_seed(tmp_path, capsys):
    text = make(tmp_path, fill(tmp_path / "exp"), options=["--setting=decoding=greedy"])
    rows = [line for line in text.splitlines() if line.startswith("| hi")]
    assert rows[:3] == [
        "| hi | zero-shot | 80.0 | 40.0 | – | 0 | – | 0.012 |",
        "| hi | lora_r16 | 10.0 | 5.0 | 87.5 % | 120,000 (10 %) | 2.5 min | 0.012 |",
        "| hi | full | 6.0 | 3.0 | 92.5 % | 1,200,000 (100 %) | 2.5 min | 0.012 |",
    ]
    start = "| hi | lora_r16 | 10.0 [9.0, 11.0] |"
    assert any(row.startswith(start) for row in rows[3:])
    assert "- decoding: greedy\n" in text
    assert "- number of seeds: 1 (1)\n" in text
    assert "- trained at commit: `0123abc`\n" in text
    assert "- text normalisation: basic\n" in text
    out = capsys.readouterr().out
    assert "lora_r16" in out and "87.5 %" in out
    assert max(map(len, out.split("\n\nWritten")[0].splitlines())) <= 100


def test_same_input_same_bytes(tmp_path):
    exp = fill(tmp_path / "exp")
    assert make(tmp_path, exp) == make(tmp_path, exp)


def test_seeds_are_averaged(tmp_path, capsys):
    shifts = (0.0, 0.02, 0.04)
    exps = [fill(tmp_path / f"exp{k}", k, shift) for k, shift in enumerate(shifts)]
    text = make(tmp_path, *exps)
    assert "| hi | lora_r16 | 12.0 ± 2.0 | 6.0 ± 1.0 | 85.0 % |" in text
    assert "- number of seeds: 3 (0, 1, 2)\n" in text
    assert "| hi | lora_r16, seed 2 | 14.0" in text
    assert "± standard deviation" in text
    assert max(map(len, capsys.readouterr().out.split("\n\nWritten")[0].splitlines())) <= 100


def test_a_seed_without_a_score_is_named(tmp_path):
    exps = [fill(tmp_path / f"exp{k}", k) for k in range(2)]
    (exps[1] / "full/greedy/test_hi/score.json").unlink()
    assert "Not scored for every seed: hi full of test_hi (1 of 2)." in make(tmp_path, *exps)


def test_several_languages_and_sets(tmp_path):
    exp = tmp_path / "mini"
    for decode, wer in (("greedy", 0.25), ("beam5", 0.24)):
        put(exp, "base", "test", 0.5, languages=("en", "hi", "it"), decode=decode)
        put(exp, "lora", "test", wer, languages=("en", "hi", "it"), decode=decode)
    put(exp, "lora", "noisy", 0.4)
    train(exp, "hi", "lora", 60_000)
    train(exp, "it", "lora", 120_000)
    text = make(tmp_path, exp)
    assert "| hi (test) | lora | 25.0 | 12.5 | 50.0 % | 60,000 (5 %) | 2.5 min | 0.012 |" in text
    assert "| it (test) | lora | 25.0 | 12.5 | 50.0 % | 120,000 (10 %) | 2.5 min | 0.012 |" in text
    assert "| hi (noisy) | lora | 40.0 |" in text
    assert "| all (test) | lora | 25.0 | 12.5 | 50.0 % | – | – |" in text
    assert "## mini, beam5" in text
    # English goes to the bare base: its one row is the zero-shot one.
    assert "| en (test) | zero-shot | 50.0 |" in text and "| en (test) | lora" not in text


def test_a_corpus_without_languages_goes_by_its_set(tmp_path):
    put(tmp_path / "exp", "base", "test_george", 0.9, languages=())
    assert "| test_george | zero-shot | 90.0 |" in make(tmp_path, tmp_path / "exp")


def test_bad_input(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such directory"):
        make(tmp_path, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="run the scoring stage first"):
        make(tmp_path, tmp_path / "empty")
    exp = fill(tmp_path / "exp")
    with pytest.raises(ValueError, match="given twice"):
        make(tmp_path, exp, exp)
    with pytest.raises(ValueError, match="expected NAME=VALUE"):
        make(tmp_path, exp, options=["--setting=nothing"])
    broken = exp / "base/greedy/test_hi/score.json"
    broken.write_text('{"wer": 1')
    with pytest.raises(ValueError, match=r"score\.json: not a JSON file"):
        make(tmp_path, exp)
    broken.write_text('{"wer": 1}')
    with pytest.raises(ValueError, match="no cer ser words utterances, expected"):
        make(tmp_path, exp)
    assert not (tmp_path / "RESULTS.md").exists()


def test_git_hash(tmp_path):
    def git(*args):
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    for name in ("code.py", "RESULTS.md"):
        (tmp_path / name).write_text("1\n")
    git("add", ".")
    git("commit", "-q", "-m", "first", "--no-verify")
    commit = git("rev-parse", "HEAD")[:12]
    (tmp_path / "RESULTS.md").write_text("2\n")
    assert git_hash(tmp_path) == commit
    (tmp_path / "code.py").write_text("2\n")
    assert git_hash(tmp_path) == f"{commit}-dirty"
    assert git_hash(tmp_path / "nowhere") == "unknown"
