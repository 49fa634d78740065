"""Training end to end on the toy task: what it leaves, what it repeats, what it refuses."""

import json
import shutil

import kaldiio
import numpy as np
import pytest
import torch
import yaml

from espnet_peft.models import load_base


def curves(out_dir):
    """Reporter statistics without times: epoch -> phase -> name -> value."""
    states = torch.load(out_dir / "checkpoint.pth", weights_only=False)
    return {
        epoch: {
            phase: {k: v for k, v in values.items() if "time" not in k}
            for phase, values in phases.items()
        }
        for epoch, phases in states["reporter"]["stats"].items()
    }


def weights(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def lora(adapt, tmp_path_factory):
    return adapt(tmp_path_factory.mktemp("lora") / "out")


def test_outputs(lora):
    names = {path.name for path in lora.iterdir()}
    assert {"config.yaml", "checkpoint.pth", "latest.pth", "valid.wer.best.pth", "adapter"} <= names
    assert {path.name for path in (lora / "images").iterdir()} == {"loss.png", "wer.png", "lr.png"}
    stats = json.loads((lora / "train_stats.json").read_text())
    assert stats["epochs"] == 4 and stats["steps"] == 16 and stats["languages"] == ["en"]
    wers = {epoch: values["valid"]["wer"] for epoch, values in curves(lora).items()}
    assert stats["best_wer"] == min(wers.values()) == wers[stats["best_epoch"]]
    assert 0 < stats["trainable"] < stats["total"]


def test_checkpoint_holds_the_adapter_alone(lora):
    state = torch.load(lora / "checkpoint.pth", weights_only=False)
    assert state["model"] and all("lora_" in name for name in state["model"])
    count = sum(value.numel() for value in state["model"].values())
    assert count == json.loads((lora / "train_stats.json").read_text())["trainable"]
    assert set(weights(lora / "valid.wer.best.pth")) == set(state["model"])


def test_base_is_bit_equal_and_adapter_is_the_best_epoch(lora, base):
    from espnet_peft import adapters

    model = load_base(str(base))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adapters.load(model, lora / "adapter", name="default", trainable=True)
    after = model.state_dict()
    for name, value in before.items():
        now = after.get(name)
        if now is None:  # wrapped
            module, leaf = name.rsplit(".", 1)
            now = after[f"{module}.base_layer.{leaf}"]
        assert torch.equal(now, value), name
    best = weights(lora / "valid.wer.best.pth")
    loaded = adapters.trainable_state_dict(model)
    assert {f"base.{name}" for name in loaded} == set(best)
    for name, value in loaded.items():
        assert torch.equal(value, best[f"base.{name}"]), name


def test_same_seed_same_curve_and_other_seed_another(lora, adapt, tmp_path):
    again = adapt(tmp_path / "again")
    assert curves(again) == curves(lora)
    best, same = weights(lora / "4epoch.pth"), weights(again / "4epoch.pth")
    assert all(torch.equal(best[name], same[name]) for name in best)
    other = adapt(tmp_path / "other", "--seed", 8)
    assert curves(other) != curves(lora)


def test_resume_equals_uninterrupted(lora, adapt, tmp_path, monkeypatch):
    from espnet_peft.train.trainer import PEFTTrainer

    real = PEFTTrainer.validate_one_epoch.__func__

    def dies_in_epoch_3(cls, *args, reporter, **kwargs):
        if reporter.get_epoch() == 3:
            raise KeyboardInterrupt
        return real(cls, *args, reporter=reporter, **kwargs)

    out_dir = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(PEFTTrainer, "validate_one_epoch", classmethod(dies_in_epoch_3))
        with pytest.raises(KeyboardInterrupt):
            adapt(out_dir)
    assert set(curves(out_dir)) == {1, 2}
    assert (out_dir / "images" / "loss.png").exists()
    adapt(out_dir)
    assert curves(out_dir) == curves(lora)
    mine, theirs = weights(out_dir / "4epoch.pth"), weights(lora / "4epoch.pth")
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_resume_after_a_write_that_was_cut_off(lora, adapt, tmp_path):
    out_dir = tmp_path / "out"
    shutil.copytree(lora, out_dir, symlinks=True)
    whole = (out_dir / "checkpoint.pth").read_bytes()
    (out_dir / "checkpoint.pth").write_bytes(whole[: len(whole) // 2])
    adapt(out_dir)
    assert curves(out_dir) == curves(lora)


@pytest.mark.parametrize("cut, at", [("checkpoint", 1), ("checkpoint", 3), ("3epoch", 1)])
def test_a_full_disk_leaves_whole_files_to_go_on_from(cut, at, lora, adapt, tmp_path, monkeypatch):
    out_dir, real, calls = tmp_path / "out", torch.save, []

    def full(states, path):
        real(states, path)
        calls.append(path.name)
        if path.name == f"{cut}.pth" and calls.count(path.name) == at:
            path.write_bytes(path.read_bytes()[:500])
            raise RuntimeError("basic_ios::clear: iostream error")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(RuntimeError, match="iostream"):
            adapt(out_dir)
    for path in out_dir.glob("*.pth*"):
        torch.load(path, weights_only=False)
    assert (out_dir / "checkpoint.pth").exists() == ((cut, at) != ("checkpoint", 1))
    adapt(out_dir)
    assert curves(out_dir) == curves(lora)
    assert (out_dir / "valid.wer.best.pth").readlink() == (lora / "valid.wer.best.pth").readlink()


def test_what_a_kill_left_undone_of_an_epoch_is_made_up_for(lora, adapt, tmp_path):
    out_dir = tmp_path / "out"
    shutil.copytree(lora, out_dir, symlinks=True)
    best = (lora / "valid.wer.best.pth").readlink()
    last = weights(lora / "4epoch.pth")
    (out_dir / "4epoch.pth").write_bytes(b"cut")
    (out_dir / "latest.pth").unlink()
    if best.name == "4epoch.pth":
        (out_dir / "valid.wer.best.pth").unlink()
    adapt(out_dir)
    again = weights(out_dir / "latest.pth")
    assert all(torch.equal(again[name], last[name]) for name in last)
    assert (out_dir / "valid.wer.best.pth").readlink() == best


def test_mean_of_the_best_epochs(lora, adapt, tmp_path):
    from safetensors.torch import load_file

    out_dir = adapt(tmp_path / "out", "--keep_nbest_models", 4)
    epochs = [weights(out_dir / f"{epoch}epoch.pth") for epoch in range(1, 5)]
    saved = load_file(out_dir / "adapter" / "adapter_model.safetensors")
    norms = sorted(round(float(value.norm()), 4) for value in saved.values())
    means = [sum(e[name] for e in epochs) / 4 for name in epochs[0]]
    assert norms == sorted(round(float(value.norm()), 4) for value in means)
    one = load_file(lora / "adapter" / "adapter_model.safetensors")
    assert not all(torch.equal(one[name], saved[name]) for name in one)


def test_a_run_that_stopped_early_stays_so(adapt, tmp_path):
    # The rate is zero, so nothing improves after the first epoch.
    options = ["--optim_conf", "lr=0.0", "--patience", "1"]
    out_dir = adapt(tmp_path / "out", *options, epochs=6)
    before = curves(out_dir)
    assert max(before) == 3
    adapt(out_dir, *options, epochs=6)
    assert curves(out_dir) == before


def test_changed_settings_are_refused(lora, adapt, tmp_path):
    out_dir = tmp_path / "out"
    shutil.copytree(lora, out_dir, symlinks=True)
    with pytest.raises(ValueError, match=r"optim_conf: .*'lr': 0.01.*, now .*'lr': 0.02.*seed"):
        adapt(out_dir, "--optim_conf", "lr=0.02", "--seed", 9)
    assert yaml.safe_load((out_dir / "config.yaml").read_text())["seed"] == 7
    adapt(out_dir, "--resume", "false", "--seed", 9)
    assert json.loads((out_dir / "train_stats.json").read_text())["seed"] == 9


def test_validation_error_rate_is_that_of_the_decoded_set(lora, base, toy):
    import jiwer

    from espnet_peft import adapters
    from espnet_peft.kaldi import read_table
    from espnet_peft.train.model import PEFTModel

    base_model = load_base(str(base))
    adapters.load(base_model, lora / "adapter")
    model = PEFTModel(base_model).eval()
    feats, texts = kaldiio.load_scp(str(toy / "valid/feats.scp")), read_table(toy / "valid/text")
    prompt = torch.tensor([base_model.tokenizer.prompt("en")])
    hyps = {}
    for utt_id in texts:
        speech = torch.from_numpy(np.array(feats[utt_id]))[None]
        lengths = torch.tensor([speech.shape[1]])
        hyps[utt_id] = model.transcribe(speech, lengths, prompt, max_length=40)[0]
    stats = json.loads((lora / "train_stats.json").read_text())
    refs = list(texts.values())
    # The shorter limit of validation may cut a runaway hypothesis, so both are held to it.
    longest = max(len(base_model.tokenizer.encode(ref)) for ref in refs) + 1
    hyps = [text[: int(1.5 * longest) + 8] for text in hyps.values()]
    assert stats["best_wer"] == pytest.approx(100 * jiwer.wer(refs, hyps))
    assert stats["best_cer"] == pytest.approx(100 * jiwer.cer(refs, hyps))


def test_nan_stops_with_the_utterance_and_keeps_the_checkpoint(adapt, tmp_path, monkeypatch):
    from espnet_peft.train import model as model_module

    out_dir = tmp_path / "out"

    def forward(self, speech, speech_lengths, text, text_lengths, utt_id=None):
        if self.training and self.step >= 5:
            speech = speech.clone()
            speech[1, 0, 0] = float("inf")
            forward.victim = utt_id[1]
        return original(self, speech, speech_lengths, text, text_lengths, utt_id)

    original = model_module.PEFTModel.forward
    monkeypatch.setattr(model_module.PEFTModel, "forward", forward)
    with pytest.raises(ValueError) as caught:
        adapt(out_dir, "--specaug_conf", "{}")
    assert f"utterances {forward.victim};" in str(caught.value)
    assert set(curves(out_dir)) == {1}
    assert (out_dir / "valid.wer.best.pth").exists()


def test_non_finite_features_name_the_utterance(make_data, adapt, tmp_path):
    bad = make_data(tmp_path / "bad", 4, seed=3)
    feats = {k: np.array(v) for k, v in kaldiio.load_scp(str(bad / "feats.scp")).items()}
    feats["bad-002"][3, 3] = np.nan
    kaldiio.save_ark(str(bad / "feats.ark"), feats, scp=str(bad / "feats.scp"))
    with pytest.raises(ValueError, match="bad-002: speech holds NaN or inf"):
        adapt(tmp_path / "out", "--train_dir", bad)


def test_full_fine_tuning(base, full, tmp_path):
    out_dir = full(tmp_path / "out")
    stats = json.loads((out_dir / "train_stats.json").read_text())
    assert (out_dir / "adapter" / "adapter_model.safetensors").exists()
    assert stats["trainable"] > 0.9 * stats["total"]


def test_pretrained_base_is_the_best_epoch(base):
    best = weights(base.parent / "valid.wer.best.pth")
    state = load_base(str(base)).state_dict()
    for name, value in best.items():
        assert torch.equal(state[name.removeprefix("base.")], value), name
