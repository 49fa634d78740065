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
    loudness: Sequence[float] | None = None,
) -> Timeline:
    """Find the spans of one utterance and the adapters of its spans and frames.

    posteriors: (T, C) calibrated, T >= 1 frames of real audio, on the CPU. Other arguments as in
    `decide`. loudness: (T,) from 0, a pause, to 1 (`measure_loudness`), which makes a change in
    speech dearer than one in a pause; None: all frames are alike, and loud_penalty has no effect.
    A span whose mean probabilities stay below other_threshold goes to the bare base.
    Raises ValueError as `decide` does.
    """
    check_served(languages, adapters, base_languages)
    raw = check_probabilities(posteriors, languages)
    smoothed = smooth(raw, options.smooth_seconds, frame_seconds)
    dwell = max(1, round(options.min_dwell_seconds / frame_seconds))
    penalty = switch_penalties(len(raw), options, loudness)
    bounds, labels = segment(smoothed, dwell, penalty, frame_seconds)
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


def switch_penalties(
    count: int, options: RoutingOptions, loudness: Sequence[float] | None
) -> np.ndarray | float:
    """What a change of language before each of `count` frames costs; one number for all alike.

    Raises ValueError where there is not one loudness for each frame.
    """
    if loudness is None:
        return options.switch_penalty
    loud = np.asarray(loudness, dtype=np.float64)
    if loud.shape != (count,):
        raise ValueError(f"loudness: shape {loud.shape}, expected ({count},), one for each frame")
    # A change lies between two frames: the quieter of them says whether there is a pause.
    quieter = np.minimum(loud, np.concatenate([loud[:1], loud[:-1]]))
    return options.switch_penalty + options.loud_penalty * quieter


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
    switch_penalty: Sequence[float] | float = 0.0,
    frame_seconds: float = FRAME_SECONDS,
) -> tuple[list[tuple[int, int]], list[int]]:
    """The best split of frames into stretches of one language.

    posteriors: (T, C). Maximises the sum over frames of log probability times frame_seconds, less
    switch_penalty for every change, one number or one for each frame (T,) that a stretch may begin
    with, where no stretch is shorter than min_dwell frames; audio shorter than that is one
    stretch. Exact, by dynamic programming in O(T C). Returns the stretches (first frame, frame
    after the last) and the position of each one's language.
    """
    count, n_languages = posteriors.shape
    if count < 1:
        raise ValueError("frame posteriors: found no frame, expected at least one")
    gain = np.log(np.maximum(posteriors, _FLOOR)) * frame_seconds
    sums = np.concatenate([np.zeros((1, n_languages)), gain.cumsum(axis=0)])
    dwell = max(1, min(min_dwell, count))
    every = range(n_languages)
    penalty = np.broadcast_to(np.asarray(switch_penalty, dtype=np.float64), count).tolist()
    # score[c]: of the frames so far, when the last stretch is of c and long enough to end, less
    # the sum of c's gains. So it changes only where a new stretch wins.
    score = [0.0] * n_languages
    opened = [[0] * n_languages]  # start of that stretch, at each end from dwell on
    came = [[0] * n_languages]  # language before it
    totals: list[list[float]] = []  # score and gains of the frames before each possible start
    rows = sums.tolist()
    for end in range(dwell + 1, count + 1):
        start = end - dwell
        totals.append([value + gains for value, gains in zip(score, rows[end - 1], strict=True)])
        if start < dwell or n_languages < 2:
            opened.append(opened[-1])
            came.append(came[-1])
            continue
        before = totals[start - dwell]
        first = before.index(max(before))
        second = max((c for c in every if c != first), key=before.__getitem__)
        starts, befores = opened[-1][:], came[-1][:]
        for c in every:
            previous = second if c == first else first
            fresh = before[previous] - penalty[start] - rows[start][c]
            if fresh > score[c]:
                score[c], starts[c], befores[c] = fresh, start, previous
        opened.append(starts)
        came.append(befores)
    end = count
    label = max(every, key=lambda c: score[c] + rows[count][c])
    bounds, labels = [], []
    while end > 0:
        start = opened[end - dwell][label]
        bounds.append((start, end))
        labels.append(label)
        end, label = start, came[end - dwell][label]
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
