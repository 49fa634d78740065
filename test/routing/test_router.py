"""The router in use and on disk, and the token router."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_peft.routing.config import RouterConfig
from espnet_peft.routing.heads import Classifier
from espnet_peft.routing.router import Router
from espnet_peft.routing.states import encode_states, fingerprint_of
from espnet_peft.routing.token_router import TokenRouter

CONFIG = RouterConfig(layers=(0, 2), channels=8, window_seconds=0.4, hop_seconds=0.1)


def make_router(config=CONFIG, languages=("aa", "bb", "cc")):
    torch.manual_seed(0)
    classifier = Classifier(config, 16, len(languages))
    return Router(classifier, config, languages, 2.0, 1.5, 0.4)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([120, 61, 200])
    return torch.randn(3, 200, 80, generator=generator), lengths


def test_rows_do_not_depend_on_their_batch(base, batch):
    router = make_router()
    speech, lengths = batch
    together = router(base, speech, lengths, frames=True)
    assert together.probabilities.shape == (3, 3) and together.frames.shape == (3, 100, 3)
    torch.testing.assert_close(together.probabilities.sum(1), torch.ones(3))
    torch.testing.assert_close(together.frames.sum(2), torch.ones(3, 100))
    for row, length in enumerate(lengths.tolist()):
        alone = router(base, speech[row : row + 1, :length], lengths[row : row + 1], frames=True)
        size = (length + 1) // 2
        close = {"atol": 1e-5, "rtol": 1e-4}
        torch.testing.assert_close(alone.probabilities[0], together.probabilities[row], **close)
        torch.testing.assert_close(alone.frames[0], together.frames[row, :size], **close)


def test_the_prefix_can_be_continued(base, batch):
    routed = make_router()(base, *batch)
    assert routed.prefix.layer == 2
    enc, lengths = base.encode_rest(routed.prefix)
    expected, expected_lengths = base.encode(*batch)
    assert torch.equal(enc, expected) and torch.equal(lengths, expected_lengths)


def test_padding_to_the_window_does_not_count(base, batch):
    router = make_router(RouterConfig(layers=(0,), channels=8))
    speech, lengths = batch
    short = router(base, speech, lengths)
    base.pad_to = 30.0
    padded = router(base, speech, lengths)
    assert padded.prefix.x.shape[1] == 1500 and padded.prefix.spoken.tolist() == [60, 31, 100]
    # layer 0 has no attention: only frames next to the padding differ
    torch.testing.assert_close(padded.logits, short.logits, atol=0.1, rtol=0.1)


def test_temperature_divides_the_logits(base, batch):
    routed = make_router()(base, *batch)
    torch.testing.assert_close((routed.logits / 2.0).softmax(1), routed.probabilities)


def test_states_are_the_residual_streams_without_positions(base, batch):
    states, prefix = encode_states(base, *batch, (0, 2))
    assert states.shape == (3, 100, 32) and prefix.layer == 2
    positions = base.encoder.positional_embedding[:100]
    for part, layer in zip(states.split(16, dim=2), (0, 2), strict=True):
        assert torch.equal(part, base.encode_prefix(*batch, layer).x - positions)


def test_layer_0_knows_no_positions(base, batch):
    speech, lengths = batch[0][2:], batch[1][2:]
    later = torch.cat([torch.zeros(1, 100, 80), speech], dim=1)
    first, _ = encode_states(base, speech, lengths, (0,))
    second, _ = encode_states(base, later, lengths + 100, (0,))
    torch.testing.assert_close(second[:, 52:], first[:, 2:], atol=1e-5, rtol=0)


def test_save_and_load(base, batch, tmp_path):
    router = make_router()
    router.save(tmp_path / "router", fingerprint_of(base), {"seed": 7})
    loaded = Router.load(tmp_path / "router", base)
    assert loaded.languages == ("aa", "bb", "cc") and loaded.layer == 2
    assert loaded.other_threshold == 0.4 and loaded.config == CONFIG
    first, second = router(base, *batch, frames=True), loaded(base, *batch, frames=True)
    assert torch.equal(first.probabilities, second.probabilities)
    assert torch.equal(first.frames, second.frames)
    assert json.loads((tmp_path / "router/config.json").read_text())["seed"] == 7
    assert sorted(p.name for p in (tmp_path / "router").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_another_base_is_refused(base, other_base, tmp_path):
    make_router().save(tmp_path, fingerprint_of(base))
    with pytest.raises(ValueError, match="made for the base with fingerprint .* found "):
        Router.load(tmp_path, other_base)


def break_nan(state):
    state["head.out.bias"][1] = float("nan")


def break_missing(state):
    del state["head.conv1.weight"]


def break_unknown(state):
    state["head.extra"] = torch.zeros(2)


def break_shape(state):
    state["head.out.weight"] = torch.zeros(2, 8)


@pytest.mark.parametrize(
    "damage, message",
    [
        (break_nan, "head.out.bias holds NaN"),
        (break_missing, "lacks head.conv1.weight"),
        (break_unknown, "has unknown head.extra"),
        (break_shape, r"head.out.weight is \[2, 8\], expected \[3, 16\]"),
    ],
)
def test_damaged_weights_are_refused(base, tmp_path, damage, message):
    make_router().save(tmp_path, fingerprint_of(base))
    state = load_file(tmp_path / "model.safetensors")
    damage(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        Router.load(tmp_path, base)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"temperature": float("nan")}, "no usable temperature"),
        ({"languages": "aa"}, "no usable languages"),
        ({"format": 9}, "format 9, expected 1"),
        ({"settings": {"tree": 1}}, "unknown key tree"),
        ({"settings": {"layers": [5]}}, "layer 5, expected 0 to 2"),
    ],
)
def test_damaged_configs_are_refused(base, tmp_path, change, message):
    make_router().save(tmp_path, fingerprint_of(base))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as error:
        Router.load(tmp_path, base)
    assert str(path) in str(error.value)


def test_missing_or_broken_files(base, tmp_path):
    with pytest.raises(FileNotFoundError, match="run train_router"):
        Router.load(tmp_path, base)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="no JSON"):
        Router.load(tmp_path, base)
    make_router().save(tmp_path, fingerprint_of(base))
    (tmp_path / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match="no safetensors file"):
        Router.load(tmp_path, base)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="expected the router's weights"):
        Router.load(tmp_path, base)


def test_probabilities_that_are_not_finite_are_refused(base, batch):
    router = make_router()
    with torch.no_grad():
        router.classifier.head.out.bias[0] = float("nan")
    with pytest.raises(ValueError, match="probabilities are not finite"):
        router(base, *batch)


def test_token_router_reads_the_language_token(base, batch):
    router = TokenRouter(base, ["cc", "aa"])
    routed = router(base, *batch, frames=True)
    enc, lengths = base.encode(*batch)
    tokenizer = base.tokenizer
    prompt = torch.tensor([tokenizer.prompt("aa")] * 3)
    logits = base.decoder(prompt, enc, lengths)[:, 0]  # after the start token, before the language
    wanted = logits[:, [tokenizer.prompt("cc")[1], tokenizer.prompt("aa")[1]]].softmax(1)
    torch.testing.assert_close(routed.probabilities, wanted)
    assert routed.frames.shape == (3, 100, 2) and router.other_threshold == 0.0
    assert torch.equal(base.encode_rest(routed.prefix)[0], enc)


def test_token_router_faults(base):
    with pytest.raises(ValueError, match="language 'xx' is unknown"):
        TokenRouter(base, ["aa", "xx"])
    with pytest.raises(ValueError, match="no languages"):
        TokenRouter(base, [])
    base.tokenizer = type("English", (), {"prompt": lambda self, language: [5, 6]})()
    with pytest.raises(ValueError, match="no language tokens, expected a multilingual base"):
        TokenRouter(base, ["en"])


def test_a_deeper_layer_hears_each_window_alone(base):
    """Frames in the middle of a long utterance are those of the window cut out by hand."""
    config = RouterConfig(layers=(0, 2), channels=8, window_seconds=0.4, hop_seconds=0.2)
    router = make_router(config)
    generator = torch.Generator().manual_seed(0)
    features, lengths = torch.randn(2, 300, 80, generator=generator), torch.tensor([300, 150])
    audio = torch.randn(2, 48000, generator=generator) / 10
    for speech, unit, sizes in ((features, 2, lengths), (audio, 320, lengths * 160)):
        frames = router(base, speech, sizes, frames=True).frames
        for row, centre, first, last in ((0, 60, 50, 70), (1, 30, 20, 40), (1, 0, 0, 10)):
            cut = speech[row : row + 1, first * unit : last * unit]
            alone = router(base, cut, torch.tensor([cut.shape[1]]))
            expected = (alone.logits[0] / router.window_temperature).softmax(0)
            torch.testing.assert_close(frames[row, centre], expected, atol=1e-5, rtol=1e-4)


def test_frames_do_not_depend_on_padding_to_the_window(base, batch):
    router = make_router()
    expected = router(base, *batch, frames=True).frames
    base.pad_to = 30.0
    found = router(base, *batch, frames=True).frames
    torch.testing.assert_close(found[:, :100], expected)
