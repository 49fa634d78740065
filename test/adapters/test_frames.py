"""Adapters that change from frame to frame."""

import pytest
import torch

from espnet_peft.adapters import AdapterBank

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def batch(n_rows, n_frames, seed=3):
    generator = torch.Generator().manual_seed(seed)
    speech = torch.randn(n_rows, n_frames, 80, generator=generator)
    tokens = torch.randint(4, 40, (n_rows, 5), generator=generator)
    return speech, torch.full((n_rows,), n_frames), tokens


@torch.no_grad()
def outputs(model, speech, lengths, tokens):
    enc, enc_lengths = model.encode(speech, lengths)
    return enc, model.decoder(tokens, enc, enc_lengths)


@pytest.mark.parametrize("n_frames", [40, 180])
def test_constant_frames_are_soft_rows(n_frames, make, shelf):
    rows = [{"wide": 0.5, "houlsby": 0.3}, {}, {"ears": 1.0}, {"cross": 0.4, "set": 0.6}]
    names = ["ears", "base", "wide", "set", "houlsby", "cross"]
    data = batch(len(rows), n_frames)
    model = make()
    bank = AdapterBank(model, shelf)
    plain = outputs(model, *data)
    with bank.mix(rows):
        soft = outputs(model, *data)
    frames = torch.tensor([[row.get(name, 0.0) for name in names] for row in rows])
    frames = frames[:, None].expand(-1, n_frames // 2, -1)
    with bank.mix(rows, frames, names):
        enc, logits = outputs(model, *data)
    assert torch.allclose(enc, soft[0], **CLOSE) and torch.allclose(logits, soft[1], **CLOSE)
    assert torch.equal(enc[1], plain[0][1]) and torch.equal(logits[1], plain[1][1])
    assert (enc[0] - plain[0][0]).abs().max() > 1e-2


def test_each_frame_has_its_own_update(make, shelf):
    model = make()
    bank = AdapterBank(model, shelf)
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(3, 30, 3, generator=generator)
    frames = frames / frames.sum(dim=2, keepdim=True)
    frames[0, :, 2] = 0  # a switch from one adapter to another, and nothing between
    frames[0, :12], frames[0, 12:15], frames[0, 15:] = (
        torch.tensor([1.0, 0, 0]),
        torch.zeros(3),
        torch.tensor([0, 1.0, 0]),
    )
    frames[1] = 0
    names = ["wide", "start", "cross"]
    rows = [{"wide": 1.0}, {"start": 1.0}, {}]
    for place in ("encoder.blocks.1.attn.query", "decoder.blocks.0.cross_attn.value"):
        layer = model.get_submodule(place)
        x = torch.randn(3, 30, 32, generator=generator)
        with torch.no_grad():
            plain, alone = layer(x), []
            for name in names:
                with bank.mix([{name: 1.0}] * 3):
                    alone.append(layer(x) - plain)
            wanted = plain + sum(frames[:, :, k, None] * alone[k] for k in range(3))
            with bank.mix(rows, frames, names):
                mixed = layer(x)
        assert torch.allclose(mixed, wanted, **CLOSE)
        assert torch.equal(mixed[1], plain[1]) and torch.equal(mixed[0, 12:15], plain[0, 12:15])
        assert not torch.allclose(mixed[0], plain[0], atol=1e-3)


def test_the_decoders_own_states_have_rows(make, shelf):
    """Self-attention and feed-forward of the decoder follow the rows, whatever the frames say."""
    model = make()
    bank = AdapterBank(model, shelf)
    x = torch.randn(2, 6, 32)
    rows = [{"wide": 1.0}, {"start": 0.5}]
    frames = torch.zeros(2, 40, 1)
    for place in ("attn.query", "attn.value", "cross_attn.query", "cross_attn.out", "mlp.0"):
        layer = model.decoder.blocks[1].get_submodule(place)
        with torch.no_grad():
            with bank.mix(rows):
                wanted = layer(x)
            with bank.mix(rows, frames, ["ears"]):
                assert torch.equal(layer(x), wanted)
            assert not torch.allclose(layer(x), wanted, atol=1e-3)


def test_frames_follow_the_rows(make, shelf):
    model = make()
    frames = torch.rand(4, 30, 1)
    layer, x = model.encoder.blocks[0].attn.query, torch.randn(4, 30, 32)
    index = torch.tensor([3, 0, 0])
    with torch.no_grad(), AdapterBank(model, shelf).mix([{}] * 4, frames, ["wide"]) as mix:
        before = layer(x)
        mix.select(index)
        assert torch.allclose(layer(x[index]), before[index], **CLOSE)


@pytest.mark.parametrize(
    "frames, names, said",
    [
        (torch.zeros(2, 20, 1), ["none"], "adapter 'none' is not known"),
        (torch.zeros(2, 20, 2), ["wide"], r"shape \(2, 20, 2\), expected \(2, frames, 1\)"),
        (torch.zeros(1, 20, 1), ["wide"], r"shape \(1, 20, 1\), expected \(2, frames, 1\)"),
        (torch.zeros(2, 20), ["wide"], r"shape \(2, 20\)"),
        (torch.full((2, 20, 1), float("nan")), ["wide"], "expected shares"),
        (torch.full((2, 20, 1), -0.5), ["wide"], "weights from -0.5"),
        (torch.full((2, 20, 2), 0.6), ["wide", "qv"], "sums up to 1.2"),
    ],
)
def test_frames_that_mean_nothing(frames, names, said, make, shelf):
    with pytest.raises(ValueError, match=said):
        AdapterBank(make(), shelf).mix([{}, {}], frames, names)


def test_frames_must_be_those_of_the_encoder(make, shelf):
    model, data = make(), batch(2, 40)
    with pytest.raises(ValueError, match="20 frames, expected the mix's 21"):
        with AdapterBank(model, shelf).mix([{}, {}], torch.ones(2, 21, 1), ["wide"]):
            outputs(model, *data)
