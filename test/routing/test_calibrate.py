"""Calibration against a search over a grid and numbers worked out by hand."""

import numpy as np
import pytest
import torch

from espnet_peft.routing.calibrate import (
    calibration_error,
    choose_threshold,
    fit_temperature,
    smoothed_targets,
)


def grid_optimum(logits, labels):
    """The best of many temperatures, by numpy, from the definition of the targets."""
    logits, labels = logits.double().numpy(), labels.numpy()
    n, classes = logits.shape
    targets = np.full((n, classes), 1 / (n + 1) / classes)
    targets[np.arange(n), labels] += n / (n + 1)
    temperatures = np.exp(np.linspace(np.log(0.1), np.log(10), 4001))
    losses = []
    for temperature in temperatures:
        z = logits / temperature
        z = z - z.max(1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        losses.append(-(targets * log_p).sum(1).mean())
    return temperatures[int(np.argmin(losses))]


@pytest.mark.parametrize("scale", [0.3, 1.0, 6.0])
def test_temperature_is_the_optimum(scale):
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(4, (400,), generator=generator)
    logits = torch.randn(400, 4, generator=generator)
    logits[torch.arange(400), labels] += 2.0
    found = fit_temperature(scale * logits, labels)
    assert found == pytest.approx(grid_optimum(scale * logits, labels), rel=2e-3)
    assert found == pytest.approx(scale * fit_temperature(logits, labels), rel=1e-3)


def test_separable_data_give_a_finite_temperature():
    labels = torch.arange(3).repeat(10)
    logits = 8.0 * torch.eye(3)[labels]
    found = fit_temperature(logits, labels)
    assert 0.05 < found < 20
    # all rows alike: the optimum's probability is the target's, 1 - 1/31 + 1/93
    p = (logits[0] / found).softmax(0)[0].item()
    assert p == pytest.approx(91 / 93, abs=1e-4)


def test_targets_add_up():
    targets = smoothed_targets(torch.tensor([0, 0, 1]), 3)
    assert targets[0].tolist() == pytest.approx([10 / 12, 1 / 12, 1 / 12])
    assert targets[2].tolist() == pytest.approx([1 / 12, 10 / 12, 1 / 12])


def test_calibration_error_by_hand():
    # bins of a tenth: (0.5, 0.6] holds 0.55 right, 0.59 wrong; (0.9, 1.0] holds 0.95 right
    confident = torch.tensor([0.55, 0.59, 0.95])
    probabilities = torch.stack([confident, 1 - confident], dim=1).double()
    found = calibration_error(probabilities, torch.tensor([0, 1, 0]))
    by_hand = 2 / 3 * abs(0.5 - 0.57) + 1 / 3 * abs(1 - 0.95)
    assert found == pytest.approx(by_hand, abs=1e-6)
    assert calibration_error(torch.tensor([[1.0, 0.0]]), torch.tensor([0])) == 0.0


def test_calibration_lowers_the_error():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (3000,), generator=generator)
    logits = torch.randn(3000, 3, generator=generator)
    logits[torch.arange(3000), labels] += 1.0
    sure = 5 * logits
    temperature = fit_temperature(sure, labels)
    before = calibration_error(sure.softmax(1), labels)
    after = calibration_error((sure / temperature).softmax(1), labels)
    assert before > 0.15 and after < 0.05


def test_threshold_is_the_quantile():
    top = torch.linspace(0.5, 1.0, 101)
    found = choose_threshold(torch.stack([top, 1 - top], dim=1), 0.1)
    assert found == pytest.approx(0.55)
    assert (top < found).double().mean().item() == pytest.approx(0.1, abs=0.01)
