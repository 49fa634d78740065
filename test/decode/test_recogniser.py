"""Batches of several languages and adapters give what each utterance gives alone."""

import pytest
import torch

from espnet_peft import adapters
from espnet_peft.decode import Recogniser, SearchOptions


def add_random_adapter(model, method, options, name, seed):
    """Inject an adapter and move its weights away from identity."""
    adapters.inject(model, adapters.make_config(method, options), name=name)
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in adapters.trainable_state_dict(model).values():
            tensor.normal_(std=0.3)


@pytest.fixture
def model(tiny):
    model = tiny(seed=3, eot_bonus=1.0)
    add_random_adapter(model, "lora", {"r": 4, "target": "all"}, "one", 1)
    add_random_adapter(model, "adapter", {"bottleneck": 8}, "two", 2)
    add_random_adapter(model, "prompt", {"num_virtual_tokens": 3, "side": "both"}, "three", 3)
    return model


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("merge", [False, True])
def test_mixed_batch(model, speech, merge, beam_size):
    options = SearchOptions(max_length=12, beam_size=beam_size)
    recogniser = Recogniser(model, options, ["one", "two", "three"], merge=merge)
    features, lengths = speech(8)
    languages = ["aa", "bb"] * 4
    names = ["one", "base", "two", None, "three", "one", "three", "two"]
    together = recogniser.decode_batch(features, lengths, languages, names)
    for row, result in enumerate(together):
        own = features[row : row + 1, : lengths[row]], lengths[row : row + 1]
        recogniser.activate(names[row])
        alone = recogniser.decode_batch(*own, [languages[row]], [names[row]])[0]
        assert alone.tokens == result.tokens
        assert alone.score == pytest.approx(result.score, abs=1e-3)
        assert result.text == "".join(result.pieces).replace("▁", " ")
    base = recogniser.decode_batch(features, lengths, languages)
    pairs = zip(base, together, strict=True)
    changed = [one.score != pytest.approx(other.score, abs=1e-3) for one, other in pairs]
    assert changed == [name not in ("base", None) for name in names]


def test_raw_audio_equals_its_features(tiny):
    from espnet_peft.audio import log_mel

    recogniser = Recogniser(tiny(seed=3, eot_bonus=1.0), SearchOptions(max_length=8))
    audio = torch.randn(3, 16000) * 0.1
    lengths = torch.tensor([16000, 16000, 16000])
    raw = recogniser.decode_batch(audio, lengths, ["aa"] * 3)
    mel = recogniser.decode_batch(log_mel(audio), lengths // 160, ["aa"] * 3)
    assert [result.tokens for result in raw] == [result.tokens for result in mel]


def test_unknown_adapter_and_language(model, speech):
    recogniser = Recogniser(model, adapters=["one", "two"])
    with pytest.raises(ValueError, match="adapter xx: not loaded; loaded: one, two"):
        recogniser.decode_batch(*speech(1), ["aa"], ["xx"])
    with pytest.raises(ValueError):
        recogniser.decode_batch(*speech(1), ["zz"])
    with pytest.raises(ValueError, match="stands for no adapter"):
        Recogniser.load("nowhere", {"base": "x"})


def test_padding_to_30_s_keeps_the_limit_of_the_audio(tiny, speech):
    model = tiny(seed=3)
    model.pad_to = 30
    model.tokenizer.suppress = [model.tokenizer.eot]
    recogniser = Recogniser(model, SearchOptions(max_tokens_per_second=20))
    features, lengths = speech(2)
    for result, length in zip(
        recogniser.decode_batch(features, lengths, ["aa", "bb"]), lengths.tolist(), strict=True
    ):
        assert len(result.tokens) == max(8, -(-length * 20 // 100)) and not result.ended
