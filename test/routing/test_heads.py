"""Heads: padding changes nothing, layers are weighed, windows see what they should."""

import pytest
import torch
import torch.nn.functional as F

from espnet_peft.routing.config import HEAD_NAMES, RouterConfig
from espnet_peft.routing.heads import HEADS, Classifier, pool
from espnet_peft.routing.windows import spread, window_logits

SETTINGS = {"hidden_dims": [8, 4], "channels": 8}


def make(head, pooling="mean", layers=(0,), width=6, seed=0):
    torch.manual_seed(seed)
    config = RouterConfig(layers=layers, head=head, pooling=pooling, **SETTINGS)
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


def test_windows_are_centred_and_cut_at_the_ends():
    states = torch.arange(2 * 10).float().reshape(2, 10, 1)
    seen = []

    def classify(windows, sizes):
        rows = zip(windows, sizes, strict=True)
        seen.extend(window[:size, 0].tolist() for window, size in rows)
        return torch.stack([w[:n].mean(0) for w, n in zip(windows, sizes, strict=True)])

    logits, counts = window_logits(classify, states, torch.tensor([10, 5]), window=4, hop=3)
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
