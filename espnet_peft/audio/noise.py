"""Noise of several kinds, and adding it at a signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from espnet_peft.audio.level import active_level, at_level, decibels, without_clipping

TALKERS = 6  # voices of babble
WINDOW = 512  # samples of a frame of the long-term spectrum, 32 ms
QUIET = 1e-9  # power below which there is nothing to scale


def add_noise(x: np.ndarray, noise: np.ndarray, snr: float) -> np.ndarray:
    """x (n,) with `noise` (n,) so that the speech is `snr` dB above the noise.

    The level of speech is that of its active frames, the level of noise that of all samples. The
    sum is made fainter as a whole where it would clip. Raises ValueError for audio or noise of
    silence.
    """
    level = active_level(x)
    power = float(np.mean(np.square(noise, dtype=np.float64)))
    if not np.isfinite(level) or power < QUIET:
        raise ValueError("digital silence, expected audio and noise with some power")
    gain = 10 ** ((level - snr - decibels(power)) / 20)
    return without_clipping((x + gain * noise).astype(np.float32))


def long_term_spectrum(voices: Sequence[np.ndarray]) -> np.ndarray:
    """Mean power spectrum (257,) of voices, each counted alike."""
    window = np.hanning(WINDOW)
    total = np.zeros(WINDOW // 2 + 1)
    for voice in voices:
        frames = np.pad(at_level(voice), (0, -len(voice) % WINDOW)).reshape(-1, WINDOW)
        total += np.square(np.abs(np.fft.rfft(frames * window))).mean(axis=0)
    return total / len(voices)


def white(n: int, voices: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Noise (n,) with equal power at all frequencies; `voices` are not used."""
    return rng.standard_normal(n).astype(np.float32)


def speech_shaped(n: int, voices: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Noise (n,) with the long-term spectrum of the voices."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    power = long_term_spectrum(voices)
    places = np.linspace(0, len(power) - 1, len(spectrum))
    spectrum *= np.sqrt(np.interp(places, np.arange(len(power)), power))
    shaped = np.fft.irfft(spectrum, n)
    return (shaped / np.sqrt(np.mean(np.square(shaped)) + QUIET)).astype(np.float32)


def babble(n: int, voices: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The voices (n,) all speaking at once, equally loud, each repeated from a random place on."""
    total = np.zeros(n, dtype=np.float32)
    for voice in voices:
        start = int(rng.integers(len(voice)))
        total += np.resize(np.roll(at_level(voice), -start), n)
    return total


NOISES: dict[str, Callable[[int, Sequence[np.ndarray], np.random.Generator], np.ndarray]] = {
    "white": white,
    "speech_shaped": speech_shaped,
    "babble": babble,
}
