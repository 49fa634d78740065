"""Training of the language classifier on stored states."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_peft.routing.calibrate import choose_threshold, fit_temperature
from espnet_peft.routing.config import RouterConfig
from espnet_peft.routing.frames import FRAME_SECONDS
from espnet_peft.routing.heads import Classifier
from espnet_peft.routing.states import StateSet

logger = logging.getLogger(__name__)
AT_ONCE = 128  # items of a validation batch


@dataclass
class Trained:
    """A classifier with what was learned on the validation set, and its curve by epoch."""

    classifier: Classifier
    temperature: float
    window_temperature: float
    other_threshold: float
    best_epoch: int
    curve: list[dict[str, float]] = field(default_factory=list)


def train_classifier(
    config: RouterConfig, train: StateSet, valid: StateSet, n_classes: int, seed: int
) -> Trained:
    """Train until the loss on `valid` stops falling; equal seeds give equal weights.

    Both sets need items of every class.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # initial weights and dropout draw from the global one
        torch.manual_seed(seed)
        width = train.frames.shape[1] // len(config.layers)
        classifier = Classifier(config, width, n_classes)
        curve, best = _fit(classifier, config, train, valid, generator)
    classifier.load_state_dict(best["state"])
    classifier.eval()
    logits = classify(classifier, valid, valid.starts, valid.lengths)
    temperature = fit_temperature(logits, valid.labels)
    window_temperature = fit_temperature(*classify_windows(classifier, config, valid))
    threshold = choose_threshold((logits / temperature).softmax(1), config.other_quantile)
    return Trained(classifier, temperature, window_temperature, threshold, best["epoch"], curve)


def _fit(
    classifier: Classifier,
    config: RouterConfig,
    train: StateSet,
    valid: StateSet,
    generator: torch.Generator,
) -> tuple[list[dict[str, float]], dict]:
    """Run the epochs; returns their curve and the best one's state."""
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    steps = config.max_epochs * math.ceil(config.epoch_items / config.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=steps + config.max_epochs, pct_start=0.1
    )
    curve, best = [], {"loss": math.inf, "epoch": 0, "state": None}
    for epoch in range(1, config.max_epochs + 1):
        begun, total, items = time.perf_counter(), 0.0, 0
        classifier.train()
        for starts, lengths, labels in draw_batches(config, train, generator):
            loss = F.cross_entropy(classifier(train.gather(starts, lengths), lengths), labels)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, items = total + loss.item() * len(labels), items + len(labels)
        classifier.eval()
        logits = classify(classifier, valid, valid.starts, valid.lengths)
        valid_loss = float(F.cross_entropy(logits, valid.labels))
        accuracy = float((logits.argmax(1) == valid.labels).double().mean())
        curve.append({"loss": total / items, "valid_loss": valid_loss, "valid_acc": accuracy})
        took = time.perf_counter() - begun
        logger.info("%s %.1f s", describe(curve[-1], epoch, config.max_epochs), took)
        if not math.isfinite(valid_loss):
            raise ValueError(f"epoch {epoch}: the loss is {valid_loss}; lower learning_rate")
        if valid_loss < best["loss"]:
            state = copy.deepcopy(classifier.state_dict())
            best = {"loss": valid_loss, "epoch": epoch, "state": state}
        elif epoch - best["epoch"] >= config.patience:
            break
    return curve, best


def describe(values: dict[str, float], epoch: int, max_epochs: int) -> str:
    """One epoch of the curve as a line of the log."""
    return (
        f"epoch {epoch}/{max_epochs} loss {values['loss']:.4f}"
        f" valid_loss {values['valid_loss']:.4f} valid_acc {100 * values['valid_acc']:.2f}%"
    )


def draw_batches(
    config: RouterConfig, data: StateSet, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield starts, lengths and labels (B,) of an epoch: as many items of each class.

    A share of the items is cropped to a random duration at a random place. Batches hold items of
    like length, in random order.
    """
    n_classes = int(data.labels.max()) + 1
    each = math.ceil(config.epoch_items / n_classes)
    drawn = []
    for label in range(n_classes):
        members = (data.labels == label).nonzero().flatten()
        rounds = math.ceil(each / len(members))
        orders = [torch.randperm(len(members), generator=generator) for _ in range(rounds)]
        drawn.append(members[torch.cat(orders)[:each]])
    items = torch.cat(drawn)
    starts, lengths = data.starts[items], data.lengths[items]
    cropped = torch.rand(len(items), generator=generator) < config.crop_share
    shortest, longest = (max(1, round(s / FRAME_SECONDS)) for s in config.crop_seconds)
    room = (lengths.clamp(max=longest) - shortest).clamp(min=0)
    wanted = shortest + (torch.rand(len(items), generator=generator) * (room + 1)).long()
    size = torch.where(cropped, wanted.minimum(lengths), lengths)
    place = (torch.rand(len(items), generator=generator) * (lengths - size + 1)).long()
    starts, lengths, labels = starts + place, size, data.labels[items]
    order = (lengths + 10 * torch.rand(len(items), generator=generator)).argsort()
    groups = order.split(config.batch_size)
    for number in torch.randperm(len(groups), generator=generator).tolist():
        group = groups[number]
        yield starts[group], lengths[group], labels[group]


def window_places(window: int, data: StateSet) -> tuple[Tensor, Tensor, Tensor]:
    """Item, first frame in it and size of windows side by side over all items; (N,) each."""
    counts = (data.lengths // window).clamp(min=1)
    items = torch.arange(len(data.lengths)).repeat_interleave(counts)
    number = torch.arange(len(items)) - (counts.cumsum(0) - counts)[items]
    return items, number * window, data.lengths[items].clamp(max=window)


@torch.no_grad()
def classify_windows(
    classifier: Classifier, config: RouterConfig, data: StateSet
) -> tuple[Tensor, Tensor]:
    """Logits (N, C) and labels (N,) of windows over all items, computed as the router does."""
    window = max(1, round(config.window_seconds / FRAME_SECONDS))
    if config.layers[-1] > 0:  # the router encodes each window alone
        items, first, size = window_places(window, data)
        return classify(classifier, data, data.starts[items] + first, size), data.labels[items]
    items, first, size = window_places(classifier.pooled_frames(window), data)
    logits, labels = [], []
    for part in data.lengths.argsort().split(AT_ONCE):
        rank = torch.full_like(data.lengths, -1)
        rank[part] = torch.arange(len(part))
        row = rank[items]
        own = row >= 0
        lengths = data.lengths[part]
        states = data.gather(data.starts[part], lengths)
        logits.append(classifier.windows(states, lengths, row[own], first[own], size[own]))
        labels.append(data.labels[items[own]])
    return torch.cat(logits), torch.cat(labels)


@torch.no_grad()
def classify(classifier: Classifier, data: StateSet, starts: Tensor, lengths: Tensor) -> Tensor:
    """Logits (N, C) of places in a set, in their order."""
    order = lengths.argsort()
    parts = [
        classifier(data.gather(starts[part], lengths[part]), lengths[part])
        for part in order.split(AT_ONCE)
    ]
    return torch.cat(parts)[order.argsort()]
