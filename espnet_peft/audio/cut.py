"""Cuts long recordings into pieces of speech, at their pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from espnet_peft.audio.energy import FRAME, FRAMES_PER_SECOND, HELD, measure, sliding, thresholds
from espnet_peft.audio.resample import RATE

SHORTEST_PAUSE = 10  # frames of a smoothed pause: the closure of a stop consonant is shorter


@dataclass(frozen=True)
class CutOptions:
    """Where to cut; all in seconds.

    max_seconds: longest piece, padding included; min_pause: shortest pause at which a piece may
    end that could go on; padding: kept of the pause after it, for speech fades away; lead: kept of
    the pause before it, beyond the 0.04 that smoothing adds, little because a model that learnt
    from tight utterances fails on a late start; min_seconds: shorter pieces join a neighbour that
    is less than a second away. Raises ValueError on values out of range.
    """

    max_seconds: float = 30.0
    min_pause: float = 0.5
    padding: float = 0.2
    lead: float = 0.03
    min_seconds: float = 1.0

    @property
    def most_frames(self) -> int:
        """Frames of the longest piece without its padding."""
        return frames(self.max_seconds) - frames(self.padding) - frames(self.lead)

    def __post_init__(self):
        bounds = {
            "max_seconds": (1.0, 30.0),
            "min_pause": (SHORTEST_PAUSE / FRAMES_PER_SECOND, 10.0),
            "padding": (0.0, min(2.0, self.max_seconds / 4)),
            "lead": (0.0, min(2.0, self.max_seconds / 4)),
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
    limit = options.most_frames
    pieces = [part for piece in pieces for part in split(piece, speech, levels, limit)]
    padded = pad(pieces, frames(options.lead), frames(options.padding), len(levels))
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
    shortest, limit = frames(options.min_seconds), options.most_frames
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


def pad(
    pieces: list[tuple[int, int]], lead: int, padding: int, n_frames: int
) -> list[tuple[int, int]]:
    """Widen pieces by `lead` frames before and `padding` after them, without overlap."""
    padded, last = [], 0
    for index, (start, end) in enumerate(pieces):
        following = pieces[index + 1][0] if index + 1 < len(pieces) else n_frames
        start = max(start - lead, last)
        last = min(end + padding, following)
        padded.append((start, last))
    return padded
