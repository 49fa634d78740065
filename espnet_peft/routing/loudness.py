"""How loud an utterance is over time, to tell its pauses."""

from __future__ import annotations

import numpy as np

FEATURE_FRAMES = 2  # of 10 ms in a frame of the encoder
SAMPLES = 320  # at 16 kHz in a frame of the encoder
RANGE = 35.0  # dB below the loud frames that count as silence
LOUD = 95  # per cent of the frames that are not louder than the loud ones


def measure_loudness(speech, count: int) -> np.ndarray:
    """Loudness (count,) of each encoder frame (20 ms), 0 in silence and 1 where it is loudest.

    speech: one utterance, samples (n,) or log-mel features (T, n_mels) as the models take them, on
    the CPU; its length may differ from `count` frames by a part of one. The level in dB is taken
    over three frames and is relative to the utterance's own, so that gain does not matter.
    """
    x = np.asarray(speech, dtype=np.float64)
    if x.ndim == 1:
        energy, size = x**2, SAMPLES
    else:
        # Log-mel is log10(energy) / 4 + 1.
        energy, size = (10.0 ** (4.0 * x - 4.0)).mean(axis=1), FEATURE_FRAMES
    missing = count * size - len(energy)
    if missing > 0:
        energy = np.pad(energy, (0, missing), mode="edge")
    energy = energy[: count * size].reshape(count, size).mean(axis=1)
    around = np.pad(energy, 1, mode="edge")
    energy = (around[:-2] + around[1:-1] + around[2:]) / 3
    level = 10 * np.log10(energy + 1e-10)
    return np.clip((level - np.percentile(level, LOUD)) / RANGE + 1.0, 0.0, 1.0)
