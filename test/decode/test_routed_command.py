"""The decode command with a strategy: files, their merge, and what it says to bad input."""

import json

import kaldiio
import numpy as np
import pytest
import torch

from espnet_peft import adapters
from espnet_peft.bin.decode import main
from espnet_peft.bin.merge_decode import main as merge_main
from espnet_peft.kaldi import read_table, write_table
from espnet_peft.kaldi.timeline import read_timeline
from espnet_peft.models import build_whisper, load_base, save_base
from espnet_peft.models.tokenizer import SentencePieceTokenizer, train_sentencepiece, write_model
from espnet_peft.routing.config import RouterConfig
from espnet_peft.routing.heads import Classifier
from espnet_peft.routing.router import Router

SIZES = dict(
    n_audio_state=16,
    n_audio_head=2,
    n_audio_layer=2,
    n_text_state=16,
    n_text_head=2,
    n_text_layer=1,
    n_text_ctx=40,
)
TRUTH = {f"utt{i}": ["hi", "pa", "en"][i % 3] for i in range(7)}


def save_adapter(folder, name, method="lora", language=None, **options):
    model = load_base(folder / "base")
    adapters.inject(model, adapters.make_config(method, options), name=name)
    with torch.no_grad():
        for tensor in adapters.trainable_state_dict(model).values():
            tensor.normal_(std=0.5)
    adapters.save(model, folder / name, name=name, language=language)


def save_router(model, directory, languages=("en", "hi", "pa"), broken=False):
    """A router with random weights; those of a broken one are finite, but overflow."""
    config = RouterConfig(layers=(1,), head="linear")
    classifier = Classifier(config, 16, len(languages))
    with torch.no_grad():
        for parameter in classifier.head.parameters():
            parameter.normal_(std=3.0)
            if broken:
                parameter.copy_(3e38 * parameter.sign())
    Router(classifier, config, languages, 1.0, 1.0, 0.0).save(directory, model.fingerprint())


@pytest.fixture(scope="module")
def exp(tmp_path_factory):
    """A random base, adapters for hi and pa, one that cannot share a batch, and a router."""
    folder = tmp_path_factory.mktemp("exp")
    model = train_sentencepiece(["ab cd", "ba dc"], ["en", "hi", "pa", "te"], "char")
    write_model(model, folder / "tokenizer")
    torch.manual_seed(0)
    model = build_whisper(SIZES, SentencePieceTokenizer(folder / "tokenizer"))
    with torch.no_grad():
        model.decoder.token_embedding.weight.mul_(4)
        model.decoder.positional_embedding.normal_()
    save_base(model, folder / "base")
    save_adapter(folder, "hi", r=2, target="all", language="hi")
    save_adapter(folder, "punjabi", r=3, target="qv", language="pa")
    save_adapter(folder, "hi_dora", r=2, use_dora=True, language="hi")
    save_router(load_base(folder / "base"), folder / "router")
    return folder


@pytest.fixture
def data(tmp_path):
    """Seven utterances of features in three languages."""
    random = np.random.default_rng(0)
    folder = tmp_path / "test"
    folder.mkdir()
    feats = {i: random.normal(size=(random.integers(60, 160), 80)) for i in TRUTH}
    feats = {i: array.astype(np.float32) for i, array in feats.items()}
    kaldiio.save_ark(str(folder / "feats.ark"), feats, scp=str(folder / "feats.scp"))
    write_table(folder / "utt2lang", TRUTH)
    return folder


def decode(exp, data, out, *more, names=("hi", "punjabi"), base="base"):
    given = [item for name in names for item in ("--adapter", f"{name}={exp / name}")]
    served = [] if "--base_languages" in more else ["--base_languages", "en"]
    main(
        ["--base_model", f"{exp / base}", "--data_dir", f"{data}", "--out_dir", f"{out}"]
        + [*given, *served, *map(str, more)]
    )
    return read_table(out / "1best_recog" / "token_int")


def test_oracle_equals_utt2adapter(exp, data, tmp_path):
    names = {"hi": "hi", "pa": "punjabi", "en": "base"}
    write_table(tmp_path / "choice", {i: names[language] for i, language in TRUTH.items()})
    named = decode(exp, data, tmp_path / "named", "--utt2adapter", tmp_path / "choice")
    routed = decode(exp, data, tmp_path / "oracle", "--strategy", "oracle")
    assert routed == named and len(set(named.values())) > 3
    folder = tmp_path / "oracle" / "1best_recog"
    assert read_table(folder / "utt2adapter") == read_table(tmp_path / "choice")
    assert read_table(folder / "utt2lang") == TRUTH
    assert not (folder / "utt2langprob").exists() and not (folder / "timeline").exists()
    assert not (tmp_path / "named" / "1best_recog" / "utt2adapter").exists()
    speed = json.loads((tmp_path / "oracle" / "speed.json").read_text())
    assert speed["strategy"] == "oracle" and speed["route_encoder_seconds"] == 0
    assert "strategy" not in json.loads((tmp_path / "named" / "speed.json").read_text())


@pytest.mark.parametrize("router", ["router", "token"])
def test_files_of_a_mixture(exp, data, tmp_path, router, capsys):
    (data / "utt2lang").unlink()  # nobody said which languages
    (tmp_path / "routing.yaml").write_text("min_weight: 0.0\n")
    router = exp / router if router == "router" else router
    more = ["--router", router, "--routing_config", tmp_path / "routing.yaml"]
    decode(exp, data, tmp_path / "out", "--strategy", "soft", *more)
    folder = tmp_path / "out" / "1best_recog"
    languages = read_table(folder / "utt2lang")
    shares, probabilities = read_table(folder / "utt2adapter"), read_table(folder / "utt2langprob")
    for utt_id in TRUTH:
        fields = probabilities[utt_id].split()
        assert fields[::2] == ["en", "hi", "pa"]
        p = dict(zip(fields[::2], map(float, fields[1::2]), strict=True))
        assert sum(p.values()) == pytest.approx(1, abs=2e-4)
        assert languages[utt_id] == max(p, key=p.get)
        pairs = dict(one.split(":") for one in shares[utt_id].split())
        wanted = {"base": p["en"], "hi": p["hi"], "punjabi": p["pa"]}
        assert {name: float(share) for name, share in pairs.items()} == pytest.approx(
            {name: share for name, share in wanted.items() if name in pairs}, abs=0.0051
        )
        assert [*map(float, pairs.values())] == sorted(map(float, pairs.values()), reverse=True)
    speed = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert 0 < speed["route_encoder_seconds"] < speed["route_seconds"] < speed["decode_seconds"]
    assert speed["route_share"] == pytest.approx(
        speed["route_seconds"] / speed["decode_seconds"], rel=0.1
    )
    assert speed["prefix_shared"] is False and speed["adapters_loaded"] == 2
    assert "routing" in capsys.readouterr().out


def test_split_and_merged_is_the_whole(exp, data, tmp_path):
    write_table(data / "utt2num_frames", dict.fromkeys(TRUTH, 100))
    for strategy in ("spans", "hard"):
        more = ["--strategy", strategy, "--router", exp / "router"]
        decode(exp, data, tmp_path / "whole", *more)
        jobs = []
        for job, keys in enumerate((["utt0", "utt3", "utt6"], ["utt1", "utt2", "utt4", "utt5"])):
            write_table(tmp_path / "keys", {key: "x" for key in keys})
            jobs.append(tmp_path / f"out{job}")
            decode(exp, data, jobs[-1], *more, "--key_file", tmp_path / "keys")
        merge_main([*map(str, jobs), "--out_dir", str(tmp_path / "merged")])
        whole = tmp_path / "whole" / "1best_recog"
        names = {path.name for path in whole.iterdir()}
        assert ("timeline" in names) == (strategy == "spans")
        assert names | {"speed.json"} == {path.name for path in (tmp_path / "merged").iterdir()}
        for name in names - {"score", "utt2langprob", "timeline"}:
            assert read_table(whole / name) == read_table(tmp_path / "merged" / name)
        if strategy == "spans":
            both = [read_timeline(at / "timeline") for at in (whole, tmp_path / "merged")]
            assert [s.language for s in both[0]["utt1"]] == [s.language for s in both[1]["utt1"]]
        speeds = [json.loads((job / "speed.json").read_text()) for job in jobs]
        speed = json.loads((tmp_path / "merged" / "speed.json").read_text())
        assert speed["route_seconds"] == pytest.approx(sum(s["route_seconds"] for s in speeds))
        ms = 1000 * speed["route_seconds"] / 7
        assert speed["route_ms_per_utterance"] == pytest.approx(ms, abs=1e-3)


def test_jobs_of_different_strategies_do_not_merge(exp, data, tmp_path):
    jobs = []
    for job, strategy in enumerate(("hard", "spans")):
        write_table(tmp_path / "keys", {f"utt{job}": "x"})
        jobs.append(tmp_path / f"out{job}")
        more = ["--router", exp / "router", "--key_file", tmp_path / "keys"]
        decode(exp, data, jobs[-1], "--strategy", strategy, *more)
    with pytest.raises((ValueError, OSError), match="out1.* spans|out0.*timeline"):
        merge_main([*map(str, jobs), "--out_dir", str(tmp_path / "merged")])
    assert not (tmp_path / "merged").exists()


def test_adapters_that_cannot_share_take_turns(exp, data, tmp_path):
    names = ("hi_dora", "punjabi")
    more = ["--router", exp / "router", "--strategy"]
    found = decode(exp, data, tmp_path / "hard", *more, "hard", names=names)
    chosen = read_table(tmp_path / "hard" / "1best_recog" / "utt2adapter")
    (tmp_path / "choice").write_text((tmp_path / "hard/1best_recog/utt2adapter").read_text())
    (data / "utt2lang").write_text((tmp_path / "hard/1best_recog/utt2lang").read_text())
    named = decode(exp, data, tmp_path / "named", "--utt2adapter", tmp_path / "choice", names=names)
    assert found == named and set(chosen.values()) <= {"base", *names}


ROUTE = ["--router", "ROUTER", "--strategy"]


@pytest.mark.parametrize(
    "more, message",
    [
        (["--strategy", "best"], "strategy 'best': expected one of oracle base hard"),
        (["--strategy", "hard"], "strategy hard: no router, expected one; give --router DIR"),
        ([*ROUTE, "hard", "--language", "hi"], "strategy hard: languages are given, expected none"),
        ([*ROUTE, "hard", "--utt2adapter", "x"], "--utt2adapter x too, expected one of the two"),
        ([*ROUTE, "hard", "--max_adapters", "0"], "--max_adapters: found 0, expected at least 1"),
        ([*ROUTE, "hard", "--base_languages", ""], "no adapter for en; adapters: hi .hi., pa"),
        ([*ROUTE, "hard", "--base_languages", "xx"], "--base_languages: xx not in the base"),
        (["--router", "nowhere", "--strategy", "hard"], "nowhere/config.json: no such file"),
        (["MANY", *ROUTE, "soft"], "uses 2 adapters, expected at most the 1 .* raise"),
        (["DORA", *ROUTE, "soft"], "adapter hi_dora cannot share a batch: .*DoRA.*choose one of"),
        (["DORA", *ROUTE, "frame"], "strategy frame: mixes adapters, but adapter hi_dora cannot"),
        (["TWICE", *ROUTE, "hard"], "hi_dora: adapter hi_dora is for hi, as hi is; .* leave one"),
        (["UTT2LANG", "--strategy", "oracle"], "utt2lang: not found; add it or give --language"),
        (["UNKNOWN", *ROUTE, "hard"], "router: language el not in the base model's tokenizer"),
        (["BASE", *ROUTE, "hard"], "config.json: made for the base with fingerprint"),
        (["BASE_ADAPTER", "--strategy", "oracle"], "hi/adapter_config.json: made for the base"),
        (
            ["BROKEN", *ROUTE, "hard"],
            "test: in the batch of utt. and 6 more: router: probab.* not finite",
        ),
    ],
)
def test_refusals(exp, data, tmp_path, more, message, monkeypatch):
    case = more[0] if more[0].isupper() else "NONE"
    more = [str(exp / "router") if item == "ROUTER" else item for item in more if item != case]
    names, base = ("hi", "punjabi"), "base"
    torch.manual_seed(1)
    if case == "DORA":
        names = ("hi_dora", "punjabi")
    elif case == "TWICE":
        names = ("hi", "hi_dora", "punjabi")
    elif case == "MANY":
        (tmp_path / "routing.yaml").write_text("min_weight: 0.0\n")
        more += ["--max_adapters", "1", "--routing_config", str(tmp_path / "routing.yaml")]
    elif case == "UTT2LANG":
        (data / "utt2lang").unlink()
    elif case == "UNKNOWN":
        save_router(load_base(exp / "base"), tmp_path / "router", ["el", "hi", "pa"])
        more = ["--router", str(tmp_path / "router"), *more[2:], "--base_languages", ""]
        monkeypatch.setattr("espnet_peft.decode.load.check_served", lambda *given: None)
    elif case in ("BASE", "BASE_ADAPTER"):
        base = "other"
        save_base(build_whisper(SIZES, load_base(exp / "base").tokenizer), exp / base)
        names = () if case == "BASE" else names
        more += [] if case == "BASE_ADAPTER" else ["--base_languages", "en hi pa"]
    elif case == "BROKEN":
        save_router(load_base(exp / "base"), tmp_path / "router", broken=True)
        more = ["--router", str(tmp_path / "router"), *more[2:]]
    with pytest.raises((ValueError, OSError), match=message) as error:
        decode(exp, data, tmp_path / "out", *more, names=names, base=base)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").rglob("*"))
