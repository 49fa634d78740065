"""Levels of a recording, and above which of them there is speech.

Speech is told from pauses by energy. The threshold follows the recording: it lies between the
quietest and the loudest that is heard within half a minute around, so that neither the level of
a recording nor a steady noise under it matters. What changes like speech (music, other voices)
is taken for speech.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from espnet_peft.audio.resample import RATE

FRAMES_PER_SECOND = 100
FRAME = RATE // FRAMES_PER_SECOND  # samples: all positions are multiples of 10 ms
SILENCE = -85.0  # dB below full scale: quieter is digital silence or its dither, whatever the rest
RANGE = 50.0  # dB under the loudest, below which nothing is heard
SHARE = 0.2  # of the way from the quietest to the loudest
MARGIN = 2.5  # dB: steady noise varies by less
SMOOTH = 9  # frames over which a level is taken
HELD = SMOOTH + 3  # frames that speech lasts, and a click does not
AROUND = 30  # seconds on either side that set the threshold
QUIETEST = 3  # per cent of the frames around that are quieter than the floor


def measure(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, int]:
    """Level of each frame (T,) in dB below full scale, over 90 ms, and the number of samples.

    Only the band of the voice counts, with a weight that is largest at 1.2 kHz and 12 dB lower
    at 200 Hz and 2.9 kHz: steady noise, hum and an offset lie mostly outside.
    """
    energies, n_samples = [], 0
    taps = band()
    rest = np.zeros(0, dtype=np.float32)
    before = None
    for block in blocks:
        if len(block) == 0:
            continue
        n_samples += len(block)
        if before is None:
            before = np.full(len(taps) - 1, block[0], dtype=np.float32)
        joined = np.concatenate([before, block])
        before = joined[len(block) :]
        rest = np.concatenate([rest, np.convolve(joined, taps, mode="valid")])
        whole = len(rest) // FRAME * FRAME
        energies.append(np.square(rest[:whole], dtype=np.float64).reshape(-1, FRAME).mean(axis=1))
        rest = rest[whole:]
    if len(rest):
        energies.append(np.square(rest, dtype=np.float64).sum(keepdims=True) / FRAME)
    energy = np.concatenate([np.zeros(0), *energies])
    return 10 * np.log10(sliding(energy, SMOOTH, np.mean) + 1e-12), n_samples


def band() -> np.ndarray:
    """Taps of the filter: a difference, which leaves out an offset, 16 times smoothed."""
    taps = np.array([1.0, -1.0])
    for _ in range(16):
        taps = np.convolve(taps, [1.0, 1.0])
    return (taps / np.abs(np.fft.rfft(taps, 1024)).max()).astype(np.float32)


def sliding(values: np.ndarray, size: int, function) -> np.ndarray:
    """Apply a function such as np.min to `size` values centred on each, the ends repeated."""
    if len(values) == 0:
        return values
    padded = np.pad(values, (size // 2, (size - 1) // 2), mode="edge")
    return function(np.lib.stride_tricks.sliding_window_view(padded, size), axis=1)


def thresholds(levels: np.ndarray) -> np.ndarray:
    """Level (T,) above which a frame is speech, from what is heard around it."""
    if len(levels) == 0:
        return levels
    held = sliding(levels, HELD, np.min)
    centres = np.arange(FRAMES_PER_SECOND // 2, len(levels), FRAMES_PER_SECOND)
    centres = centres if len(centres) else np.array([0])
    found = []
    for centre in centres:
        start = max(centre - AROUND * FRAMES_PER_SECOND, 0)
        end = centre + AROUND * FRAMES_PER_SECOND
        loudest = held[start:end].max()
        heard = levels[start:end]
        heard = heard[heard > max(SILENCE, loudest - RANGE)]
        quietest = np.percentile(heard, QUIETEST) if len(heard) else SILENCE
        found.append(max(quietest + max(SHARE * (loudest - quietest), MARGIN), SILENCE))
    return np.interp(np.arange(len(levels)), centres, found)
