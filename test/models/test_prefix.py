"""The encoder in two parts gives what it gives in one, to the last bit."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from espnet_peft.models.attention import key_mask

LENGTHS = torch.tensor([31, 120, 77, 1])


@pytest.fixture
def features():
    torch.manual_seed(0)
    return torch.randn(4, 120, 80)


class Virtual(nn.Module):
    """A soft prompt of n learned vectors."""

    def __init__(self, n, width):
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(n, width))

    def forward(self, batch, dtype, device):
        return self.vectors.to(device, dtype).expand(batch, -1, -1)


def in_one_go(encoder, features, lengths):
    """Whisper's encoder as one straight function; returns what it has after each layer."""
    inside = key_mask(lengths, features.shape[1])[:, 0]
    x = features.transpose(1, 2).masked_fill(~inside, 0.0)
    x = F.gelu(encoder.conv1(x)).masked_fill(~inside, 0.0)
    x = F.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x + encoder.positional_embedding[: x.shape[1]]
    streams = [x]
    if encoder.prompt is not None:
        x = torch.cat([encoder.prompt(len(x), x.dtype, x.device), x], dim=1)
    skipped = x.shape[1] - streams[0].shape[1]
    mask = key_mask((lengths + 1) // 2 + skipped, x.shape[1])
    for block in encoder.blocks:
        x = block(x, None, mask)
        streams.append(x)
    return streams, encoder.ln_post(x[:, skipped:])


@pytest.mark.parametrize("n_prompt", [0, 3])
@torch.no_grad()
def test_split_at_every_layer(miniature, features, n_prompt):
    if n_prompt:
        miniature.encoder.prompt = Virtual(n_prompt, 32)
    streams, expected = in_one_go(miniature.encoder, features, LENGTHS)
    assert torch.equal(miniature.encode(features, LENGTHS)[0], expected)
    assert miniature.n_encoder_layers == 2
    for layer in range(3):
        prefix = miniature.encode_prefix(features, LENGTHS, layer)
        assert prefix.layer == layer and torch.equal(prefix.x, streams[layer])
        for further in range(layer, 3):
            longer = miniature.encode_on(prefix, further)
            assert torch.equal(longer.x, streams[further])
            states, lengths = miniature.encode_rest(longer)
            assert torch.equal(states, expected) and lengths.tolist() == [16, 60, 39, 1]
        assert torch.equal(prefix.x, streams[layer])


@torch.no_grad()
def test_selected_rows(miniature, features):
    prefix = miniature.encode_prefix(features, LENGTHS, 1)
    states, lengths = miniature.encode_rest(prefix)
    rows = torch.tensor([2, 0, 2])
    some, sizes = miniature.encode_rest(prefix.select(rows))
    assert sizes.tolist() == [39, 16, 39] and some.shape[1] == 39
    for row, size, found in zip(rows, sizes, some, strict=True):
        torch.testing.assert_close(found[:size], states[row, :size], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("raw", [True, False])
@torch.no_grad()
def test_spoken_frames_of_padded_audio(miniature, raw):
    speech = torch.randn(2, 9_600) if raw else torch.randn(2, 60, 80)
    lengths = torch.tensor([9_600, 4_900]) if raw else torch.tensor([60, 30])
    for pad_to, wanted in ((None, [30, 15]), (30.0, [1500, 1500])):
        miniature.pad_to = pad_to
        prefix = miniature.encode_prefix(speech, lengths, 1)
        assert prefix.spoken.tolist() == [30, 15]
        assert prefix.lengths.tolist() == wanted


@torch.no_grad()
def test_layers_that_are_not_there(miniature, features):
    prefix = miniature.encode_prefix(features, LENGTHS, 1)
    with pytest.raises(ValueError, match="layer 0, expected 1 to 2"):
        miniature.encode_on(prefix, 0)
    with pytest.raises(ValueError, match="layer 3, expected 0 to 2"):
        miniature.encode_prefix(features, LENGTHS, 3)
