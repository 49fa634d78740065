import json
import subprocess

import pytest

from espnet_peft.bin import results
from espnet_peft.scoring.results import git_hash

TOTAL = 1_200_000


def put(exp_dir, system, name, wer, trainable=None, seed=1, languages=("hi",), decode="greedy"):
    rates = {"wer": wer, "cer": wer / 2, "ser": 1.0, "mer": wer, "wil": wer, "wip": 1 - wer}
    rates |= {"utterances": 100, "words": {"ref": 600}, "wer_ci": [wer - 0.01, wer + 0.01]}
    score = {"set": name, **rates, "normalise": "basic"}
    score["per_language"] = {language: rates for language in languages}
    folder = exp_dir / "mini" / system / decode / name
    folder.mkdir(parents=True)
    (folder / "score.json").write_text(json.dumps(score))
    (folder / "speed.json").write_text(json.dumps({"rtf": 0.0123}))
    if trainable:
        stats = {"trainable": trainable, "total": TOTAL, "train_seconds": 150.0, "seed": seed}
        stats["git_hash"] = "0123abc"
        (folder.parents[1] / "train_stats.json").write_text(json.dumps(stats))


def fill(exp_dir, seed=1, shift=0.0):
    put(exp_dir, "base", "test_hi", 0.8)
    put(exp_dir, "hi_lora_r16", "test_hi", 0.1 + shift, 120_000, seed)
    put(exp_dir, "hi_full", "test_hi", 0.06 + shift, TOTAL, seed)
    return exp_dir


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
    (exps[1] / "mini/hi_full/greedy/test_hi/score.json").unlink()
    assert "Not scored for every seed: hi full of test_hi (1 of 2)." in make(tmp_path, *exps)


def test_several_languages_and_sets(tmp_path):
    exp = tmp_path / "exp"
    put(exp, "base", "test_all", 0.5, languages=("hi", "it"))
    put(exp, "hi_lora", "test_all", 0.25, 1000, languages=("hi", "it"))
    put(exp, "hi_lora", "test_hi", 0.2, languages=("hi",))
    put(exp, "hi_lora", "test_all", 0.24, languages=("hi", "it"), decode="beam5")
    text = make(tmp_path, exp)
    assert "| hi (test_all) | lora | 25.0 |" in text
    assert "| hi (test_hi) | lora | 20.0 |" in text
    assert "| all (test_all) | lora | 25.0 | 12.5 | 50.0 % |" in text
    assert "## mini, beam5" in text


def routed(base_dir, seed=1):
    """Fill exp/<base_tag> as the recipe does: systems by method, training by language."""
    exp_dir = base_dir / "spare"
    put(exp_dir, "base", "test_hi", 0.8)
    put(exp_dir, "lora_r16", "test_hi", 0.1)
    put(exp_dir, "base", "test_all", 0.8, languages=("hi", "pa"))
    put(exp_dir, "lora_r16", "test_all", 0.2, languages=("hi", "pa"))
    for folder in (exp_dir / "mini").iterdir():
        folder.rename(base_dir / folder.name)
    for language, trainable in (("hi", 60_000), ("pa", 120_000)):
        stats = {"trainable": trainable, "total": TOTAL, "train_seconds": 45.0, "seed": seed}
        (base_dir / f"{language}_lora_r16").mkdir()
        (base_dir / f"{language}_lora_r16/train_stats.json").write_text(json.dumps(stats))
    return base_dir


def test_base_directories_with_routed_adapters(tmp_path):
    text = make(tmp_path, routed(tmp_path / "mini_s1", 1), routed(tmp_path / "mini_s2", 2))
    assert "## mini_s1, mini_s2, greedy" in text
    assert "- number of seeds: 2 (1, 2)\n" in text
    row = "| hi (test_hi) | lora_r16 | 10.0 ± 0.0 | 5.0 ± 0.0 | 87.5 % | 60,000 (5 %) | 45 s |"
    assert row in text
    row = "| pa (test_all) | lora_r16 | 20.0 ± 0.0 | 10.0 ± 0.0 | 75.0 % | 120,000 (10 %) | 45 s |"
    assert row in text
    assert "| all (test_all) | lora_r16 | 20.0 ± 0.0 | 10.0 ± 0.0 | 75.0 % | – | – |" in text


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
    broken = exp / "mini/base/greedy/test_hi/score.json"
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
