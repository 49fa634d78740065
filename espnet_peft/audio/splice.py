"""Joining pieces of audio by cross-fades whose middles are known to the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Borders lie on whole milliseconds, so that files with decimal times give them exactly.
STEP = 16


@dataclass(frozen=True)
class Piece:
    """Samples begin to end of x (n,) at 16 kHz; what lies outside them is used for fading."""

    x: np.ndarray
    begin: int
    end: int


def splice(pieces: Sequence[Piece], half: int) -> tuple[np.ndarray, list[int]]:
    """Join pieces; neighbours cross-fade over `half` samples on each side of their border.

    The fades keep the power (sine and cosine), and the outer ends fade too. Where a piece begins
    or ends with its audio, the fade takes place inside.

    Returns:
        Audio (m,) float32 and the borders: 0, the middle of each cross-fade, m. All are whole
        milliseconds.

    Raises:
        ValueError: `half` is no whole number of milliseconds, or a piece has no room for fades.
    """
    if half % STEP or half <= 0:
        raise ValueError(f"fade of {half} samples, expected a multiple of {STEP} above 0")
    inner = [_inner(piece, half) for piece in pieces]
    angle = (np.arange(2 * half, dtype=np.float32) + 0.5) * (np.pi / 4 / half)
    borders = [half]
    for begin, end in inner:
        borders.append(borders[-1] + end - begin)
    mixed = np.zeros(borders[-1] + half, dtype=np.float32)
    for piece, (begin, end), place in zip(pieces, inner, borders, strict=False):
        part = piece.x[begin - half : end + half].astype(np.float32)
        part[: 2 * half] *= np.sin(angle)
        part[-2 * half :] *= np.cos(angle)
        mixed[place - half : place - half + len(part)] += part
    return mixed, [0, *borders[1:-1], len(mixed)]


def _inner(piece: Piece, half: int) -> tuple[int, int]:
    """Begin and end with audio for the fades on both sides, on whole milliseconds apart."""
    begin = max(piece.begin, half)
    end = min(piece.end, len(piece.x) - half)
    end -= (end - begin) % STEP
    if end - begin < 2 * half:
        raise ValueError(
            f"a piece of {piece.end - piece.begin} samples, expected {4 * half} at least for fades"
        )
    return begin, end
