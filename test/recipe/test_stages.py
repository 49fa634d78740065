"""What the stage driver says to wrong settings and missing inputs; nothing is trained here."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MINI = ROOT / "egs2/mini_lingua/peft1"


def run(*options: str, recipe: Path = MINI) -> subprocess.CompletedProcess:
    """run.sh of a recipe with its outputs in the place that the options name."""
    return subprocess.run(
        ["./run.sh", *options], cwd=recipe, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "options, message",
    [
        (["--no_such_option", "1"], "no_such_option"),
        (["--stage", "10"], "--stage 10: there are stages 1 to 9"),
        (["--stage", "two"], "--stage two: there are stages 1 to 9"),
        (["--skip_stages", "3 12"], "there are stages 1 to 9"),
        (["--stage", "5", "--stop_stage", "4"], "is after --stop_stage 4"),
        (["--lang", ""], "--lang is empty"),
        (["--base_model", ""], "--base_model is empty"),
        (["--nj", "0"], "--nj 0: expected a number of 1 or more"),
        (["--routes", "hard telepathy"], "--routes 'hard telepathy': found telepathy, expected"),
        (["--codeswitch_routes", "oracle"], "found oracle, expected some of: hard threshold soft"),
        (["--uncertain_kinds", "long"], "found long, expected some of: short noise"),
        (["--codeswitch_kinds", "outer"], "found outer, expected some of: inter intra rapid"),
        (["--route_configs", "conf/a.yaml"], "found conf/a.yaml, expected some of: conf/tuning"),
        (["--stage", "9", "--stop_stage", "9", "--routes", ""], "stage 9 needs a router"),
        (["--router", "dice"], "--router dice: expected one of: classifier token"),
        (["--router_sets", "train_base"], "--router_sets 'train_base': expected"),
        (["--router_config", "conf/nowhere.yaml"], "conf/nowhere.yaml: no such file"),
        (["--routing_config", "conf/nowhere.yaml"], "conf/nowhere.yaml: no such file"),
        (["--ngpu", "all"], "--ngpu all: expected a number of 0 or more"),
        (["--n_mels", "eighty"], "--n_mels eighty: expected a number of 1 or more"),
        (["--expected_rate", "16k"], "--expected_rate 16k: expected a number"),
        (["--feats_type", "mfcc"], "--feats_type mfcc: expected one of: fbank raw"),
        (["--normalise", "all"], "--normalise all: expected one of: basic whisper_basic none"),
        (["--token_type", "word"], "--token_type word: expected one of: char unigram bpe"),
        (["--datadir", "my data"], "--datadir 'my data': white space, a quote"),
        (["--base_tag", "it's"], "--base_tag 'it's': white space, a quote"),
        (["--dumpdir", "JOBS/dump"], "--dumpdir 'JOBS/dump': white space, a quote"),
        (["--stage"], "stage"),
        (["surplus"], "unexpected argument 'surplus'"),
        (["--lang", "it it"], "a language is named twice"),
        (["--lang", "it", "--base_langs", "it"], "a language is named twice"),
        (["--lang", "it el"], '--unknown_langs "el": a language is named twice'),
        (["--adapter_configs", "conf/nowhere.yaml"], "conf/nowhere.yaml: no such file"),
        (["--decode_config", "conf/nowhere.yaml"], "conf/nowhere.yaml: no such file"),
        (["--pad_to", "30"], "--pad_to 30"),
    ],
)
def test_wrong_settings_exit_with_one_message(options, message, tmp_path):
    done = run("--expdir", str(tmp_path / "exp"), "--dumpdir", str(tmp_path / "dump"), *options)
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / "exp").exists()


def test_help_lists_every_option_once():
    done = run("--help")
    assert done.returncode == 0
    text = done.stdout + done.stderr
    source = (ROOT / "egs2/TEMPLATE/peft1/peft.sh").read_text()
    block = source.split("# options:")[1].split("# end of options")[0]
    names = [line.split("=")[0] for line in block.splitlines()[1:] if "=" in line]
    assert len(names) > 30
    for name in names:
        assert text.count(f"--{name} (") == 1, name


@pytest.mark.parametrize("stage, maker", [(2, 1), (3, 2), (4, 2), (5, 2), (6, 2), (7, 2), (8, 4)])
def test_a_stage_without_inputs_names_the_stage_that_makes_them(stage, maker, tmp_path):
    done = run(
        *f"--stage {stage} --stop_stage {stage}".split(),
        *("--datadir", str(tmp_path / "data")),
        *("--expdir", str(tmp_path / "exp"), "--dumpdir", str(tmp_path / "dump")),
    )
    assert done.returncode != 0
    assert f"stage {maker} makes it (--stage {maker})" in done.stderr + done.stdout


def test_a_faulty_data_directory_gets_no_features(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "u.wav").write_bytes(b"unread")
    for name, rows in {
        "wav.scp": [f"s-u{n} {tmp_path}/u.wav" for n in (1, 2)],
        "text": ["s-u1 one", "s-u1 one", "s-u2 "],
        "utt2spk": ["s-u1 s", "s-u2 s"],
        "spk2utt": ["s s-u1 s-u2"],
        "utt2lang": ["s-u1 en", "s-u2 en"],
    }.items():
        (data / name).write_text("\n".join(rows) + "\n")
    done = subprocess.run(
        ["scripts/features.sh", data, tmp_path / "out"], cwd=MINI, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"{data}/text:2: id 's-u1' again" in done.stderr
    assert f"{data}/text:3: s-u2: empty transcript" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_refusal_names_what_has_changed_once(tmp_path):
    before = "seed=1\nconf/a.yaml sha256:11\ntext sha256:33\nold sha256:44\nlang=it\n"
    now = "seed=2\nconf/a.yaml sha256:22\ntext sha256:33\nlang=it\n"
    (tmp_path / ".settings").write_text(before)
    (tmp_path / "checkpoint.pth").write_text("hours of work")
    script = f'. scripts/lib.sh; resume_or_refuse {tmp_path} "$1"'
    command = ["bash", "-euo", "pipefail", "-c", script, "test", now.rstrip()]
    done = subprocess.run(command, cwd=MINI, capture_output=True, text=True)
    assert done.returncode != 0
    changes = "then seed=1; content of conf/a.yaml; now seed=2; content of old"
    assert f"was trained with other settings ({changes})" in done.stderr
    assert (tmp_path / ".settings").read_text() == before
    # What never came to a checkpoint may begin again with other settings.
    (tmp_path / "checkpoint.pth").unlink()
    assert subprocess.run(command, cwd=MINI).returncode == 0
    assert (tmp_path / ".settings").read_text() == now


def test_scores_are_kept_until_text_or_settings_change(tmp_path):
    data, decoded = tmp_path / "data", tmp_path / "decoded"
    for folder, name, line in [
        (data, "text", "s-u1 One two"),
        (data, "utt2spk", "s-u1 s"),
        (data, "utt2lang", "s-u1 en"),
        (decoded, "text", "s-u1 one too"),
    ]:
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(line + "\n")

    def score(*options: str) -> tuple[int, float]:
        """When score.json was written, and the word error rate in it."""
        command = ["scripts/score.sh", "--bootstrap", "0", *options, data, decoded]
        done = subprocess.run(command, cwd=MINI, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        path = decoded / "score.json"
        return path.stat().st_mtime_ns, json.loads(path.read_text())["wer"]

    first = score()
    assert first[1] == 0.5 and score() == first
    assert score("--normalise", "none")[1] == 1.0
    (decoded / "text").write_text("s-u1 one two\n")
    assert score()[1] == 0.0


def test_a_strategy_without_its_router_names_what_is_missing(tmp_path):
    for name in ("data/text", "data/utt2lang", "base/config.json", "base/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("u1 hi\n")

    def decode(*options: str) -> str:
        command = ["scripts/decode.sh", "--adapters", "hi=nowhere", "--strategy", "hard", *options]
        places = [tmp_path / "base", tmp_path / "data", tmp_path / "out"]
        done = subprocess.run([*command, *places], cwd=MINI, capture_output=True, text=True)
        assert done.returncode != 0 and not (tmp_path / "out").exists()
        return done.stderr

    assert "--strategy hard needs --router" in decode()
    assert "stage 5 makes it (--stage 5)" in decode("--router", str(tmp_path / "router"))
    assert "stage 4 makes it (--stage 4)" in decode("--router", "token")


def test_setup_makes_a_recipe_that_explains_itself(tmp_path):
    target = ROOT / "egs2" / f"zz_test_{os.getpid()}" / "peft1"
    try:
        made = subprocess.run(
            [ROOT / "egs2/TEMPLATE/peft1/setup.sh", target], capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        again = subprocess.run(
            [ROOT / "egs2/TEMPLATE/peft1/setup.sh", target], capture_output=True, text=True
        )
        assert again.returncode != 0 and "exists already" in again.stderr
        done = run("--stop_stage", "1", recipe=target)
        assert done.returncode != 0 and "local/data.sh: write here" in done.stderr
    finally:
        subprocess.run(["rm", "-rf", target.parent])


def test_an_official_name_is_not_made_by_another_recipe(tmp_path):
    """`small` is no path, so nothing is trained in its place; a missing path is."""
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    (recipe / "run.sh").write_text("#!/bin/sh\necho the other recipe ran with $*\nexit 3\n")
    (recipe / "run.sh").chmod(0o755)

    def base(model: str) -> str:
        command = ["scripts/base.sh", "--base_recipe", str(recipe)]
        command += ["--base_recipe_opts", "--seed 7", model, str(tmp_path / "out")]
        done = subprocess.run(command, cwd=MINI, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0 and not (tmp_path / "out").exists()
        return done.stdout + done.stderr

    assert "the other recipe ran" not in base("no-such-whisper")
    made = base(str(tmp_path / "exp/base_model"))
    assert "the other recipe ran with --stop_stage 3 --seed 7" in made


def test_the_reason_of_a_failed_job_is_the_last_line(tmp_path):
    done = run(
        *"--stage 2 --stop_stage 2".split(),
        *("--datadir", str(tmp_path / "data"), "--dumpdir", str(tmp_path / "dump")),
    )
    assert done.returncode != 0
    assert "stage 1 makes it (--stage 1)" in done.stderr.splitlines()[-1]
