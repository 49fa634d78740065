"""The way from features to a report, on languages that any ear tells apart."""

import json

import numpy as np
import pytest
import torch

from espnet_peft.bin import evaluate_router, extract_states, train_router
from espnet_peft.kaldi import read_table, write_table
from espnet_peft.models import load_base
from espnet_peft.routing.metrics import by_length, confusion, pair_confusion, summarise
from espnet_peft.routing.router import Router

SETTINGS = """
layers: [1]
head: cnn
channels: 16
epoch_items: 240
max_epochs: 6
learning_rate: 0.01
window_seconds: 0.6
"""


@pytest.fixture
def trained(base_dir, feature_set, tmp_path):
    """Directories of a router for aa, bb and cc, and of the settings it was trained by."""
    config = tmp_path / "router.yaml"
    config.write_text(SETTINGS)
    sets = [feature_set(name, ("aa", "bb", "cc"), 12, seed) for name, seed in (("t", 1), ("v", 2))]
    states = [tmp_path / "states" / data.name for data in sets]
    common = ["--base_model", f"{base_dir}", "--config", f"{config}"]
    dirs = ["--data_dir", *map(str, sets), "--out_dir", *map(str, states)]
    extract_states.main([*common, *dirs, "--n_crops", "1"])
    arguments = [*common, "--train_dirs", f"{states[0]}", "--valid_dirs", f"{states[1]}"]
    arguments += ["--out_dir", f"{tmp_path / 'router'}", "--languages", "aa bb cc", "--seed", "3"]
    train_router.main(arguments)
    return tmp_path / "router", arguments


def evaluate(base_dir, router, data, out, *more):
    arguments = ["--base_model", f"{base_dir}", "--router", f"{router}", "--data_dir", f"{data}"]
    evaluate_router.main([*arguments, "--out_dir", f"{out}", *more])
    return json.loads((out / "accuracy.json").read_text())


def test_from_features_to_report(base_dir, trained, feature_set, tmp_path, capsys):
    router, arguments = trained
    config = json.loads((router / "config.json").read_text())
    assert config["languages"] == ["aa", "bb", "cc"] and config["seed"] == 3
    assert config["command"].startswith("train_router --base_model")
    assert "epoch 1/6 loss" in (router / "train.log").read_text()
    assert (router / "loss.png").read_bytes().startswith(b"\x89PNG")

    test = feature_set("test", ("aa", "bb", "cc"), 10, seed=5)
    out = tmp_path / "out"
    found = evaluate(base_dir, router, test, out, "--pairs", "cc-aa", "--crop_seconds", "0.5")
    assert found["accuracy"] == 1.0 and found["utterances"] == 30
    assert found["confusion"]["bb"] | {"other": 0} == {"aa": 0, "bb": 10, "cc": 0, "other": 0}
    assert found["per_language"]["cc"]["utterances"] == 10
    assert found["crops"][0]["seconds"] == 0.5 and found["crops"][0]["accuracy"] == 1.0
    assert found["ece"] < 0.2 and found["ms_per_utterance"] > 0
    assert sum(b["utterances"] for b in found["lengths"]) == 30
    table = read_table(out / "utt2langprob")
    assert list(table) == sorted(read_table(test / "feats.scp"))
    fields = table["bb_003"].split()
    assert fields[::2] == ["aa", "bb", "cc"] and float(fields[3]) > 0.5
    for name in ("confusion.png", "length.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    report = (out / "result.txt").read_text()
    assert "accuracy     100.00 %" in report and "pair aa-cc   0.00 %" in report
    assert "crops 0.5 s  100.00 %" in report
    assert report in capsys.readouterr().out

    again = tmp_path / "again"
    train_router.main([*arguments, "--out_dir", f"{again}"])
    first, second = (d / "model.safetensors" for d in (router, again))
    assert first.read_bytes() == second.read_bytes()


def test_an_unknown_language(base_dir, trained, feature_set, tmp_path):
    router, _ = trained
    data = feature_set("mixed", ("aa", "bb"), 5, seed=6)
    table = read_table(data / "utt2lang")
    write_table(data / "utt2lang", {u: "xx" if v == "bb" else v for u, v in table.items()})
    with pytest.raises(ValueError, match="utt2lang: xx, but the router knows aa bb cc; name"):
        evaluate(base_dir, router, data, tmp_path / "out")
    with pytest.raises(ValueError, match="the router knows aa; leave it out"):
        evaluate(base_dir, router, data, tmp_path / "out", "--unknown_languages", "xx aa")
    found = evaluate(base_dir, router, data, tmp_path / "out", "--unknown_languages", "xx")
    assert found["utterances"] == 10 and found["accuracy"] == 1.0
    assert found["other_unknown"] == pytest.approx(found["confusion"]["xx"]["other"] / 5)
    assert found["per_language"].keys() == {"aa"}
    # nothing known: no accuracy, of the whole utterances or of crops
    write_table(data / "utt2lang", dict.fromkeys(table, "xx"))
    more = ("--unknown_languages", "xx", "--crop_seconds", "0.5")
    found = evaluate(base_dir, router, data, tmp_path / "out", *more)
    assert found["accuracy"] is None and found["crops"][0]["accuracy"] is None


def test_frames_follow_a_switch(base_dir, trained, tone):
    """Two seconds of one language, then two of another: the change is found within 0.3 s."""
    model = load_base(base_dir)
    router = Router.load(trained[0], model)
    generator = np.random.default_rng(9)
    parts = [tone("aa", 200, generator), tone("cc", 200, generator)]
    speech = torch.from_numpy(np.concatenate(parts))[None]
    frames = router(model, speech, torch.tensor([400]), frames=True).frames[0]
    choice = frames.argmax(1)
    assert frames.shape == (200, 3)
    assert (choice[:85] == 0).all() and (choice[115:] == 2).all()


def test_token_router_is_evaluated(base_dir, feature_set, tmp_path, capsys):
    data = feature_set("some", ("aa", "bb"), 3)
    found = evaluate(
        base_dir, "token", data, tmp_path / "out", "--languages", "aa bb", "--crop_seconds", ""
    )
    assert found["router"] == "token" and found["layer"] == 2 and found["crops"] == []
    assert found["other_known"] == 0.0
    with pytest.raises(ValueError, match="no languages, expected some; give --languages"):
        evaluate(base_dir, "token", data, tmp_path / "out")


def test_commands_refuse_bad_values(base_dir, trained, feature_set, tmp_path):
    _, arguments = trained
    with pytest.raises(ValueError, match="--languages: found 'aa aa', expected two or more"):
        train_router.main([*arguments, "--languages", "aa aa"])
    with pytest.raises(ValueError, match="no utterance of dd"):
        train_router.main([*arguments, "--languages", "aa dd"])
    with pytest.raises(ValueError, match="--num_threads: found 0"):
        train_router.main([*arguments, "--num_threads", "0"])
    base = ["--base_model", f"{base_dir}"]
    with pytest.raises(ValueError, match="2 --data_dir and 1 --out_dir"):
        extract_states.main([*base, "--data_dir", "a", "b", "--out_dir", "c"])
    with pytest.raises(ValueError, match="--layers: found 'one', expected numbers"):
        extract_states.main([*base, "--data_dir", "a", "--out_dir", "c", "--layers", "one"])
    with pytest.raises(ValueError, match="command line: .*n_crops: found -1"):
        extract_states.main([*base, "--data_dir", "a", "--out_dir", "c", "--n_crops", "-1"])
    with pytest.raises(ValueError, match="--crop_seconds: found '1 x'"):
        evaluate(base_dir, "token", "a", tmp_path / "o", "--crop_seconds", "1 x")


def test_figures_of_merit_by_hand():
    languages = ["hi", "pa"]
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.55, 0.45]])
    truth = ["hi", "hi", "pa", "el"]
    found = summarise(probabilities.log(), probabilities, truth, languages, 0.58)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["other_known"] == 0.0 and found["other_unknown"] == 1.0
    assert found["per_language"]["hi"] == {"utterances": 2, "accuracy": 0.5, "other": 0.0}
    assert found["confusion"]["el"] == {"hi": 1, "pa": 0, "other": 1}
    assert found["pairs"] == {"hi-pa": pytest.approx(1 / 3)}
    # bins (0.5, 0.6] 0.6 wrong, (0.7, 0.8] 0.8 right, (0.8, 0.9] 0.9 right
    assert found["ece"] == pytest.approx((0.6 + 0.2 + 0.1) / 3, abs=1e-6)
    assert found["ece_uncalibrated"] == pytest.approx(found["ece"], abs=1e-6)


def test_confusion_and_lengths():
    table = confusion(["a", "a", "b"], ["a", "b", "b"], [False, True, False], ["a", "b"])
    assert table == {"a": {"a": 1, "b": 1, "other": 1}, "b": {"a": 0, "b": 1, "other": 0}}
    assert pair_confusion(table, ["a", "b"]) == {"a-b": pytest.approx(1 / 3)}
    bins = by_length([0.4, 1.2, 1.4], [True, False, True], (0, 1, 2, 3))
    assert bins == [
        {"from": 0, "to": 1, "utterances": 1, "accuracy": 1.0},
        {"from": 1, "to": 2, "utterances": 2, "accuracy": 0.5},
    ]
