"""Probabilities that mean what they say: temperature, its errors, and the threshold of "other"."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0  # temperatures; data of no use would ask for more
BINS = 10


def smoothed_targets(labels: Tensor, n_classes: int) -> Tensor:
    """Targets (N, C) that own up to the size of the sample: 1 / (N + 1) is spread over all classes.

    Without this, a sample that is classified without an error would ask for a temperature of 0.
    """
    share = 1 / (len(labels) + 1)
    return F.one_hot(labels, n_classes).double() * (1 - share) + share / n_classes


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Temperature that minimises the cross-entropy against `smoothed_targets`, by L-BFGS.

    logits (N, C), labels (N,) int64; the result is kept within 0.05 to 20 (C. Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017).
    """
    logits, targets = logits.detach().double(), smoothed_targets(labels, logits.shape[1])
    log_scale = torch.zeros((), dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_scale], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -(targets * F.log_softmax(logits * log_scale.exp(), 1)).sum(1).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    temperature = math.exp(-log_scale.item())
    return min(max(temperature, LOWEST), HIGHEST)


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error: mean over equal bins of |accuracy - confidence|, by their size.

    Bin k of probabilities (N, C) holds the items whose largest is in (k / bins, (k + 1) / bins].
    """
    confidence, choice = probabilities.double().max(1)
    right = (choice == labels).double()
    place = (confidence * bins).ceil().clamp(1, bins).long() - 1
    gaps = torch.zeros(bins, dtype=torch.double).index_add_(0, place, right - confidence)
    return float(gaps.abs().sum() / len(labels))


def choose_threshold(probabilities: Tensor, quantile: float) -> float:
    """Value below which that share of the largest probabilities (N, C) falls."""
    return float(torch.quantile(probabilities.double().max(1).values, quantile))
