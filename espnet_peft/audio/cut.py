"""Cuts long recordings into pieces of speech, at their pauses.

Speech is told from pauses by energy. The threshold follows the recording: it lies between the
quietest and the loudest that is heard within half a minute around, so that neither the level of
a recording nor a steady noise under it matters. What changes like speech (music, other voices)
is taken for speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

RATE = 16_000
FRAME = 160  # samples: all positions are multiples of 10 ms
FRAMES_PER_SECOND = RATE // FRAME
SILENCE = -85.0  # dB below full scale: quieter is digital silence or its dither, whatever the rest
RANGE = 50.0  # dB under the loudest, below which nothing is heard
SHARE = 0.2  # of the way from the quietest to the loudest
MARGIN = 2.5  # dB: steady noise varies by less
SMOOTH = 9  # frames over which a level is taken
HELD = SMOOTH + 3  # frames that speech lasts, and a click does not
SHORTEST_PAUSE = 10  # frames of a smoothed pause: the closure of a stop consonant is shorter
AROUND = 30  # seconds on either side that set the threshold
QUIETEST = 3  # per cent of the frames around that are quieter than the floor


@dataclass(frozen=True)
class CutOptions:
    """Where to cut; all in seconds.

    max_seconds: longest piece, padding included; min_pause: shortest pause at which a piece may
    end that could go on; padding: kept of the pause on either side; min_seconds: shorter pieces
    join a neighbour that is less than a second away. Raises ValueError on values out of range.
    """

    max_seconds: float = 30.0
    min_pause: float = 0.5
    padding: float = 0.2
    min_seconds: float = 1.0

    def __post_init__(self):
        bounds = {
            "max_seconds": (1.0, 30.0),
            "min_pause": (SHORTEST_PAUSE / FRAMES_PER_SECOND, 10.0),
            "padding": (0.0, min(2.0, self.max_seconds / 4)),
            "min_seconds": (0.0, self.max_seconds / 2),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                found = getattr(self, name)
                raise ValueError(f"{name}: found {found}, expected {least:g} to {most:g} seconds")


def cut(
    blocks: Iterable[np.ndarray], options: CutOptions | None = None
) -> tuple[list[tuple[int, int]], int]:
    """Find the pieces of a recording: (start, end) in samples, in order, without overlap.

    blocks: 16 kHz audio (n,) as `stream_audio` gives it. Returns the pieces, none where there is
    no speech, and the number of samples. A piece ends inside speech only where that goes on for
    `max_seconds` without a pause of 0.2 s, and then at the quietest place of the second half.
    """
    options = options or CutOptions()
    levels, n_samples = measure(blocks)
    speech = levels > thresholds(levels)
    pieces = join(drop_clicks(runs(speech)), options)
    limit = frames(options.max_seconds - 2 * options.padding)
    pieces = [part for piece in pieces for part in split(piece, speech, levels, limit)]
    padded = pad(pieces, frames(options.padding), len(levels))
    return [(start * FRAME, min(end * FRAME, n_samples)) for start, end in padded], n_samples


def slices(blocks: Iterable[np.ndarray], spans: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """Yield the samples of each span, which are in order and do not overlap; see `cut`."""
    waiting = iter(spans)
    span = next(waiting, None)
    kept: list[np.ndarray] = []
    position = 0
    for block in blocks:
        while span is not None:
            part = block[max(span[0] - position, 0) : max(span[1] - position, 0)]
            kept.append(part.copy())
            if span[1] > position + len(block):
                break
            yield np.concatenate(kept)
            kept, span = [], next(waiting, None)
        position += len(block)
        if span is None:
            return
    raise ValueError(f"audio ends after {position / RATE:.2f} s, but was longer when it was cut")


def frames(seconds: float) -> int:
    """Seconds as whole frames."""
    return round(seconds * FRAMES_PER_SECOND)


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


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Stretches (start, end) where a mask (T,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def drop_clicks(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out what is as short as a click and has no speech near."""
    kept = []
    for index, (start, end) in enumerate(pieces):
        near = [
            index > 0 and start - pieces[index - 1][1] < 2 * SHORTEST_PAUSE,
            index + 1 < len(pieces) and pieces[index + 1][0] - end < 2 * SHORTEST_PAUSE,
        ]
        if end - start >= HELD or any(near):
            kept.append((start, end))
    return kept


def join(pieces: list[tuple[int, int]], options: CutOptions) -> list[tuple[int, int]]:
    """Join pieces over pauses that are too short, and a short piece to its nearer neighbour."""
    pieces = _joined(pieces, [gap < frames(options.min_pause) for gap in gaps(pieces)])
    shortest, limit = frames(options.min_seconds), frames(options.max_seconds - 2 * options.padding)
    between = gaps(pieces)
    closed = [False] * len(between)
    for index in sorted(range(len(between)), key=between.__getitem__):
        first, last = index, index + 1
        while first > 0 and closed[first - 1]:
            first -= 1
        while last < len(between) and closed[last]:
            last += 1
        left = pieces[index][1] - pieces[first][0]
        right = pieces[last][1] - pieces[index + 1][0]
        fits = left + between[index] + right <= limit
        near = between[index] < FRAMES_PER_SECOND
        closed[index] = near and fits and min(left, right) < shortest
    return _joined(pieces, closed)


def gaps(pieces: list[tuple[int, int]]) -> list[int]:
    """Frames between each piece and the next."""
    return [later[0] - piece[1] for piece, later in zip(pieces, pieces[1:], strict=False)]


def _joined(pieces: list[tuple[int, int]], closed: list[bool]) -> list[tuple[int, int]]:
    """Join pieces over the gaps that are closed."""
    found = pieces[:1]
    for piece, close in zip(pieces[1:], closed, strict=True):
        if close:
            found[-1] = (found[-1][0], piece[1])
        else:
            found.append(piece)
    return found


def split(
    piece: tuple[int, int], speech: np.ndarray, levels: np.ndarray, limit: int
) -> list[tuple[int, int]]:
    """Split a piece into parts of at most `limit` frames, at its longest pauses.

    A pause in the second half of what fits is preferred to one in the first half, and any pause
    to a cut inside speech.
    """
    start, end = piece
    parts = []
    while end - start > limit:
        pauses = [
            (start + first, start + last)
            for first, last in runs(~speech[start : start + limit])
            if last - first >= SHORTEST_PAUSE and first > 0
        ]
        late = [pause for pause in pauses if pause[0] >= start + limit // 2]
        if pauses:
            stop, following = max(late or pauses, key=lambda pause: pause[1] - pause[0])
        else:
            half = start + limit // 2
            stop = half + int(sliding(levels[half : start + limit], 5, np.max).argmin())
            following = stop
        parts.append((start, stop))
        start = following + int(speech[following:end].argmax()) if pauses else following
    return [*parts, (start, end)]


def pad(pieces: list[tuple[int, int]], padding: int, n_frames: int) -> list[tuple[int, int]]:
    """Widen pieces into the pauses around them, to the middle of a pause at most."""
    ends = [0, *(end for _, end in pieces)]
    starts = [*(start for start, _ in pieces), n_frames]
    padded = []
    for index, (start, end) in enumerate(pieces):
        before = start - ends[index]
        after = starts[index + 1] - end
        # The outer pauses belong to one piece alone, the others to two.
        before = before if index == 0 else before // 2
        after = after if index + 1 == len(pieces) else after - after // 2
        padded.append((start - min(before, padding), end + min(after, padding)))
    return padded
