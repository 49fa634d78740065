"""How loud speech is, without its pauses."""

from __future__ import annotations

import numpy as np

FRAME = 320  # samples, 20 ms at 16 kHz
RANGE = 25.0  # dB below the loud frames within which a frame counts as speech
TARGET = -26.0  # dB of full scale, the usual level of speech corpora (ITU-T P.56)
FAINTEST = -60.0  # dB of full scale; what is fainter is no recording of speech


def active_level(x: np.ndarray) -> float:
    """Level of the speech in x (n,) in dB of full scale; -inf for digital silence.

    The power is averaged over the frames of 20 ms that are at most 25 dB fainter than the loud ones
    (their 95th percentile), so that pauses do not count.
    """
    frames = np.pad(x, (0, -len(x) % FRAME)).reshape(-1, FRAME).astype(np.float64)
    power = np.square(frames).mean(axis=1)
    loud = np.percentile(power, 95)
    active = power[power >= loud * 10 ** (-RANGE / 10)]
    return decibels(float(active.mean()))


def decibels(power: float) -> float:
    """10 log10 of a mean square; -inf for 0."""
    return 10 * float(np.log10(power)) if power > 0 else -np.inf


def at_level(x: np.ndarray, target: float = TARGET) -> np.ndarray:
    """x (n,) with its speech at `target` dB. Raises ValueError where there is no speech to hear."""
    level = active_level(x)
    if level < FAINTEST:
        raise ValueError(
            f"speech at {level:.0f} dB, expected {FAINTEST:.0f} dB of full scale at least"
        )
    return (x * 10 ** ((target - level) / 20)).astype(np.float32)


def without_clipping(x: np.ndarray) -> np.ndarray:
    """x (n,), made fainter as a whole where its peak would not fit into 16 bits."""
    peak = float(np.abs(x).max(initial=0.0))
    return x if peak <= 0.99 else (x * (0.99 / peak)).astype(np.float32)
