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
LANGUAGES = ["en", "es", "it", "pa"]
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
        # Bytes, since the base also meets the letters of other corpora.
        *("--pretrain_config", str(CONF / "pretrain.yaml"), "--byte_fallback", "true"),
        *("--adapter_configs", str(CONF / "lora.yaml")),
        *("--router_config", str(CONF / "router.yaml"), "--routes", "frame"),
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
    decoded = base / "lora/decode/test"
    choice = (decoded / "utt2adapter").read_text().split()[1::2]
    assert sorted(set(choice)) == ["base", "it", "pa"]
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


def test_the_router_is_trained_and_evaluated(done):
    where, messages = done
    router = where / "exp/mini_s1/router"
    assert {"config.json", "model.safetensors"} <= names(router)
    assert json.loads((router / "config.json").read_text())["languages"] == LANGUAGES
    assert {"feats.scp", "utt2lang"} <= names(where / "dump/states/mini_s1/train_it")
    report = {"accuracy.json", "confusion.png", "length.png", "result.txt", "utt2langprob"}
    assert report <= names(router / "test")
    assert str(router / "test/confusion.png") in messages


def test_each_strategy_decodes_and_has_its_row(done):
    where, messages = done
    base = where / "exp/mini_s1"
    utterances = len((where / "dump/fbank/test/text").read_text(encoding="utf-8").splitlines())
    decoded = base / "routing/lora/frame/test"
    for name in ("text", "utt2adapter", "utt2langprob"):
        assert len((decoded / name).read_text(encoding="utf-8").splitlines()) == utterances
    assert json.loads((decoded / "speed.json").read_text())["strategy"] == "frame"
    for line in (decoded / "utt2langprob").read_text().splitlines():
        fields = line.split()[1:]
        assert fields[::2] == sorted(LANGUAGES)
        assert sum(map(float, fields[1::2])) == pytest.approx(1, abs=1e-3)
    assert (decoded / "timeline").read_text().startswith("LANGUAGE ")
    written = (base / "RESULTS_routing.md").read_text(encoding="utf-8")
    for strategy in ("base", "oracle", "frame"):
        assert f"| {strategy} |" in written
    # The table of strategies is the last one that is printed.
    assert messages.rindex("oracle") > messages.rindex("zero-shot")


def test_finished_stages_are_kept(done):
    where, _ = done
    files = [
        *where.glob("exp/mini_s1/routing/lora/*/test/text"),
        where / "exp/mini_s1/router/model.safetensors",
        *where.glob("exp/mini_s1/*/adapter/adapter_model.safetensors"),
        where / "exp/mini_s1/base_model/model.safetensors",
        where / "dump/fbank/train_it/split/1/feats.ark",
        where / "exp/mini_s1/lora/decode/test/text",
        where / "exp/mini_s1/lora/decode/test/score.json",
        where / "exp/mini_s1/it_lora/it_lora.zip",
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


def test_other_routing_settings_decode_the_strategies_again_and_nothing_else(done, tmp_path):
    where, _ = done
    settings = tmp_path / "routing.yaml"
    settings.write_text("min_dwell_seconds: 0.1\n")
    stage = ("--stage", "5", "--stop_stage", "6", "--routing_config", str(settings))
    oracle = where / "exp/mini_s1/lora/decode/test"
    routed = where / "exp/mini_s1/routing/lora/frame/test"
    before = [(place / "text").stat().st_mtime_ns for place in (oracle, routed)]
    again = mini(where, *stage)
    assert again.returncode == 0, again.stdout
    after = [(place / "text").stat().st_mtime_ns for place in (oracle, routed)]
    assert after[0] == before[0] and after[1] > before[1]
    assert f"{where}/exp/mini_s1/router is up to date" in again.stdout


def test_a_split_decoding_gives_the_same_text(done):
    where, _ = done
    decoded = where / "exp/mini_s1/routing/lora/frame/test"
    files = [decoded / name for name in ("text", "token_int", "timeline")]
    before = [path.read_bytes() for path in files]
    shutil.rmtree(decoded)
    again = mini(where, "--stage", "6", "--stop_stage", "7", "--inference_nj", "2")
    assert again.returncode == 0, again.stdout
    assert names(decoded / "logdir") >= {"output.1", "output.2"}
    assert [path.read_bytes() for path in files] == before


def test_code_switched_audio_is_made_decoded_and_reported(done):
    where, _ = done
    made = mini(
        where,
        *("--stage", "9", "--stop_stage", "9", "--codeswitch_opts", "--n 4"),
        *("--codeswitch_kinds", "inter", "--codeswitch_routes", "spans"),
        *("--uncertain_kinds", "", "--unknown_langs", ""),
    )
    assert made.returncode == 0, made.stdout
    hard = where / "exp/mini_s1/hard"
    table = (hard / "RESULTS_codeswitch.md").read_text(encoding="utf-8")
    for strategy in ("alone", "base", "oracle", "spans"):
        assert f"| {strategy} |" in table
    decoded = hard / "routing/lora/spans/cs_inter"
    utterances = (where / "data/cs_inter/text").read_text(encoding="utf-8").splitlines()
    assert len((decoded / "text").read_text(encoding="utf-8").splitlines()) == len(utterances) == 4
    assert json.loads((decoded / "timeline.json").read_text())
    assert any(name.endswith(".png") for name in names(decoded / "figures"))
    # What was scored before stays as it is: hard audio has its own place.
    assert "cs_inter" not in (where / "exp/mini_s1/RESULTS.md").read_text(encoding="utf-8")


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
