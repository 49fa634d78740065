"""The parts of training, each alone."""

import numpy as np
import pytest
import torch

from espnet_peft.train.collate import collate
from espnet_peft.train.model import PEFTModel
from espnet_peft.train.preprocess import Preprocessor
from espnet_peft.train.schedule import LinearWarmupDecay
from espnet_peft.train.specaug import SpecAugment, make_specaug


def test_specaug_masks_inside_the_utterance_and_by_seed():
    feats = torch.arange(3 * 50 * 20.0).reshape(3, 50, 20)
    lengths = torch.tensor([50, 30, 4])
    augment = SpecAugment(freq_width=5, time_limit=10, time_ratio=0.5)
    torch.manual_seed(1)
    first = augment(feats, lengths)
    torch.manual_seed(1)
    assert torch.equal(first, augment(feats, lengths))
    assert not torch.equal(first, augment(feats, lengths))
    for row, length in enumerate(lengths):
        assert torch.equal(first[row, length:], feats[row, length:])
        changed = first[row, :length] != feats[row, :length]
        mean = feats[row, :length].mean()
        assert torch.allclose(first[row, :length][changed], mean)
        # A cell is masked because of its frame or because of its band, never alone.
        frames, bands = changed.all(dim=1), changed.all(dim=0)
        assert torch.equal(changed, frames[:, None] | bands[None, :])
        assert frames.sum() <= 2 * min(10, int(length * 0.5)) and bands.sum() <= 10


def test_specaug_covers_both_ends():
    torch.manual_seed(0)
    augment = SpecAugment(freq_masks=0, time_masks=1, time_limit=3, time_ratio=1.0)
    feats = torch.randn(400, 6, 4)
    masked = (augment(feats, torch.full((400,), 6)) != feats).all(dim=2)
    assert masked.any(dim=0).all()


def test_specaug_conf():
    assert make_specaug({}) is None
    assert make_specaug({"time_masks": 5}).time_masks == 5
    with pytest.raises(ValueError, match="unknown masks"):
        make_specaug({"masks": 5})


def test_schedule():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=2.0)
    schedule = LinearWarmupDecay(optimizer, total_steps=20, warmup_steps=4, final=0.1)
    rates = []
    for _ in range(25):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates[:5], [0.4, 0.8, 1.2, 1.6, 2.0])
    np.testing.assert_allclose(np.diff(rates[4:21]), -2.0 * 0.9 / 16)
    np.testing.assert_allclose(rates[20:], 0.2)


def test_collate():
    data = [
        ("b", {"speech": np.ones((2, 3), "float32"), "text": np.array([4, 5, 6])}),
        ("a", {"speech": np.ones((4, 3), "float32"), "text": np.array([7])}),
    ]
    utt_ids, batch = collate(data)
    assert utt_ids == ["b", "a"]
    assert batch["text"].tolist() == [[4, 5, 6], [7, -1, -1]]
    assert batch["text_lengths"].tolist() == [3, 1]
    assert batch["speech"].shape == (2, 4, 3) and batch["speech"][0, 2:].abs().sum() == 0
    assert batch["speech_lengths"].tolist() == [2, 4]


class LetterTokenizer:
    vocab_size, eot, languages = 30, 0, ("en",)

    def prompt(self, language):
        return [28, 29]

    def encode(self, text):
        return [ord(c) - 96 for c in text]


def test_preprocessor():
    process = Preprocessor(LetterTokenizer(), int16=True)
    wave = np.array([0, 16384, -32768])
    out = process("u1", {"speech": wave, "text": "abc", "lang": "en"})
    assert out["text"].tolist() == [28, 29, 1, 2, 3, 0]
    assert out["speech"].tolist() == [0.0, 0.5, -1.0]


class Base(torch.nn.Module):
    """A frozen weight and a trained one, in the place of a recogniser."""

    def __init__(self):
        super().__init__()
        self.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
        self.adapter = torch.nn.Parameter(torch.ones(3))
        self.tokenizer = LetterTokenizer()


def test_state_dict_is_the_trainable_part_and_strict():
    model = PEFTModel(Base())
    assert set(model.state_dict()) == {"base.adapter"}
    model.load_state_dict({"base.adapter": torch.arange(3.0)})
    assert model.base.adapter.tolist() == [0, 1, 2]
    for state, message in [
        ({}, "missing base.adapter"),
        ({"base.adapter": torch.ones(3), "base.frozen": torch.ones(2)}, "unexpected base.frozen"),
        ({"base.adapter": torch.ones(4)}, r"shape \(4,\), expected \(3,\)"),
    ]:
        for strict in (True, False):
            with pytest.raises(ValueError, match=message):
                model.load_state_dict(state, strict=strict)
    assert model.base.adapter.tolist() == [0, 1, 2]
