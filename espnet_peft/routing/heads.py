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
from espnet_peft.routing.windows import window_logits


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
        return self.head(*self._mix(states, lengths))

    def windows(
        self, states: Tensor, lengths: Tensor, row: Tensor, start: Tensor, size: Tensor
    ) -> Tensor:
        """Logits (N, C) of windows (N,): frames `start` to `start + size` of their `row`.

        What a local head makes of a frame is made once, however many windows share the frame.
        """
        if isinstance(self.head, Local):
            states = states[:, : max(1, int(lengths.max()))]
            return self.head.windows(*self._mix(states, lengths), row, start, size)
        return window_logits(self, states, row, start, size)

    def pooled_frames(self, window: int) -> int:
        """Frames that `windows` should pool to tell the language of a window of that many.

        Frames of a local head have seen their neighbours, so fewer of them cover the window.
        """
        reach = self.head.reach if isinstance(self.head, Local) else 0
        return max(window - reach, (window + 1) // 2)

    def _mix(self, states: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The layers' mixture (B, T, D), zero where it does not count, and where it does."""
        x = states.float().unflatten(2, (self.n_layers, -1))
        x = F.layer_norm(x, x.shape[3:])
        x = F.dropout(x, self.input_dropout, self.training)
        x = torch.einsum("btld,l->btd", x, self.layer_weights.softmax(0))
        inside = torch.arange(x.shape[1], device=x.device) < lengths.to(x.device)[:, None]
        return x.masked_fill(~inside[:, :, None], 0.0), inside


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


def pool_windows(x: Tensor, row: Tensor, start: Tensor, size: Tensor, kind: str) -> Tensor:
    """What `pool` returns for frames `start` to `start + size` of rows of x (B, T, D), (N, ...).

    Differences of running sums, which are kept in float64: they grow with the utterance.
    """
    x, end, count = x.double(), start + size, size.clamp(min=1)[:, None]
    sums = F.pad(x.cumsum(1), (0, 0, 1, 0))
    mean = (sums[row, end] - sums[row, start]) / count
    if kind == "mean":
        return mean.float()
    sums = F.pad(x.square().cumsum(1), (0, 0, 1, 0))
    variance = (sums[row, end] - sums[row, start]) / count - mean.square()
    return torch.cat([mean, (variance.clamp(min=0) + 1e-5).sqrt()], dim=1).float()


class Local(nn.Module):
    """A head whose work before pooling looks no further than `reach` frames to either side.

    `see` makes the frames to be pooled, one of `stride`; `decide` takes what `pool` returns.
    """

    pooling: str
    stride = 1
    reach = 0

    def see(self, x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Frames to pool, from x (B, T, D) which is zero outside, and where they are inside."""
        return x, inside

    def decide(self, pooled: Tensor) -> Tensor:
        """Logits (B, C) of pooled frames."""
        raise NotImplementedError

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """Logits (B, C) of x (B, T, D), which is zero outside."""
        return self.decide(pool(*self.see(x, inside), self.pooling))

    def windows(
        self, x: Tensor, inside: Tensor, row: Tensor, start: Tensor, size: Tensor
    ) -> Tensor:
        """Logits (N, C) of windows, as of `Classifier.windows`."""
        places, logits = [], []
        for phase in (start % self.stride).unique().tolist():  # frames from which windows start
            own = (start % self.stride == phase).nonzero().flatten()
            seen, _ = self.see(x[:, phase:], inside[:, phase:])
            first = (start[own] - phase) // self.stride
            count = (size[own] + self.stride - 1) // self.stride
            places.append(own)
            logits.append(self.decide(pool_windows(seen, row[own], first, count, self.pooling)))
        return torch.cat(logits)[torch.cat(places).argsort()]


class Linear(Local):
    """One linear layer on the pooled states."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.out = nn.Linear(pooled_width(config, width), n_classes)

    def decide(self, pooled: Tensor) -> Tensor:
        """Logits (B, C) of pooled frames."""
        return self.out(pooled)


class MLP(Local):
    """Hidden layers with ReLU and dropout on the pooled states."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        sizes = [pooled_width(config, width), *config.hidden_dims]
        layers: list[nn.Module] = []
        for size, wider in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(size, wider), nn.ReLU(), nn.Dropout(config.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], n_classes))

    def decide(self, pooled: Tensor) -> Tensor:
        """Logits (B, C) of pooled frames."""
        return self.layers(pooled)


class CNN(Local):
    """Two convolutions along time with ReLU, the first at every other frame, then pooling."""

    def __init__(self, config: RouterConfig, width: int, n_classes: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        half = config.kernel_size // 2
        size, channels = config.kernel_size, config.channels
        self.stride, self.reach = 2, 3 * half  # half, and of every other frame another half
        self.conv1 = nn.Conv1d(width, channels, size, stride=2, padding=half)
        self.conv2 = nn.Conv1d(channels, channels, size, padding=half)
        self.dropout = nn.Dropout(config.dropout)
        self.out = nn.Linear(pooled_width(config, config.channels), n_classes)

    def see(self, x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """Every other frame (B, T / 2, channels), and which of them are inside."""
        inside = inside[:, ::2]
        x = F.relu(self.conv1(x.transpose(1, 2))).masked_fill(~inside[:, None, :], 0.0)
        return F.relu(self.conv2(x)).transpose(1, 2), inside

    def decide(self, pooled: Tensor) -> Tensor:
        """Logits (B, C) of pooled frames."""
        return self.out(self.dropout(pooled))


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
