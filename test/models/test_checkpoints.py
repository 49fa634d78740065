"""What loads and what is refused, each with one line that says why."""

import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_peft.models import build_whisper, load_base, load_tokenizer, save_base


@pytest.fixture
def base_dir(miniature, tmp_path):
    save_base(miniature, tmp_path / "base")
    return tmp_path / "base"


def refuses(match, spec, kind=ValueError):
    with pytest.raises(kind, match=match) as caught:
        load_base(str(spec))
    assert "\n" not in str(caught.value)


def test_our_directory_round_trips(miniature, base_dir):
    miniature.pad_to = 30.0
    save_base(miniature, base_dir)  # again, over the old one
    again = load_base(base_dir)
    assert again.base_fingerprint == miniature.fingerprint()
    assert again.pad_to == 30.0 and not again.training
    assert again.ctc is not None and again.dims == miniature.dims
    assert again.tokenizer.prompt("hi") == miniature.tokenizer.prompt("hi")
    assert load_tokenizer(base_dir).languages == miniature.tokenizer.languages
    for name, tensor in miniature.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert not list(base_dir.glob("*.tmp"))


def test_dtype_and_fingerprint_at_load(miniature, base_dir):
    half = load_base(base_dir, dtype=torch.bfloat16)
    assert half.decoder.token_embedding.weight.dtype == torch.bfloat16
    assert half.base_fingerprint == miniature.fingerprint()


def test_foreign_and_broken_directories_are_refused(base_dir, tmp_path):
    weights = base_dir / "model.safetensors"
    config = json.loads((base_dir / "config.json").read_text())
    good = weights.read_bytes()

    weights.write_bytes(good[:1000])
    refuses("model.safetensors: not a safetensors file", base_dir)
    weights.write_bytes(good)
    state = load_file(weights)
    state["encoder.conv1.bias"][3] += 1e-4
    save_file(state, weights)
    refuses("weights are not those of .*config.json .fingerprint", base_dir)
    weights.unlink()
    refuses("model.safetensors: no such file", base_dir, FileNotFoundError)
    weights.write_bytes(good)

    for changed, match in [
        ({"dims": {**config["dims"], "n_text_layer": 3}}, "lacks decoder.blocks.2.*and .* more"),
        ({"dims": {**config["dims"], "n_text_layer": 1}}, "has unknown decoder.blocks.1"),
        ({"dims": {**config["dims"], "n_text_ctx": 65}}, r"is \[64, 32\], expected \[65, 32\]"),
        ({"dims": {**config["dims"], "n_vocab": 7}}, "n_vocab is 7"),
        ({"dims": {"n_mels": 80}}, "n_audio_state is missing"),
        ({"tokenizer": {"type": "words"}}, "type 'words'"),
    ]:
        (base_dir / "config.json").write_text(json.dumps({**config, **changed}))
        refuses(match, base_dir)
    (base_dir / "config.json").write_text("{")
    refuses("config.json: not JSON", base_dir)
    refuses("config.json: no such file", tmp_path, FileNotFoundError)


def test_what_is_no_openai_checkpoint_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    path.write_bytes(b"this is text")
    refuses("model.pt: not a checkpoint of tensors", path)
    torch.save({"weights": torch.zeros(1)}, path)
    refuses("model.pt: not an OpenAI Whisper checkpoint", path)
    torch.save(torch.nn.Linear(1, 1), path)  # a pickled class is not unpickled
    refuses("model.pt: not a checkpoint of tensors", path)
    dims = dict.fromkeys(("n_mels", "n_audio_ctx", "n_audio_state"), 8)
    torch.save({"dims": {**dims, "n_vocab": 1000}, "model_state_dict": {}}, path)
    refuses("vocabulary of 1000, expected one of Whisper's: 51864", path)
    torch.save({"dims": {**dims, "n_vocab": 51865}, "model_state_dict": {}}, path)
    refuses("n_audio_head is missing", path)


def test_official_names_go_through_the_whisper_package(tmp_path, monkeypatch):
    import whisper

    refuses("nor an official Whisper name; expected a path or one of: tiny.en tiny", "tinny")

    def offline(url, root, in_memory):
        raise OSError("no network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(whisper, "_download", offline)
    refuses(f"tiny: not at {tmp_path}/whisper/tiny.pt.*put the file", "tiny", FileNotFoundError)

    path = tmp_path / "whisper" / "tiny.pt"
    path.parent.mkdir()
    path.write_bytes(b"a broken file")
    monkeypatch.setattr(whisper, "_download", lambda url, root, in_memory: f"{root}/tiny.pt")
    refuses("whisper/tiny.pt: not a checkpoint", "tiny")


def test_what_is_no_hf_whisper_is_refused(tmp_path):
    from espnet_peft.models.hf_dir import DIMS

    config = {**dict.fromkeys(DIMS.values(), 8), "model_type": "whisper", "vocab_size": 51865}
    for changed, match in [
        ({"model_type": "bert"}, "model_type 'bert', expected 'whisper'"),
        ({"encoder_ffn_dim": 31}, "encoder_ffn_dim is 31, expected 32"),
        ({"activation_function": "relu"}, "activation_function is 'relu'"),
        ({"vocab_size": 99}, "vocabulary of 99"),
    ]:
        (tmp_path / "config.json").write_text(json.dumps({**config, **changed}))
        refuses(match, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    refuses("model.safetensors: no such file", tmp_path, FileNotFoundError)
    torch.save([1], tmp_path / "pytorch_model.bin")
    refuses("pytorch_model.bin: list, expected names and tensors", tmp_path)
    torch.save({"model.encoder.conv1.bias": torch.zeros(9)}, tmp_path / "pytorch_model.bin")
    refuses("not the weights of this model", tmp_path)


def test_what_is_no_checkpoint_says_so_and_is_not_run(tmp_path):
    path, mark = tmp_path / "base.pt", tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return os.system, (f"touch {mark}",)

    path.write_text("hello")
    refuses("base.pt: not a checkpoint of tensors: it is damaged, or no file", path)
    path.write_bytes(b"")
    refuses("base.pt: not a checkpoint of tensors: it is damaged, or no file", path)
    torch.save(Code(), path)
    refuses("base.pt: .*would run posix.system, which was not done", path)
    for protocol in (2, 4):
        path.write_bytes(pickle.dumps(Code(), protocol))
        refuses("base.pt: not a checkpoint of tensors", path)
    assert not mark.exists()
    torch.save({"dims": 3, "model_state_dict": {}}, path)
    refuses("base.pt: dims is int .* expected two dicts", path)


def test_weights_with_nan_are_refused(base_dir):
    config = json.loads((base_dir / "config.json").read_text())
    state = load_file(base_dir / "model.safetensors")
    state["encoder.conv1.bias"][3] = float("nan")
    save_file(state, base_dir / "model.safetensors")
    (base_dir / "config.json").write_text(json.dumps({**config, "fingerprint": None}))
    refuses("model.safetensors: .*encoder.conv1.bias holds NaN or inf", base_dir)
    (base_dir / "config.json").write_text(json.dumps({**config, "dims": None}))
    refuses("dims: found None, expected sizes", base_dir)


def test_build_names_all_wrong_sizes(char_tokenizer):
    with pytest.raises(ValueError, match="n_layers is unknown; n_audio_state is missing.*n_mels"):
        build_whisper({"n_layers": 2, "n_mels": 0}, char_tokenizer)


def test_prepare_base_command(base_dir, tmp_path):
    command = [sys.executable, "-m", "espnet_peft.bin.prepare_base", "--base_model"]
    out = tmp_path / "out"
    done = subprocess.run(
        [*command, base_dir, "--out", out, "--pad_to", "30"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert load_base(out).pad_to == 30.0
    command += [tmp_path / "nil", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("prepare_base: error: ") and done.stderr.count("\n") == 1


def test_a_full_disk_leaves_the_old_base(miniature, base_dir, monkeypatch):
    import safetensors.torch

    def full(state, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in base_dir.iterdir()}
    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        save_base(miniature, base_dir)
    assert {path.name: path.read_bytes() for path in base_dir.iterdir()} == before
