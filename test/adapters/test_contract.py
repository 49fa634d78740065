"""Every method keeps the same promises on every base."""

import copy
import pickle

import pytest
import torch

from espnet_peft import adapters

# (method, options, can be merged) of methods that start as the base itself, to the last bit
IDENTITY = [
    ("lora", {"r": 4}, True),
    ("lora", {"r": 4, "target": "qv", "side": "decoder", "use_rslora": True}, True),
    ("lora", {"r": 2, "lora_alpha": 8, "use_dora": True, "target": "ffn"}, True),
    ("lora", {"r": 4, "init_lora_weights": "gaussian", "layers": "0-1", "target": "qkv"}, True),
    ("adalora", {"total_step": 9, "init_r": 3, "target_r": 2, "tinit": 8}, True),
    ("loha", {"r": 4}, True),
    ("lokr", {"r": 2, "side": "decoder"}, True),
    ("oft", {"oft_block_size": 8, "target": "attn"}, True),
    ("miss", {"r": 4, "target": "attn"}, True),
    ("ia3", {}, True),
    ("norm", {}, True),
    ("norm", {"side": "encoder", "layers": "1-2"}, True),
    ("bias", {}, True),
    ("bias", {"target": "qkv", "side": "decoder"}, True),
    ("full", {}, True),
    ("full", {"side": "decoder"}, True),
    ("lora+norm", {"lora": {"r": 2}}, True),
    ("lora+bias+norm", {"lora": {"r": 2, "target": "qv"}}, True),
    ("adapter", {"bottleneck": 8}, False),
    ("adapter", {"bottleneck": 8, "kind": "pfeiffer", "activation": "relu"}, False),
    ("adapter", {"bottleneck": 8, "kind": "parallel", "scale": 4.0}, False),
    ("adapter", {"bottleneck": 8, "train_layernorm": True, "side": "decoder"}, False),
    ("adapter+norm", {"adapter": {"bottleneck": 8, "train_layernorm": True}}, False),
    ("lora+adapter", {"lora": {"r": 2}, "adapter": {"bottleneck": 8}}, False),
]
OTHERS = [
    ("adapter", {"bottleneck": 8, "near_identity": False}, False),
    ("prompt", {"num_virtual_tokens": 8}, False),
    ("prompt", {"num_virtual_tokens": 64}, False),
    ("prompt", {"num_virtual_tokens": 3, "encoder_virtual_tokens": 5, "side": "both"}, False),
    ("prompt+norm", {"prompt": {"side": "encoder"}}, False),
]
# Start as the base up to rounding, and are saved in another form.
CONVERTED = [
    ("lora", {"r": 4, "init_lora_weights": "pissa", "target": "all"}, True),
    ("lora", {"r": 4, "init_lora_weights": "olora", "use_rslora": True, "target": "qv"}, True),
]
CASES = IDENTITY + CONVERTED + OTHERS
ONE_EACH = list({case[0]: case for case in CASES}.values())
BASES = {"mini": {}, "narrow": {"n_audio_layer": 4, "n_audio_state": 16, "n_text_state": 16}}


# Which of the base's own parameters a method may train; the others train none of them.
OF_THE_BASE = {
    "norm": lambda key: "ln" in key,
    "bias": lambda key: key.endswith(".bias"),
    "full": lambda key: True,
}


def check_trainable(model, method, conf):
    """The adapter's own parameters train, and those of the base that its methods are about."""
    of_base = adapters.base_parameters(model)
    kinds = set(method.split("+")) & OF_THE_BASE.keys()
    if "train_layernorm" in str(conf):
        kinds.add("norm")
    may = {key for key in of_base if any(OF_THE_BASE[kind](key) for kind in kinds)}
    do = {key for key, p in of_base.items() if p.requires_grad}
    if any(method.split("+") == [kind] and not conf for kind in kinds):
        assert do == may
    assert do <= may and bool(do) == bool(may)
    assert do or sum(p.requires_grad for p in model.parameters()) > 0


def ids(case: tuple) -> str:
    return f"{case[0]}:{','.join(f'{k}={v}' for k, v in case[1].items())}"


def bits(model):
    return {key: p.detach().clone() for key, p in adapters.base_parameters(model).items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(
    "case, dims",
    [pytest.param(case, BASES["mini"], id=ids(case)) for case in CASES]
    + [pytest.param(case, BASES["narrow"], id=f"{case[0]}-narrow") for case in ONE_EACH],
)
def test_contract(case, dims, make, run, train, tmp_path):
    method, conf, mergeable = case
    base = make(**dims)
    before, weights, names = run(base), bits(base), set(base.state_dict())
    config = adapters.make_config(method, conf)

    report = adapters.inject(base, config, "hi")
    assert report.injected == report.targets > 0
    assert set(weights) == set(adapters.base_parameters(base))
    assert torch.equal(run(base), before) == (case in IDENTITY)
    assert torch.allclose(run(base), before, atol=1e-4) == (case not in OTHERS)

    check_trainable(base, method, conf)
    trainable = {key: p for key, p in base.named_parameters() if p.requires_grad}
    assert trainable.keys() == adapters.trainable_state_dict(base).keys()
    assert report.trainable == sum(p.numel() for p in trainable.values())
    assert adapters.count(base) == (report.trainable, report.total)
    frozen = {
        key: p.detach().clone()
        for key, p in adapters.base_parameters(base).items()
        if not p.requires_grad
    }
    start = {key: p.detach().clone() for key, p in trainable.items()}
    train(base)
    assert all(torch.equal(frozen[key], bits(base)[key]) for key in frozen)
    unmoved = [key for key, p in trainable.items() if torch.equal(p, start[key])]
    assert not unmoved
    after = run(base)
    assert (after - before).abs().max() > 1e-4

    adapters.save(base, tmp_path / "hi", "hi", language="hi")
    adapters.set_adapter(base, None)
    assert torch.equal(run(base), before)
    assert same(bits(base), weights)
    assert not adapters.trainable_state_dict(base)
    adapters.set_adapter(base, "hi")
    assert torch.equal(run(base), after)
    assert adapters.trainable_state_dict(base).keys() == trainable.keys()

    fresh = make(**dims)
    assert adapters.load(fresh, tmp_path / "hi") == "hi"
    assert not adapters.trainable_state_dict(fresh)
    assert torch.allclose(run(fresh), after, atol=1e-4)
    assert torch.equal(run(fresh), after) or case in CONVERTED

    fresh = make(**dims)
    adapters.load(fresh, tmp_path / "hi", "again", trainable=True)
    again = adapters.trainable_state_dict(fresh)
    assert len(again) == len(trainable)
    train(fresh)
    assert not torch.equal(run(fresh), after)

    if mergeable:
        adapters.merge(base, "hi")
        assert torch.allclose(run(base), after, atol=1e-4)
        merged = make(**dims)
        merged.load_state_dict(adapters.base_state_dict(base))
        assert torch.equal(run(merged), run(base))
        base.train().eval()
        adapters.unmerge(base)
        assert torch.equal(run(base), after)
    else:
        with pytest.raises(ValueError, match="cannot be merged"):
            adapters.merge(base, "hi")

    adapters.delete(base, "hi")
    assert set(base.state_dict()) == names
    assert same(bits(base), weights)
    assert torch.equal(run(base), before)


@pytest.mark.parametrize("order", [1, -1], ids=["forward", "backward"])
def test_many_adapters_at_once(order, make, run, train, tmp_path):
    base = make()
    before, weights, names = run(base), bits(base), set(base.state_dict())
    outputs = {}
    for i, (method, conf, _) in list(enumerate(ONE_EACH))[::order]:
        name = f"a{i}"
        adapters.inject(base, adapters.make_config(method, conf), name)
        train(base)
        outputs[name] = run(base)
    assert set(adapters.names(base)) == set(outputs)
    for name, output in outputs.items():
        with torch.inference_mode():
            adapters.set_adapter(base, name)
            assert torch.equal(run(base), output), name
            adapters.set_adapter(base, None)
            assert torch.equal(run(base), before)
    adapters.save(base, tmp_path / "x", "a0")
    for name in list(outputs)[1:]:
        adapters.delete(base, name)
    adapters.set_adapter(base, "a0" if order == 1 else list(outputs)[0])
    assert torch.equal(run(base), outputs[adapters.active(base)])
    adapters.delete(base, adapters.active(base))
    assert same(bits(base), weights)
    assert set(base.state_dict()) == names


def test_copies_are_independent(make, run, train):
    base = make()
    for name, method in enumerate(("lora", "norm", "adapter", "prompt")):
        adapters.inject(base, adapters.make_config(method), f"a{name}")
    adapters.set_adapter(base, "a1")
    before = run(base)
    for other in (copy.deepcopy(base), pickle.loads(pickle.dumps(base))):
        assert torch.equal(run(other), before)
        train(other)
        assert not torch.equal(run(other), before)
        for name in adapters.names(other):
            adapters.delete(other, name)
        assert torch.equal(run(other), run(make()))
    assert torch.equal(run(base), before)
