"""What presets, sides, layers and regular expressions mean, and what is said where they fail."""

import pytest

from espnet_peft import adapters
from espnet_peft.adapters.targets import parse_layers, resolve, summary


def test_presets_by_hand(base):
    assert resolve(base, "qv", "decoder", "1") == [
        "decoder.blocks.1.attn.query",
        "decoder.blocks.1.cross_attn.query",
        "decoder.blocks.1.attn.value",
        "decoder.blocks.1.cross_attn.value",
    ]
    assert resolve(base, "ffn", "encoder", [2]) == [f"encoder.blocks.2.mlp.{i}" for i in (0, 2)]
    assert resolve(base, "attn") == resolve(base, "qkvo")
    # 3 encoder layers of 4 + 2 Linear, 2 decoder layers of 8 + 2
    assert [len(resolve(base, x)) for x in ("qv", "qkv", "qkvo", "ffn", "all")] == [
        14,
        21,
        28,
        10,
        38,
    ]


def test_presets_are_the_same_when_adapted(base):
    plain = {x: resolve(base, x) for x in ("all", r".*\.query")}
    for name, method in enumerate(("lora", "adapter", "lora+adapter")):
        adapters.inject(base, adapters.make_config(method), f"a{name}")
    assert {x: resolve(base, x) for x in plain} == plain


@pytest.mark.parametrize(
    "layers, wanted",
    [("0-2", {0, 1, 2}), ("0,2, 4-5", {0, 2, 4, 5}), (3, {3}), ([1, 0], {0, 1}), (None, None)],
)
def test_layers(layers, wanted):
    assert parse_layers(layers) == wanted


@pytest.mark.parametrize("layers", ["", "a", "2-1", "1-", [], "-1"])
def test_wrong_layers(layers):
    with pytest.raises(ValueError, match="layers is"):
        parse_layers(layers)


@pytest.mark.parametrize(
    "args, said",
    [
        (("all", "encoder", "0-9"), "the encoder has layers 0-2, not 3-9"),
        (("all", "both", "2"), "the decoder has layers 0-1, not 2"),
        (("qq",), r"matches nothing.*encoder.blocks.0-2.attn.query"),
        (("qv", "up"), "expected encoder, decoder or both"),
        ((r".*\.query", "encoder"), "is a regular expression, which says itself"),
        (([r".*\.query", r".*\.quary"],), r"quary' matches nothing"),
        (("(",), "no regular expression"),
        (("encoder.blocks.0",), "matches nothing"),
    ],
)
def test_what_is_not_there_is_an_error_that_lists_what_is(base, args, said):
    with pytest.raises(ValueError, match=said):
        resolve(base, *args)


def test_summary_folds_layer_numbers():
    names = ["a.0.b", "a.1.b", "a.2.b", "a.0.c", "a.2.c", "d"]
    assert summary(names) == "a.0-2.b, a.0,2.c, d"


@pytest.mark.parametrize(
    "method, conf, said",
    [
        ("lorra", {}, "expected one of ada.*, full, .*lora"),
        ("lora+lora", {}, "appears twice"),
        ("lora+full", {}, "use it alone"),
        ("lora", {"rank": 4, "r": "16"}, "unknown option 'rank'.*r is '16', expected int"),
        ("lora", {"r": 0}, "r is 0, expected 1 to"),
        ("lora", {"r": True}, "expected int"),
        ("lora", 3, "method_conf of 'lora': found 3, expected options by name"),
        ("lora", [1], "found .1., expected options by name"),
        ("lora", {"init_lora_weights": False}, "would not start as the base"),
        ("lora", {"init_lora_weights": "loftq"}, "quantises"),
        ("lora+norm", {"r": 4}, "unexpected r, expected one block"),
        ("adapter", {"bottleneck": 4}, "bottleneck is 4, expected 8 to 1024"),
        ("adapter", {"kind": "serial"}, "expected one of houlsby, pfeiffer, parallel"),
        ("prompt", {"side": "left"}, "expected encoder, decoder or both"),
        ("bias", {"target": "qk"}, "expected one of every, qv"),
    ],
)
def test_wrong_configurations(method, conf, said):
    with pytest.raises(ValueError, match=said):
        adapters.make_config(method, conf)


@pytest.mark.parametrize(
    "method, conf",
    [
        ("lora", {"layers": "0-9"}),
        ("lora+norm", {"norm": {"layers": "0-9"}}),
        ("adapter", {"train_layernorm": True, "layers": 7}),
        ("bias", {"target": "qkv", "layers": 5}),
    ],
)
def test_nothing_changes_where_a_check_fails(base, method, conf):
    before = set(base.state_dict()), [p.requires_grad for p in base.parameters()]
    with pytest.raises(ValueError, match="has layers"):
        adapters.inject(base, adapters.make_config(method, conf))
    assert before == (set(base.state_dict()), [p.requires_grad for p in base.parameters()])
    assert adapters.names(base) == []


def test_a_failure_half_way_leaves_the_model_as_it_was(base, monkeypatch):
    adapters.inject(base, adapters.make_config("norm"), "first")
    before = set(base.state_dict())
    monkeypatch.setattr("espnet_peft.adapters.methods.bottleneck.add_values", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        adapters.inject(base, adapters.make_config("lora+adapter"), "second")
    assert set(base.state_dict()) == before
    assert adapters.names(base) == ["first"] and adapters.active(base) == "first"


@pytest.mark.parametrize("adapted", [False, True])
def test_what_peft_refuses_half_way_leaves_the_model_as_it_was(base, adapted):
    if adapted:
        adapters.inject(base, adapters.make_config("lora", {"r": 2}), "first")
    before = set(base.state_dict()), [p.requires_grad for p in base.parameters()]
    config = adapters.make_config("lora+oft", {"oft": {"oft_block_size": 64, "target": "ffn"}})
    with pytest.raises(ValueError):
        adapters.inject(base, config, "second")
    assert before == (set(base.state_dict()), [p.requires_grad for p in base.parameters()])
    assert adapters.names(base) == ["first"][: int(adapted)]
    assert not hasattr(base, "peft_config")


@pytest.mark.parametrize("name", ["", "a.b", "a b", "first"])
def test_names_that_cannot_be(base, name):
    adapters.inject(base, adapters.make_config("norm"), "first")
    with pytest.raises(ValueError, match="adapter"):
        adapters.inject(base, adapters.make_config("norm"), name)


@pytest.mark.parametrize("name", ["to", "items", "training", "weight", "lora_A", "default"])
@pytest.mark.parametrize("method", ["lora", "adapter", "prompt", "norm"])
def test_names_that_are_words_of_python(base, name, method, run):
    before = run(base)
    adapters.inject(base, adapters.make_config(method), name)
    adapters.set_adapter(base, None)
    assert (run(base) == before).all()
    adapters.delete(base, name)


def test_the_log_line(base, caplog):
    with caplog.at_level("INFO"):
        report = adapters.inject(base, adapters.make_config("lora", {"r": 4}))
    assert caplog.messages == [str(report)]
    # r x (in + out) of 7 x 4 attention projections and of 5 x 2 of the feed-forward
    assert report.trainable == 4 * (28 * (32 + 32) + 10 * (32 + 128))
    assert str(report).startswith("injected 38 of 38 targets; 14 k of ")
    assert str(report).endswith(" %)")
