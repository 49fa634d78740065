"""Adapters on disk: strict, atomic, and for one base only."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_peft import adapters


@pytest.fixture
def saved(make, train, tmp_path):
    base = make()
    adapters.inject(base, adapters.make_config("lora", {"r": 4, "target": "qv"}))
    train(base)
    adapters.save(base, tmp_path / "hi", language="hi", extra={"epochs": 3})
    return tmp_path / "hi"


def edit(path, change):
    state = load_file(path / "adapter_model.safetensors")
    change(state)
    save_file(state, path / "adapter_model.safetensors")


def refused(base, run, directory, said):
    before, keys = run(base), set(base.state_dict())
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        adapters.load(base, directory)
    assert set(base.state_dict()) == keys
    assert torch.equal(run(base), before)
    assert adapters.names(base) == []


def test_files(saved):
    assert sorted(os.listdir(saved)) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert os.listdir(saved.parent) == ["hi"]
    config = adapters.read_config(saved)
    assert config["language"] == "hi" and config["method"] == "lora"
    card = (saved / "README.md").read_text()
    assert 'language: "hi"' in card and "epochs: 3" in card and config["base_fingerprint"] in card
    keys = load_file(saved / "adapter_model.safetensors")
    assert "base_model.model.model.encoder.layers.0.self_attn.q_proj.lora_A.weight" in keys


def test_another_base(saved, make, run):
    refused(make(seed=2), run, saved, "made for the base with fingerprint")


def test_a_trained_full_adapter_does_not_make_another_base(saved, make, train):
    base = make()
    adapters.inject(base, adapters.make_config("full"), "all")
    train(base)
    assert adapters.load(base, saved) == "hi"


def drop(state):
    del state[sorted(state)[0]]


def rename(state):
    key = sorted(state)[0]
    state[key.removeprefix("base_model.model.")] = state.pop(key)


def reshape(state):
    key = sorted(state)[0]
    state[key] = state[key][:1].clone()


def poison(state):
    state[sorted(state)[0]][0, 0] = float("nan")


@pytest.mark.parametrize(
    "change, said",
    [
        (drop, "missing base_model"),
        (rename, "missing base_model.*; unexpected model.decoder"),
        (reshape, r"has shape \(1, 32\), expected \(4, 32\)"),
        (poison, "NaN or inf"),
    ],
)
def test_weights_that_do_not_fit(saved, make, run, change, said):
    edit(saved, change)
    refused(make(), run, saved, said)


@pytest.mark.parametrize("size", [0, 7, 1000])
def test_truncated_weights(saved, make, run, size):
    path = saved / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    refused(make(), run, saved, "damaged")


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "no JSON"),
        ("[]", "no block 'espnet_peft'"),
        ('{"peft_type": "LORA", "r": 8}', "no block 'espnet_peft'"),
    ],
)
def test_damaged_configuration(saved, make, run, text, said):
    (saved / "adapter_config.json").write_text(text)
    refused(make(), run, saved, said)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"format": 9}, "another version"),
        ({"method": "magic"}, "unknown 'magic'"),
        ({"options": {"lora": {"rank": 2}}}, "unknown option 'rank'"),
        ({"options": {"lora": {"layers": "0-9"}}}, "has layers"),
    ],
)
def test_a_configuration_that_means_nothing(saved, make, run, change, said):
    path = saved / "adapter_config.json"
    conf = json.loads(path.read_text())
    conf["auto_mapping"]["espnet_peft"] |= change
    path.write_text(json.dumps(conf))
    refused(make(), run, saved, said)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_missing_file(saved, make, run, name):
    (saved / name).unlink()
    refused(make(), run, saved, f"{name}: not found")


def test_saving_again_replaces(saved, make):
    base = make()
    adapters.inject(base, adapters.make_config("norm"))
    adapters.save(base, saved)
    assert adapters.read_config(saved)["method"] == "norm"
    assert os.listdir(saved.parent) == ["hi"]


def test_saving_over_something_else_is_refused(saved, make):
    base = make()
    adapters.inject(base, adapters.make_config("norm"))
    (saved / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="holds thesis.tex"):
        adapters.save(base, saved)
    assert adapters.read_config(saved)["method"] == "lora"


def test_a_failed_save_leaves_nothing_new(saved, make, monkeypatch):
    base = make()
    adapters.inject(base, adapters.make_config("norm"))
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(*args, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("espnet_peft.adapters.storage.save_file", full)
    with pytest.raises(OSError):
        adapters.save(base, saved)
    with pytest.raises(OSError):
        adapters.save(base, saved.parent / "new")
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert os.listdir(saved.parent) == ["hi"]


def test_what_is_not_loaded_is_named(base, tmp_path):
    adapters.inject(base, adapters.make_config("norm"), "hi")
    for verb in (adapters.set_adapter, adapters.delete, adapters.merge):
        with pytest.raises(ValueError, match="'pa' is not loaded, expected one of: hi"):
            verb(base, "pa")
    with pytest.raises(ValueError, match="not loaded"):
        adapters.save(base, tmp_path / "x", "pa")


def test_a_merged_model_is_left_alone(saved, base):
    adapters.load(base, saved)
    adapters.merge(base, "hi")
    assert not adapters.trainable_state_dict(base)
    for verb in (
        lambda: adapters.set_adapter(base, None),
        lambda: adapters.delete(base, "hi"),
        lambda: adapters.merge(base, "hi"),
        lambda: adapters.load(base, saved, "again"),
        lambda: adapters.inject(base, adapters.make_config("norm"), "pa"),
    ):
        with pytest.raises(ValueError, match="'hi' is merged; call unmerge first"):
            verb()
    adapters.unmerge(base)
    with pytest.raises(ValueError, match="no adapter is merged"):
        adapters.unmerge(base)


def test_a_merge_that_fails_changes_nothing(saved, base, run):
    adapters.load(base, saved)
    parameters = [p for p in base.parameters() if not any(p is q for q in _base(base))]
    parameters[-1].data.fill_(float("inf"))
    weights = {key: p.clone() for key, p in adapters.base_parameters(base).items()}
    with pytest.raises(ValueError, match="NaN"):
        adapters.merge(base, "hi")
    assert all(torch.equal(weights[k], p) for k, p in adapters.base_parameters(base).items())
    adapters.set_adapter(base, None)
    assert torch.isfinite(run(base)).all()


def _base(model):
    return adapters.base_parameters(model).values()


def test_checkpoints_hold_what_trains(make, train, run):
    one, other = make(), make()
    for model in (one, other):
        config = {"lora": {"r": 2}, "prompt": {"num_virtual_tokens": 4}}
        adapters.inject(model, adapters.make_config("lora+norm+prompt", config))
    train(one)
    state = {key: value.clone() for key, value in adapters.trainable_state_dict(one).items()}
    adapters.load_trainable_state_dict(other, state)
    assert torch.equal(run(one), run(other))
    state["more"] = state.pop(sorted(state)[0])
    with pytest.raises(ValueError, match="missing .*; unexpected more"):
        adapters.load_trainable_state_dict(other, state)
    assert torch.equal(run(one), run(other))
