"""From probabilities of frames to language spans and to weights of adapters in time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from espnet_peft.kaldi.timeline import Span
from espnet_peft.routing.options import RoutingOptions
from espnet_peft.routing.strategies import (
    Choice,
    check_probabilities,
    check_served,
    choose,
    keep_large,
)

FRAME_SECONDS = 0.02  # of the encoder's output
_FLOOR = 1e-4  # least probability of a frame: no single frame may rule a language out


@dataclass(frozen=True)
class Timeline:
    """How one utterance is decoded over time.

    spans: side by side from its start to its end, neighbours of different languages. choices: of
    each span, of one adapter or of the bare base. weights: (T, K) of the K adapters `names` at
    every frame, the remainder being the base's. choice: of the utterance as a whole, by the time
    that the languages have, for what has no frames (the decoder's own updates).
    """

    spans: list[Span]
    choices: list[Choice]
    weights: np.ndarray
    names: tuple[str, ...]
    choice: Choice


def follow(
    posteriors,
    languages: Sequence[str],
    options: RoutingOptions,
    adapters: Mapping[str, str],
    base_languages: Collection[str] = (),
    other_threshold: float = 0.0,
    frame_seconds: float = FRAME_SECONDS,
) -> Timeline:
    """Find the spans of one utterance and the adapters of its spans and frames.

    posteriors: (T, C) calibrated, T >= 1 frames of real audio, on the CPU. Other arguments as in
    `decide`. A span whose mean probabilities stay below other_threshold goes to the bare base.
    Raises ValueError as `decide` does.
    """
    check_served(languages, adapters, base_languages)
    raw = check_probabilities(posteriors, languages)
    smoothed = smooth(raw, options.smooth_seconds, frame_seconds)
    dwell = max(1, round(options.min_dwell_seconds / frame_seconds))
    bounds, labels = segment(smoothed, dwell, options.switch_penalty, frame_seconds)
    means = np.stack([raw[a:b].mean(axis=0) for a, b in bounds])
    spans, choices = [], []
    for (a, b), label, mean in zip(bounds, labels, means, strict=True):
        spans.append(
            Span(a * frame_seconds, b * frame_seconds, languages[label], float(mean[label]))
        )
        only = (np.arange(len(languages)) == label).astype(float)
        limit = 2.0 if mean.max() < other_threshold else 0.0  # 2: nothing reaches it
        choices.append(choose("hard", only, languages, options, adapters, limit))
    names = tuple(dict.fromkeys(adapters[name] for name in languages if name in adapters))
    weights = frame_weights(means, bounds, languages, options, adapters, other_threshold)
    weights = smooth(weights, options.smooth_seconds, frame_seconds)
    whole = np.repeat(means, [b - a for a, b in bounds], axis=0).mean(axis=0)
    choice = choose("soft", whole, languages, options, adapters, other_threshold)
    return Timeline(spans, choices, weights, names, choice)


def smooth(values: np.ndarray, seconds: float, frame_seconds: float = FRAME_SECONDS) -> np.ndarray:
    """Centred moving average over time; at the ends over the frames that there are.

    values: (T, C). The window is the odd number of frames nearest to `seconds`, at least 1.
    """
    half = round(seconds / frame_seconds) // 2
    if half < 1 or len(values) < 2:
        return values
    sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(axis=0)])
    position = np.arange(len(values))
    first = np.maximum(position - half, 0)
    last = np.minimum(position + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)[:, None]


def segment(
    posteriors: np.ndarray,
    min_dwell: int,
    switch_penalty: float = 0.0,
    frame_seconds: float = FRAME_SECONDS,
) -> tuple[list[tuple[int, int]], list[int]]:
    """The best split of frames into stretches of one language.

    posteriors: (T, C). Maximises the sum over frames of log probability times frame_seconds, less
    switch_penalty for every change, where no stretch is shorter than min_dwell frames; audio
    shorter than that is one stretch. Exact, by dynamic programming in O(T C). Returns the
    stretches (first frame, frame after the last) and the position of each one's language.
    """
    count, n_languages = posteriors.shape
    if count < 1:
        raise ValueError("frame posteriors: found no frame, expected at least one")
    gain = np.log(np.maximum(posteriors, _FLOOR)) * frame_seconds
    sums = np.concatenate([np.zeros((1, n_languages)), gain.cumsum(axis=0)])
    dwell = max(1, min(min_dwell, count))
    # best[t, c]: of the frames before t, when the last stretch is of c and long enough to end.
    # Less sums[t, c] it changes only where a new stretch wins.
    relative = np.full((count + 1, n_languages), -np.inf)
    opened = np.zeros((count + 1, n_languages), dtype=np.int64)  # start of the last stretch
    came = np.zeros((count + 1, n_languages), dtype=np.int64)  # language before it
    relative[dwell] = 0.0
    every = np.arange(n_languages)
    for end in range(dwell + 1, count + 1):
        start = end - dwell
        kept = relative[end - 1]
        if start < dwell or n_languages < 2:
            relative[end] = kept
            continue
        before = relative[start] + sums[start]
        first = int(before.argmax())
        rest = before.copy()
        rest[first] = -np.inf
        second = int(rest.argmax())
        previous = np.where(every == first, second, first)
        fresh = before[previous] - switch_penalty - sums[start]
        wins = fresh > kept
        relative[end] = np.where(wins, fresh, kept)
        opened[end] = np.where(wins, start, opened[end - 1])
        came[end] = np.where(wins, previous, came[end - 1])
    end, label = count, int((relative[count] + sums[count]).argmax())
    bounds, labels = [], []
    while end > 0:
        start = int(opened[end, label])
        bounds.append((start, end))
        labels.append(label)
        end, label = start, int(came[end, label])
    return bounds[::-1], labels[::-1]


def frame_weights(
    means: np.ndarray,
    bounds: Sequence[tuple[int, int]],
    languages: Sequence[str],
    options: RoutingOptions,
    adapters: Mapping[str, str],
    other_threshold: float = 0.0,
) -> np.ndarray:
    """Weights of the adapters at every frame: those of its span, before smoothing.

    means: (S, C) mean probabilities of the S spans; bounds: their frames. Languages with less
    than min_weight are left out; a span below other_threshold is the bare base's. Returns (T, K),
    K adapters in the order of `languages`.
    """
    names = list(dict.fromkeys(adapters[name] for name in languages if name in adapters))
    shares = keep_large(means, options.min_weight)
    weights = np.zeros((len(means), len(names)))
    for position, language in enumerate(languages):
        if language in adapters:
            weights[:, names.index(adapters[language])] += shares[:, position]
    weights[means.max(axis=1) < other_threshold] = 0.0
    return np.repeat(weights, [b - a for a, b in bounds], axis=0)
