"""A bank holds the adapters that were used last, and refuses what cannot share a batch."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_peft import adapters
from espnet_peft.adapters import AdapterBank

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
SMALL = {"n_audio_layer": 1, "n_text_layer": 1, "n_audio_state": 16, "n_text_state": 16}


def rows(*names):
    return [{name: 1.0} for name in names]


def test_the_least_recently_used_goes_first(make, shelf, run):
    model = make()
    before = run(model)
    bank = AdapterBank(model, shelf, size=3)
    assert bank.known == tuple(shelf) and bank.resident == ()
    for name in ("wide", "qv", "ears"):
        bank.load(name)
    bank.load("wide")
    assert bank.resident == ("qv", "ears", "wide")
    bank.mix(rows("cross", "base"))
    assert bank.resident == ("ears", "wide", "cross")
    bank.mix(rows("start", "wide"))
    assert set(bank.resident) == {"cross", "start", "wide"}
    bank.unload("start")
    bank.unload("start")
    assert set(bank.resident) == {"cross", "wide"} and "start" in bank.known
    with pytest.raises(ValueError, match="uses 4 adapters, expected at most the 3"):
        bank.mix(rows("wide", "qv", "ears", "cross"))
    assert torch.equal(run(model), before)


def test_loading_and_unloading_while_a_batch_runs(make, shelf, run, write, tmp_path):
    model = make()
    where = {"wide": "wide", "pair": "parallel", "ears": "ears", "beside": "parallel"}
    bank = AdapterBank(model, {name: shelf[one] for name, one in where.items()}, size=2)
    with bank.mix(rows("wide", "pair")) as mix:
        running = run(model)
        for verb in (lambda: bank.unload("wide"), lambda: bank.add("pair", shelf["cross"])):
            with pytest.raises(ValueError, match="is in use by the running batch"):
                verb()
        bank.load("ears")
        assert set(bank.resident) == {"wide", "pair", "ears"}
        later = bank.mix(rows("ears", "beside"))
        bank.add("late", shelf["cross"])
        assert torch.equal(run(model), running)
    bank.load("late")
    assert set(bank.resident) == {"beside", "late"}
    with mix:
        assert torch.equal(run(model), running)
    bank.unload("ears")
    with later:
        both = run(model)
    assert torch.allclose(both[1], running[1], **CLOSE)
    with bank.mix(rows("ears", "late")):
        assert torch.allclose(run(model)[0], both[0], **CLOSE)
    bank.add("ears", shelf["wide"])
    with bank.mix(rows("ears", "base")):
        assert torch.allclose(run(model)[0], running[0], **CLOSE)


def test_a_hundred_adapters(make, tmp_path):
    base = make(**SMALL)
    names = [f"a{i}" for i in range(100)]
    where = {name: tmp_path / name for name in names}
    for rank in (1, 2, 3, 4):
        adapters.inject(base, adapters.make_config("lora", {"r": rank}), "new")
        for name in names[rank - 1 :: 4]:
            for parameter in adapters.trainable_state_dict(base).values():
                parameter.normal_(std=0.1)
            adapters.save(base, where[name], "new")
        adapters.delete(base, "new")
    model = make(**SMALL)
    bank = AdapterBank(model, where)
    generator = torch.Generator().manual_seed(0)
    speech = torch.randn(100, 40, 80, generator=generator)
    tokens = torch.randint(4, 40, (100, 5), generator=generator)

    @torch.no_grad()
    def logits(model, rows):
        lengths = torch.full((100,), 40)[rows]
        return model.decoder(tokens[rows], *model.encode(speech[rows], lengths))

    with bank.mix(rows(*names)):
        mixed = logits(model, slice(None))
    assert bank.resident == tuple(names)
    for i in (0, 1, 50, 98, 99):
        solo = make(**SMALL)
        adapters.load(solo, where[names[i]], "x")
        adapters.merge(solo, "x")
        assert torch.allclose(mixed[i], logits(solo, slice(i, i + 1))[0], **CLOSE)


def test_facts_about_an_adapter(make, shelf, tmp_path):
    model = make()
    bank = AdapterBank(model, shelf)
    assert bank.language("wide") == "wide"
    assert all(name.startswith("encoder.blocks") for name in bank.modules("ears"))
    assert len(bank.modules("ears")) == 4
    assert bank.free_layers() == bank.free_layers(["ears", "wide"]) == 0
    assert bank.free_layers(["ears", "qv", "base"]) == 1
    assert bank.free_layers(["qv", "cross"]) == bank.free_layers([]) == 3
    adapters.load(model, shelf["qv"], "qv")
    adapters.save(model, tmp_path / "hindi", "qv", language="hi")
    bank.add("hindi", tmp_path / "hindi")
    assert bank.language("hindi") == "hi"


REFUSED = [
    ("lora", {"r": 2, "use_dora": True}, "DoRA scales the rows of the base's weights"),
    ("ia3", {}, "method 'ia3' changes what all rows of a batch share, expected adapter or lora"),
    ("loha", {"r": 2}, "method 'loha'"),
    ("norm", {}, "method 'norm'"),
    ("full", {}, "method 'full'"),
    ("prompt", {}, "method 'prompt'"),
    ("lora+bias", {"lora": {"r": 2}}, "method 'bias'"),
    ("adapter", {"bottleneck": 8, "train_layernorm": True}, "it changes the norms"),
]


@pytest.mark.parametrize("method, conf, said", REFUSED, ids=lambda x: str(x)[:20])
def test_methods_that_cannot_share_a_batch(method, conf, said, make, write, shelf, tmp_path):
    model = make()
    directory = write(make(), tmp_path / "x", method, conf, seed=1)
    assert said in AdapterBank.refusal(model, directory)
    with pytest.raises(ValueError, match=said):
        AdapterBank(model, {"wide": shelf["wide"], "x": directory})
    bank = AdapterBank(model, shelf)
    with pytest.raises(ValueError, match=said):
        bank.add("wide", directory)
    assert bank.known == tuple(shelf)
    assert AdapterBank.refusal(model, shelf["set"]) is None


def test_what_is_not_an_adapter_of_this_base(make, shelf, tmp_path):
    with pytest.raises(ValueError, match="made for the base with fingerprint"):
        AdapterBank(make(seed=2), shelf)
    with pytest.raises(ValueError, match="made for the base with fingerprint"):
        AdapterBank.refusal(make(seed=2), shelf["qv"])
    with pytest.raises(OSError, match="not found"):
        AdapterBank(make(), {"none": tmp_path / "none"})
    with pytest.raises(ValueError, match="adapter name 'base'"):
        AdapterBank(make(), {"base": shelf["qv"]})
    with pytest.raises(ValueError, match="size is 0"):
        AdapterBank(make(), shelf, size=0)


def poison(state):
    state[sorted(state)[0]].view(-1)[0] = float("inf")


def shrink(state):
    key = sorted(state)[0]
    state[key] = state[key][:1].clone()


@pytest.mark.parametrize(
    "change, said",
    [
        (poison, "NaN or inf"),
        (shrink, r"has shape \(1,.*\), expected \(\d\d?,"),
        (lambda state: state.pop(sorted(state)[0]), "missing base_model"),
        (lambda state: state.update(more=torch.zeros(1)), "unexpected more"),
    ],
)
@pytest.mark.parametrize("name", ["qv", "parallel"])
def test_damaged_weights(name, change, said, make, shelf, run, tmp_path):
    shutil.copytree(shelf[name], tmp_path / "x")
    path = tmp_path / "x" / "adapter_model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    model = make()
    before = run(model)
    bank = AdapterBank(model, {"x": tmp_path / "x", "wide": shelf["wide"]})
    for verb in (lambda: bank.load("x"), lambda: bank.mix(rows("wide", "x"))):
        with pytest.raises(ValueError, match=said):
            verb()
    assert "x" not in bank.resident
    assert torch.equal(run(model), before)
    shutil.rmtree(tmp_path / "x")
    with pytest.raises(OSError, match="not found"):
        bank.load("x")


def test_a_damaged_configuration(make, shelf, tmp_path):
    shutil.copytree(shelf["qv"], tmp_path / "x")
    path = tmp_path / "x" / "adapter_config.json"
    conf = json.loads(path.read_text())
    conf["auto_mapping"]["espnet_peft"]["options"]["lora"]["layers"] = "0-9"
    path.write_text(json.dumps(conf))
    with pytest.raises(ValueError, match="layers '0-9'"):
        AdapterBank(make(), {"x": tmp_path / "x"})


@pytest.mark.parametrize(
    "some, said",
    [
        ([{"wide": 1.0}, {"none": 1.0}], "row 1: adapter 'none' is not known.*wide, qv, base"),
        ([{"wide": 0.7, "qv": 0.7}], "row 0: weights 0.7, 0.7, expected shares"),
        ([{"wide": -0.1}], "row 0: weights -0.1, expected shares"),
        ([{"wide": float("nan")}], "row 0: weights nan, expected shares"),
    ],
)
def test_rows_that_mean_nothing(some, said, make, shelf):
    bank = AdapterBank(make(), {name: shelf[name] for name in ("wide", "qv")})
    with pytest.raises(ValueError, match=said):
        bank.mix(some)
    with pytest.raises(ValueError, match="adapter 'none' is not known"):
        bank.load("none")
    assert bank.resident == ()
