"""Options and data that training refuses, each with one line that says what to do."""

import kaldiio
import numpy as np
import pytest

from espnet_peft.bin.train import main
from espnet_peft.train.data import expand_dir


@pytest.fixture
def data(make_data, tmp_path):
    return make_data(tmp_path / "data", 4, seed=5)


def edit(path, old, new):
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_all_faults_of_the_data_at_once(data, adapt, tmp_path):
    lines = (data / "text").read_text(encoding="utf-8").splitlines()
    lines[0] = "data-000 ab ŝ"
    lines[1] = "data-001 "
    (data / "text").write_text("\n".join(lines) + "\ndata-999 a b\n", encoding="utf-8")
    edit(data / "utt2lang", "data-002 en", "data-002 xx")
    with pytest.raises(ValueError) as caught:
        adapt(tmp_path / "out", "--train_dir", data)
    message = str(caught.value)
    assert "feats.scp: lacks data-999" in message
    assert "data-000" in message and "ŝ" in message
    assert "empty transcript: data-001" in message
    assert "data-002" in message and "'xx' is unknown" in message
    assert "\n" not in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["feats.scp", "text", "utt2lang", "utt2num_frames"])
def test_empty_or_missing_file(name, data, adapt, tmp_path):
    (data / name).write_text("")
    with pytest.raises(ValueError, match=f"{name}: empty"):
        adapt(tmp_path / "out", "--train_dir", data)
    (data / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        adapt(tmp_path / "out", "--train_dir", data)


def test_missing_directory(adapt, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such directory"):
        adapt(tmp_path / "out", "--valid_dir", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "none"], "method none would train nothing"),
        (["--method", "lara"], "lara"),
        (["--use_adapter", "true"], "expected method and method_conf"),
        (["--method_conf", "rank=3"], "rank"),
        (["--specaug_conf", "width=3"], "specaug_conf: unknown width"),
        (["--tokenizer", "t", "--build", "n_audio_state=8"], "expected one of --base_model"),
        (["--valid_wer", "false"], "valid_wer false needs another"),
        (["--scheduler_conf", "warmup_steps=99"], "expected 0 <= warmup_steps < total_steps"),
        (["--scheduler_conf", "warmup=3"], "scheduler_conf: .*'warmup'"),
        (["--optim_conf", "learning=3"], "optim_conf: adamw does not take .*'learning'"),
        (["--optim_conf", "lr=high"], "optim_conf: adamw does not take"),
        (["--batch_bins", "0", "--max_epoch", "0"], "max_epoch: found 0, .*; batch_bins: found 0"),
        (["--ngpu", "99"], "--ngpu 99: found . usable GPUs; give"),
    ],
)
def test_options(options, message, adapt, tmp_path):
    with pytest.raises(ValueError, match=message):
        adapt(tmp_path / "out", *options)


def test_unknown_key_in_the_configuration(adapt, tmp_path, capsys):
    config = tmp_path / "conf.yaml"
    config.write_text("method: lora\nlearning_rate: 1\n")
    with pytest.raises(SystemExit) as caught:
        adapt(tmp_path / "out", "--config", config)
    assert caught.value.code == 2
    assert "learning_rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: [lora\n", "conf.yaml: no YAML: .*line 2"),
        ("- method\n", "conf.yaml: found list, expected lines of `key: value`"),
        ("", "conf.yaml: found an empty file"),
        ("method_conf: 3\nmax_epoch: [1]\n", "method_conf: found 3, .*; max_epoch: found .1.,"),
        ("scheduler: never\n", "scheduler: found 'never', expected one of"),
    ],
)
def test_no_settings_in_the_configuration(text, message, toy, base, tmp_path):
    (tmp_path / "conf.yaml").write_text(text)
    options = ["--config", tmp_path / "conf.yaml", "--base_model", base, "--method", "lora"]
    options += ["--train_dir", toy / "train", "--valid_dir", toy / "valid"]
    with pytest.raises(ValueError, match=message) as caught:
        main([str(option) for option in [*options, "--output_dir", tmp_path / "out"]])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_raw_audio_in_an_ark(adapt, tmp_path):
    """16-bit samples are scaled to -1..1, and lengths come in samples."""
    raw = tmp_path / "raw"
    raw.mkdir()
    rng = np.random.default_rng(0)
    waves = {f"u{n}": rng.integers(-9000, 9000, 8000 + 800 * n).astype("int16") for n in range(4)}
    with kaldiio.WriteHelper(f"ark,scp:{raw}/wav.ark,{raw}/wav.scp") as writer:
        for utt_id, wave in waves.items():
            writer(utt_id, (16000, wave))
    for name, value in (("text", "ab c"), ("utt2lang", "en")):
        (raw / name).write_text("".join(f"{utt_id} {value}\n" for utt_id in waves))
    lengths = "".join(f"{utt_id} {len(wave)}\n" for utt_id, wave in waves.items())
    (raw / "utt2num_samples").write_text(lengths)
    triples, shape = expand_dir(str(raw))
    assert triples[0] == (str(raw / "wav.scp"), "speech", "kaldi_ark")
    dirs = ["--train_dir", raw, "--valid_dir", raw]
    adapt(tmp_path / "out", *dirs, "--batch_bins", 20000, steps=4, epochs=1)
    assert (tmp_path / "out" / "adapter").is_dir()
