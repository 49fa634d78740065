"""The mini recipe from data to packed adapters, at its smallest size; then the other recipes.

Nothing can be learnt from twelve utterances: what is tested is that every stage passes on what
the next one needs, that finished work is kept, and that changed settings are not ignored.
"""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("recipe")  # one run serves all tests of this file

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "egs2"
SAMPLES = ROOT.parent / "shared/data"
CONF = ROOT / "test/recipe/conf"
SIZES = "--n_train_rich 12 --n_train_target 8 --n_dev 4 --n_test 4"


def run(recipe: str, *options: str) -> subprocess.CompletedProcess:
    """run.sh of a recipe; its messages are in stdout."""
    return subprocess.run(
        ["./run.sh", *options],
        cwd=RECIPES / recipe / "peft1",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )


def mini(where: Path, *options: str) -> subprocess.CompletedProcess:
    """The mini recipe with two target languages and the smallest model."""
    return run(
        "mini_lingua",
        *("--datadir", f"{where}/data", "--dumpdir", f"{where}/dump", "--expdir", f"{where}/exp"),
        *("--lang", "it pa"),
        *("--local_data_opts", SIZES, "--bootstrap", "50"),
        *("--pretrain_config", str(CONF / "pretrain.yaml")),
        *("--adapter_configs", str(CONF / "lora.yaml")),
        *options,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Directory and messages of a complete run."""
    where = tmp_path_factory.mktemp("mini")
    first = mini(where)
    assert first.returncode == 0, first.stdout
    return where, first.stdout


def test_the_table_is_printed_and_written(done):
    where, messages = done
    written = (where / "exp/mini_s1/RESULTS.md").read_text(encoding="utf-8")
    for language in ("en", "it", "pa"):
        assert f"| {language} | zero-shot |" in written
    for language in ("it", "pa"):
        assert f"| {language} | lora |" in written
    assert "zero-shot" in messages and "Trainable" in messages
    assert "stages 1 to 8 finished" in messages


def test_every_stage_left_what_the_next_one_reads(done):
    where, _ = done
    base = where / "exp/mini_s1"
    assert {"wav.scp", "text", "utt2spk", "spk2utt", "utt2lang"} <= names(where / "data/test")
    assert {"feats.scp", "utt2num_frames", "text"} <= names(where / "dump/fbank/test")
    assert {"config.json", "model.safetensors", "tokenizer.model"} <= names(base / "base_model")
    trained = names(base / "it_lora")
    assert {"config.yaml", "checkpoint.pth", "valid.wer.best.pth", "images", "adapter"} <= trained
    choice = (base / "route_oracle/test/utt2adapter").read_text().split()[1::2]
    assert sorted(set(choice)) == ["base", "it", "pa"]
    decoded = base / "lora/decode/test"
    reference = (where / "dump/fbank/test/text").read_text(encoding="utf-8").splitlines()
    for name in ("text", "token", "token_int", "score"):
        lines = (decoded / name).read_text(encoding="utf-8").splitlines()
        assert [line.split()[0] for line in lines] == [line.split()[0] for line in reference]
    assert {"ref.trn", "hyp.trn", "result.txt"} <= names(decoded / "score_wer")
    speed = json.loads((decoded / "speed.json").read_text())
    assert speed["utterances"] == len(reference) and speed["rtf"] > 0
    with zipfile.ZipFile(base / "it_lora/it_lora.zip") as archive:
        assert any(name.endswith("adapter_model.safetensors") for name in archive.namelist())


def names(folder: Path) -> set[str]:
    """Names of the files and directories of a folder."""
    return {path.name for path in folder.iterdir()}


def test_finished_stages_are_kept(done):
    where, _ = done
    files = [
        *where.glob("exp/mini_s1/*/adapter/adapter_model.safetensors"),
        where / "exp/mini_s1/base_model/model.safetensors",
        where / "dump/fbank/train_it/split/1/feats.ark",
        where / "exp/mini_s1/lora/decode/test/text",
    ]
    before = [path.stat().st_mtime_ns for path in files]
    again = mini(where, "--stage", "2")
    assert again.returncode == 0, again.stdout
    assert [path.stat().st_mtime_ns for path in files] == before
    assert "it_lora is up to date" in again.stdout


def test_replaced_audio_is_read_again_and_equal_features_keep_the_training(done):
    where, _ = done
    audio = where / "data/audio/train_it.ark"
    os.utime(audio, ns=(0, 0))
    again = mini(where, "--stage", "2", "--stop_stage", "4")
    assert again.returncode == 0, again.stdout
    assert "fbank/train_it: 8 utterances" in again.stdout
    assert "fbank/train_pa is up to date" in again.stdout
    assert "it_lora is up to date" in again.stdout


def test_a_training_with_other_settings_is_refused(done):
    where, _ = done
    other = ("--train_args", "--label_smoothing 0.2")
    changed = mini(where, "--stage", "4", "--stop_stage", "4", *other)
    assert changed.returncode != 0
    assert "was trained with other settings" in changed.stdout
    assert "--label_smoothing 0.2" in changed.stdout and "--expdir" in changed.stdout


def test_a_split_decoding_gives_the_same_text(done):
    where, _ = done
    decoded = where / "exp/mini_s1/lora/decode/test"
    before = {name: (decoded / name).read_bytes() for name in ("text", "token_int")}
    shutil.rmtree(decoded)
    again = mini(where, "--stage", "6", "--stop_stage", "7", "--inference_nj", "3")
    assert again.returncode == 0, again.stdout
    assert names(decoded / "logdir") >= {"output.1", "output.2", "output.3"}
    assert {name: (decoded / name).read_bytes() for name in before} == before


@pytest.mark.parametrize(
    "recipe, db_root, lang, options",
    [
        ("fsdd", "fsdd", "en", ["--local_data_opts", "--max_per_digit 2"]),
        (
            "commonvoice",
            "commonvoice/cv-corpus-6.1-2020-12-11",
            "it pa",
            ["--local_data_opts", "--check_audio false"],
        ),
    ],
)
def test_other_recipes_prepare_real_data_and_accept_their_settings(
    recipe, db_root, lang, options, done, tmp_path
):
    if not (SAMPLES / db_root).is_dir():
        pytest.skip(f"no sample of the corpus at ../shared/data/{db_root}")
    base = done[0] / "exp/mini_s1/base_model"
    configs = sorted((RECIPES / recipe / "peft1/conf/tuning").glob("*.yaml"))
    assert configs
    prepared = run(
        recipe,
        *("--datadir", f"{tmp_path}/data", "--dumpdir", f"{tmp_path}/dump"),
        *("--expdir", f"{tmp_path}/exp", "--db_root", str(SAMPLES / db_root), "--lang", lang),
        *("--base_model", str(base), "--base_tag", "tiny"),
        # Every configuration builds its model and its optimizer, and trains nothing.
        *("--adapter_configs", " ".join(map(str, configs)), "--train_args", "--dry_run true"),
        *("--stop_stage", "4", *options),
    )
    assert prepared.returncode == 0, prepared.stdout
    for part in ("train", "dev"):
        for language in lang.split():
            frames = tmp_path / f"dump/fbank/{part}_{language}/utt2num_frames"
            assert frames.read_text().strip()
    for config in configs:
        log = tmp_path / f"exp/tiny/{lang.split()[0]}_{config.stem}/config.yaml"
        assert "base_model" in log.read_text()
