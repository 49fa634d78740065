"""Classifiers over encoder states: mix the layers, look along time, pool, decide.

Frames after an utterance's end never count, so padding changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from espnet_peft.routing.config import RouterConfig


class Classifier(nn.Module):
    """Language logits of utterances or windows, from the states of one or several layers.

    `width` is the states' size a layer, D. Each layer's states are normalised without learned
    scales, so that the layers' weights compare.
    """

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.n_layers = len(config.layers)
        self.input_dropout = config.input_dropout
        self.layer_weights = nn.Parameter(torch.zeros(self.n_layers))
        self.head = HEADS[config.head](config, width, n_classes)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, C) of states (B, T, L * D), of which the first `lengths` (B,) frames count."""
        x = states.float().unflatten(2, (self.n_layers, -1))
        x = F.layer_norm(x, x.shape[3:])
        x = F.dropout(x, self.input_dropout, self.training)
        x = torch.einsum("btld,l->btd", x, self.layer_weights.softmax(0))
        inside = torch.arange(x.shape[1], device=x.device) < lengths.to(x.device)[:, None]
        return self.head(x.masked_fill(~inside[:, :, None], 0.0), inside)


def pool(x: Tensor, inside: Tensor, kind: str) -> Tensor:
    """Mean over the frames of x (B, T, D) where `inside` (B, T), or mean and deviation (B, 2D)."""
    weights = inside[:, :, None] / inside.sum(1).clamp(min=1)[:, None, None]
    mean = (x * weights).sum(1)
    if kind == "mean":
        return mean
    variance = ((x - mean[:, None]).square() * weights).sum(1)
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=1)


def pooled_width(config: RouterConfig, width: int) -> int:
    """Size of what `pool` returns."""
    return 2 * width if config.pooling == "mean_std" else width


class Linear(nn.Module):
    """One linear layer on the pooled states."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.out = nn.Linear(pooled_width(config, width), n_classes)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, C) of x (B, T, D)."""
        return self.out(pool(x, inside, self.pooling))


class MLP(nn.Module):
    """Hidden layers with ReLU and dropout on the pooled states."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        sizes = [pooled_width(config, width), *config.hidden_dims]
        layers: list[nn.Module] = []
        for size, wider in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(size, wider), nn.ReLU(), nn.Dropout(config.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_classes))

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, C) of x (B, T, D)."""
        return self.layers(pool(x, inside, self.pooling))


class CNN(nn.Module):
    """Two convolutions along time with ReLU, the first at every other frame, then pooling."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        half = config.kernel_size // 2
        size, channels = config.kernel_size, config.channels
        self.conv1 = nn.Conv1d(width, channels, size, stride=2, padding=half)
        self.conv2 = nn.Conv1d(channels, channels, size, padding=half)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(pooled_width(config, config.channels), n_classes)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, C) of x (B, T, D), which is zero outside."""
        inside = inside[:, ::2]
        x = F.relu(self.conv1(x.transpose(1, 2))).masked_fill(~inside[:, None, :], 0.0)
        x = F.relu(self.conv2(x)).transpose(1, 2)
        return self.out(self.dropout(pool(x, inside, self.pooling)))


class LSTM(nn.Module):
    """A bidirectional LSTM, then pooling."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.lstm = nn.LSTM(width, config.channels // 2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(pooled_width(config, config.channels // 2 * 2), n_classes)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, C) of x (B, T, D)."""
        lengths = inside.sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return self.out(self.dropout(pool(x, inside, self.pooling)))


class Attention(nn.Module):
    """A learned query weighs the frames, in each of four groups of channels by itself."""

    GROUPS = 4

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, config.channels)
        self.score = nn.Linear(width, self.GROUPS)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.channels, n_classes)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, C) of x (B, T, D)."""
        scores = self.score(x).masked_fill(~inside[:, :, None], -torch.inf)
        value = F.relu(self.value(x)).unflatten(2, (self.GROUPS, -1))
        pooled = torch.einsum("btgd,btg->bgd", value, scores.softmax(1)).flatten(1)
        return self.out(self.dropout(pooled))


HEADS: dict[str, Callable[[RouterConfig, int, int], nn.Module]] = {
    "linear": Linear,
    "mlp": MLP,
    "cnn": CNN,
    "lstm": LSTM,
    "attention": Attention,
}
