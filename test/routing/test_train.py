"""Training on made-up states: it learns, it repeats itself, it draws each class alike."""

import pytest
import torch

from espnet_peft.routing.config import HEAD_NAMES, RouterConfig
from espnet_peft.routing.heads import Classifier
from espnet_peft.routing.train import (
    classify,
    classify_windows,
    draw_batches,
    train_classifier,
    window_places,
)

FAST = {"layers": (0,), "channels": 8, "hidden_dims": (16,), "epoch_items": 240, "max_epochs": 4}
FAST |= {"learning_rate": 0.02, "batch_size": 16}


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_separable_data_are_learned(head, states):
    config = RouterConfig(head=head, **FAST)
    trained = train_classifier(config, states(seed=1), states(seed=2), 3, seed=1)
    test = states(seed=3)
    logits = classify(trained.classifier, test, test.starts, test.lengths)
    assert (logits.argmax(1) == test.labels).all()
    assert trained.curve[trained.best_epoch - 1]["valid_acc"] == 1.0
    assert 1 / 3 < trained.other_threshold <= 1


def test_noise_is_not_learned(states):
    config = RouterConfig(head="linear", **FAST)
    train, test = states(seed=1), states(seed=2)
    shuffled = train.labels[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    train = type(train)(train.utt_ids, train.frames, train.starts, train.lengths, shuffled)
    trained = train_classifier(config, train, test, 3, seed=1)
    logits = classify(trained.classifier, test, test.starts, test.lengths)
    assert (logits.argmax(1) == test.labels).double().mean() < 0.8


def test_seeds_reproduce(states):
    config = RouterConfig(head="cnn", **FAST)

    def weights(seed):
        torch.manual_seed(torch.seed() % 1000)  # the caller's own generator must not matter
        trained = train_classifier(config, states(seed=1), states(seed=2), 3, seed)
        return trained.classifier.state_dict(), trained.temperature

    (first, temperature), (again, same), (other, _) = weights(1), weights(1), weights(2)
    assert temperature == same
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_leaves_the_callers_generator(states):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_classifier(RouterConfig(head="linear", **FAST), states(), states(seed=1), 3, seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_early_stop_keeps_the_best(states):
    config = RouterConfig(
        head="linear", **{**FAST, "max_epochs": 30, "learning_rate": 0.5}, patience=2
    )
    trained = train_classifier(config, states(noise=3.0), states(seed=1, noise=3.0), 3, seed=1)
    losses = [epoch["valid_loss"] for epoch in trained.curve]
    assert len(losses) == trained.best_epoch + 2 < 30
    assert losses[trained.best_epoch - 1] == min(losses)
    test = states(seed=1, noise=3.0)
    logits = classify(trained.classifier, test, test.starts, test.lengths)
    loss = torch.nn.functional.cross_entropy(logits, test.labels)
    assert loss.item() == pytest.approx(min(losses), rel=1e-4)


def test_draws_are_balanced_and_inside(states):
    data = states(each=20)
    keep = torch.cat([torch.arange(0, 20), torch.arange(20, 25), torch.arange(40, 60)])
    uneven = type(data)(
        [data.utt_ids[k] for k in keep],
        data.frames,
        data.starts[keep],
        data.lengths[keep],
        data.labels[keep],
    )
    config = RouterConfig(
        layers=(0,), epoch_items=300, batch_size=7, crop_share=0.5, crop_seconds=(0.5, 1.0)
    )
    drawn = list(draw_batches(config, uneven, torch.Generator().manual_seed(0)))
    labels = torch.cat([labels for _, _, labels in drawn])
    assert torch.bincount(labels).tolist() == [100, 100, 100]
    owner = torch.full((len(data.frames),), -1)
    for number, (start, length) in enumerate(zip(uneven.starts, uneven.lengths, strict=True)):
        owner[start : start + length] = number
    cropped = 0
    for starts, lengths, labels in drawn:
        assert len(starts) <= 7
        for start, length, label in zip(starts, lengths, labels, strict=True):
            item = owner[start]
            assert (owner[start : start + length] == item).all() and uneven.labels[item] == label
            if length < uneven.lengths[item]:
                cropped += 1
                assert 25 <= length <= 50
    assert 80 < cropped < 160  # half of 300, less those that are too short for a crop


def test_windows_lie_side_by_side(states):
    data = states()
    items, first, lengths = window_places(25, data)
    starts = data.starts[items] + first
    for start, length, item in zip(starts, lengths, items, strict=True):
        assert data.starts[item] <= start
        assert start + length <= data.starts[item] + data.lengths[item]
    assert set(items.tolist()) == set(range(len(data.utt_ids)))


@pytest.mark.parametrize("head", HEAD_NAMES)
@torch.no_grad()
def test_windows_are_calibrated_as_the_router_computes_them(head, states):
    """Each item by itself, at the first layer from the frames of the whole item."""
    config = RouterConfig(layers=(0,), head=head, channels=8, kernel_size=5, window_seconds=0.5)
    torch.manual_seed(0)
    classifier, data = Classifier(config, 8, 3).eval(), states(each=50)  # more than one batch
    items, first, size = window_places(classifier.pooled_frames(25), data)
    expected = []
    for number in range(len(data.utt_ids)):
        own = items == number
        lengths = data.lengths[number : number + 1]
        item = data.gather(data.starts[number : number + 1], lengths)
        expected.append(classifier.windows(item, lengths, items[own] * 0, first[own], size[own]))
    logits, labels = classify_windows(classifier, config, data)
    expected, wanted = torch.cat(expected), data.labels[items]
    for label in range(3):
        found, sure = logits[labels == label], expected[wanted == label]
        torch.testing.assert_close(found.sort(0).values, sure.sort(0).values, atol=1e-4, rtol=1e-4)


def test_diverging_training_is_an_error(states):
    broken = states()
    frames = broken.frames.clone()
    frames[:] = float("nan")
    data = type(broken)(broken.utt_ids, frames, broken.starts, broken.lengths, broken.labels)
    with pytest.raises(ValueError, match="epoch 1: the loss is nan; lower learning_rate"):
        train_classifier(RouterConfig(head="linear", **FAST), data, data, 3, seed=1)
