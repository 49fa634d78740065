"""Heads: padding changes nothing, layers are weighed, windows see what they should."""

import pytest
import torch
import torch.nn.functional as F

from espnet_peft.routing.config import HEAD_NAMES, RouterConfig
from espnet_peft.routing.heads import HEADS, Classifier, pool, pool_windows
from espnet_peft.routing.windows import places, spread, window_logits

SETTINGS = {"hidden_dims": [8, 4], "channels": 8}


def make(head, pooling="mean", layers=(0,), width=6, seed=0, kernel_size=5):
    torch.manual_seed(seed)
    config = RouterConfig(
        layers=layers, head=head, pooling=pooling, kernel_size=kernel_size, **SETTINGS
    )
    return Classifier(config, width, 3).eval()


def test_all_heads_are_there():
    assert set(HEADS) == set(HEAD_NAMES)


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
@pytest.mark.parametrize("head", HEAD_NAMES)
@torch.no_grad()
def test_padding_changes_nothing(head, pooling):
    classifier = make(head, pooling)
    lengths = torch.tensor([7, 1, 12, 4, 11])
    x = 3 * torch.randn(5, 12, 6)
    together = classifier(x, lengths)
    padded = torch.cat([x, 100 * torch.ones(5, 9, 6)], dim=1)
    torch.testing.assert_close(classifier(padded, lengths), together, atol=1e-5, rtol=1e-5)
    for row, length in enumerate(lengths.tolist()):
        alone = classifier(x[row : row + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(alone[0], together[row], atol=1e-5, rtol=1e-5)
    assert (together.std(0) > 1e-4).all()  # the input does matter


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_every_parameter_learns(head):
    classifier = make(head, layers=(0, 1)).train()
    classifier(torch.randn(4, 9, 12), torch.tensor([9, 3, 5, 7])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in classifier.parameters())


def test_pool_is_mean_and_deviation():
    x = torch.tensor([[[1.0], [3.0], [50.0]]])
    inside = torch.tensor([[True, True, False]])
    torch.testing.assert_close(pool(x, inside, "mean"), torch.tensor([[2.0]]))
    found = pool(x, inside, "mean_std")
    torch.testing.assert_close(found, torch.tensor([[2.0, 1.0]]), atol=1e-4, rtol=0)


@torch.no_grad()
def test_layers_are_normalised_and_weighed():
    classifier = make("linear", layers=(0, 1))
    classifier.layer_weights.copy_(torch.tensor([0.0, 2.0]))
    x = torch.randn(2, 5, 12)
    share = torch.tensor([0.0, 2.0]).exp() / torch.tensor([0.0, 2.0]).exp().sum()
    mixed = share[0] * F.layer_norm(x[:, :, :6], (6,)) + share[1] * F.layer_norm(x[:, :, 6:], (6,))
    expected = mixed.mean(1) @ classifier.head.out.weight.T + classifier.head.out.bias
    torch.testing.assert_close(classifier(x, torch.tensor([5, 5])), expected)


@pytest.mark.parametrize("pooling", ["mean", "mean_std"])
@pytest.mark.parametrize("head", HEAD_NAMES)
@torch.no_grad()
def test_windows_together_equal_windows_alone(head, pooling):
    classifier = make(head, pooling, layers=(0, 1), kernel_size=1)
    states, lengths = torch.randn(4, 40, 12) + 3, torch.tensor([40, 3, 1, 27])
    row, start, size, counts = places(lengths, window=9, hop=3)
    assert counts.tolist() == [14, 1, 1, 9] and (start % 2).unique().tolist() == [0, 1]
    found = classifier.windows(states, lengths, row, start, size)
    places_of_them = zip(row.tolist(), start.tolist(), size.tolist(), strict=True)
    for logits, (r, first, n) in zip(found, places_of_them, strict=True):
        alone = classifier(states[r : r + 1, first : first + n], torch.tensor([n]))
        torch.testing.assert_close(logits, alone[0], atol=1e-5, rtol=1e-5)
    assert (found.std(0) > 1e-3).all()


@pytest.mark.parametrize("head", HEAD_NAMES)
@torch.no_grad()
def test_padding_does_not_change_windows(head):
    classifier = make(head, "mean_std")
    states, lengths = torch.randn(3, 30, 6), torch.tensor([30, 4, 17])
    row, start, size, _ = places(lengths, window=8, hop=3)
    together = classifier.windows(states, lengths, row, start, size)
    padded = torch.cat([states, 100 * torch.ones(3, 11, 6)], dim=1)
    found = classifier.windows(padded, lengths, row, start, size)
    torch.testing.assert_close(found, together, atol=1e-5, rtol=1e-5)
    for r, length in enumerate(lengths.tolist()):
        own = row == r
        alone = states[r : r + 1, :length], lengths[r : r + 1], row[own] * 0, start[own], size[own]
        torch.testing.assert_close(classifier.windows(*alone), together[own], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("first", [20, 21])
@torch.no_grad()
def test_windows_of_convolutions_see_their_reach(first):
    classifier = make("cnn", "mean_std", kernel_size=5)
    states, size, reach = torch.randn(1, 60, 6), 11, 2 + 2 * 2
    assert classifier.pooled_frames(50) == 50 - reach

    def logits(states, start):
        place = torch.tensor([0]), torch.tensor([start]), torch.tensor([size])
        return classifier.windows(states, torch.tensor([states.shape[1]]), *place)

    piece = states[:, first - reach : first + size + reach]
    expected = logits(states, first)
    torch.testing.assert_close(logits(piece, reach), expected, atol=1e-5, rtol=1e-5)
    for frame, counts in ((first - reach - 1, False), (first - reach, True)):
        other = states.clone()
        other[:, frame] = torch.randn(6)
        assert ((logits(other, first) - expected).abs().max() > 1e-4) == counts


@pytest.mark.parametrize("kind", ["mean", "mean_std"])
def test_pooled_windows_of_long_utterances_are_exact(kind):
    x = 300 + torch.randn(2, 3000, 5)
    row, start, size = (
        torch.tensor([0, 1, 1]),
        torch.tensor([0, 2990, 700]),
        torch.tensor([3, 10, 9]),
    )
    found = pool_windows(x, row, start, size, kind)
    for k, (r, first, n) in enumerate(zip(row, start, size, strict=True)):
        piece = x[r, first : first + n][None].double()
        expected = pool(piece, torch.ones(1, n, dtype=torch.bool), kind)[0].float()
        torch.testing.assert_close(found[k], expected, atol=1e-4, rtol=1e-6)


def test_windows_are_centred_and_cut_at_the_ends():
    states = torch.arange(2 * 10).float().reshape(2, 10, 1)
    seen = []

    def classify(windows, sizes):
        rows = zip(windows, sizes, strict=True)
        seen.extend(window[:size, 0].tolist() for window, size in rows)
        return torch.stack([w[:n].mean(0) for w, n in zip(windows, sizes, strict=True)])

    row, start, size, counts = places(torch.tensor([10, 5]), window=4, hop=3)
    logits, counts = window_logits(classify, states, row, start, size), counts.tolist()
    assert counts == [4, 2]
    rows = [[0, 1], [1, 2, 3, 4], [4, 5, 6, 7], [7, 8, 9], [10, 11], [11, 12, 13, 14]]
    assert seen == rows
    frames = spread(logits, counts, 3, 10)
    assert frames.shape == (2, 10, 1)
    centres = [sum(row) / len(row) for row in rows]
    assert frames[0, ::3, 0].tolist() == centres[:4]
    expected = (2 * centres[0] + centres[1]) / 3  # frame 1 lies a third of the way
    assert frames[0, 1, 0].item() == pytest.approx(expected)
    assert frames[1, 3:, 0].tolist() == [centres[5]] * 7
