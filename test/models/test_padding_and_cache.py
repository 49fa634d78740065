"""Padding changes nothing, and neither does the cache."""

import copy

import pytest
import torch
from torch import nn

from espnet_peft.models import Cache

LENGTHS = torch.tensor([31, 120, 77, 1])


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(4, 120, 80)  # what lies beyond a length is noise, to be ignored


class Virtual(nn.Module):
    """A soft prompt of n learned vectors."""

    def __init__(self, n, width):
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(n, width))

    def forward(self, batch, dtype, device):
        return self.vectors.to(device, dtype).expand(batch, -1, -1)


@pytest.mark.parametrize("n_prompt", [None, 0, 3])
@torch.no_grad()
def test_utterance_is_the_same_alone_and_in_a_batch(miniature, features, n_prompt):
    if n_prompt is not None:
        miniature.encoder.prompt = Virtual(n_prompt, 32)
        miniature.decoder.prompt = Virtual(n_prompt, 32)
    tokens = torch.randint(0, miniature.dims.n_vocab, (4, 7))
    states, lengths = miniature.encode(features, LENGTHS)
    logits = miniature.decoder(tokens, states, lengths)
    assert states.shape == (4, 60, 32)
    assert lengths.tolist() == [16, 60, 39, 1]
    for i, length in enumerate(LENGTHS.tolist()):
        alone, size = miniature.encode(features[i : i + 1, :length], LENGTHS[i : i + 1])
        torch.testing.assert_close(states[i, : size[0]], alone[0], atol=1e-5, rtol=1e-5)
        single = miniature.decoder(tokens[i : i + 1], alone, size)
        torch.testing.assert_close(logits[i], single[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pad_to", [None, 30.0])
@torch.no_grad()
def test_raw_audio_is_the_same_alone_and_in_a_batch(miniature, pad_to):
    miniature.pad_to = pad_to
    audio = 0.1 * torch.randn(2, 9_000)
    lengths = torch.tensor([9_000, 4_321])
    states, sizes = miniature.encode(audio, lengths)
    alone, size = miniature.encode(audio[1:, :4_321], lengths[1:])
    assert sizes[1] == size[0] == (1500 if pad_to else 14)
    torch.testing.assert_close(states[1, : size[0]], alone[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padded_features_are_nearly_padded_audio(miniature):
    from espnet_peft.audio import log_mel

    miniature.pad_to = 30.0
    audio = 0.1 * torch.randn(16_000)
    audio[-600:] = 0  # else the frames across the end, which features lack, would differ
    features = log_mel(audio)[None]
    from_audio, _ = miniature.encode(audio[None], torch.tensor([16_000]))
    from_features, lengths = miniature.encode(features, torch.tensor([100]))
    assert lengths.tolist() == [1500]
    torch.testing.assert_close(from_features, from_audio, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_prompt", [0, 5])
@torch.no_grad()
def test_cached_logits_equal_uncached(miniature, features, n_prompt):
    miniature.decoder.prompt = Virtual(n_prompt, 32) if n_prompt else None
    tokens = torch.randint(0, miniature.dims.n_vocab, (4, 50))
    states, lengths = miniature.encode(features, LENGTHS)
    expected = miniature.decoder(tokens, states, lengths)
    cache = Cache()
    steps = [miniature.decoder(tokens[:, :4], states, lengths, cache)]
    steps.append(miniature.decoder(tokens[:, 4:9], states, lengths, cache))
    for i in range(9, 50):
        steps.append(miniature.decoder(tokens[:, i : i + 1], None, None, cache))
    torch.testing.assert_close(torch.cat(steps, 1), expected, atol=1e-5, rtol=1e-5)
    assert (cache.length, cache.prefix) == (50, n_prompt)


@torch.no_grad()
def test_reordered_cache_follows_its_rows(miniature, features):
    tokens = torch.randint(0, miniature.dims.n_vocab, (4, 6))
    states, lengths = miniature.encode(features, LENGTHS)
    cache = Cache()
    miniature.decoder(tokens, states, lengths, cache)
    # to beams, swapped inside utterances, then with utterances dropped
    rows = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    for index in (rows, torch.tensor([1, 0, 3, 3, 4, 5, 7, 6]), torch.tensor([5, 2])):
        cache.reorder(index)
        if index is not rows:
            rows = rows[index]
    new = torch.randint(0, miniature.dims.n_vocab, (2, 1))
    whole = torch.cat([tokens[rows], new], 1)
    expected = miniature.decoder(whole, states[rows], lengths[rows])[:, -1:]
    actual = miniature.decoder(new, None, None, cache)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_soft_prompt_keeps_positions_and_lengths(miniature, features):
    with torch.no_grad():
        states, lengths = miniature.encode(features, LENGTHS)
        plain = miniature.decoder(torch.tensor([[3, 4]] * 4), states, lengths)
        miniature.encoder.prompt = Virtual(2, 32)
        miniature.decoder.prompt = Virtual(2, 32)
        prompted, same = miniature.encode(features, LENGTHS)
        logits = miniature.decoder(torch.tensor([[3, 4]] * 4), states, lengths)
    assert prompted.shape == states.shape and same.tolist() == lengths.tolist()
    assert logits.shape == plain.shape
    assert not torch.allclose(logits, plain) and not torch.allclose(prompted, states)


def test_gradient_checkpointing_changes_no_gradient(miniature, features):
    tokens = torch.randint(10, miniature.dims.n_vocab, (4, 9))
    sizes = torch.full((4,), 9)
    gradients = []
    for value in (False, True):
        model = copy.deepcopy(miniature).train()
        model.gradient_checkpointing = value
        loss, _ = model.loss(features, LENGTHS, tokens, sizes, 4, ctc_weight=0.3)
        loss.backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_follows_float32(miniature, features, dtype):
    tokens = torch.randint(0, miniature.dims.n_vocab, (4, 5))
    expected = miniature.decoder(tokens, *miniature.encode(features, LENGTHS))
    half = copy.deepcopy(miniature).to(dtype)
    logits = half.decoder(tokens, *half.encode(features, LENGTHS))
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() < 0.1 * expected.abs().max()


def test_too_long_and_empty_input_is_refused(miniature):
    with pytest.raises(ValueError, match="30.5 s of audio, expected at most 30 s"):
        miniature.encode(torch.zeros(1, 3050, 80), torch.tensor([3050]))
    with pytest.raises(ValueError, match="lengths from 0 to 9"):
        miniature.encode(torch.zeros(2, 10, 80), torch.tensor([0, 9]))
    with pytest.raises(ValueError, match="--n_mels 80"):
        miniature.encode(torch.zeros(1, 10, 128), torch.tensor([10]))
    with pytest.raises(ValueError, match="65 tokens, expected at most 64"):
        tokens = torch.zeros(1, 65, dtype=torch.long)
        miniature.decoder(tokens, torch.zeros(1, 4, 32), torch.tensor([4]))
