"""Random crops of an utterance, taken before the encoder sees it."""

from __future__ import annotations

import zlib

import numpy as np


def crop_places(
    utt_id: str, seconds: float, shortest: float, longest: float, count: int, seed: int
) -> list[tuple[float, float]]:
    """`count` pairs (start, duration) in seconds, inside an utterance of `seconds`.

    Durations are uniform from `shortest` to `longest` or the utterance's end. The pairs hang on
    seed and id alone, so the order of a set does not matter. An utterance that is no longer than
    `shortest` has none.
    """
    if seconds <= shortest:
        return []
    generator = np.random.default_rng([seed, zlib.crc32(utt_id.encode())])
    places = []
    for _ in range(count):
        duration = generator.uniform(shortest, min(longest, seconds))
        places.append((float(generator.uniform(0, seconds - duration)), float(duration)))
    return places


def crop(speech: np.ndarray, rate: int, start: float, duration: float) -> np.ndarray:
    """The part of samples (n,) or log-mel features (T, n_mels) of `rate` a second.

    Features of a crop are those of cropped audio, except that frames at its edges know what was
    beyond, and that values are cut at 8 decades below the whole utterance's maximum.
    """
    first = min(round(start * rate), len(speech) - 1)
    return speech[first : first + max(1, round(duration * rate))]
