"""Where an utterance can be cut: between words by a ctm, else in its pauses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from espnet_peft.audio.resample import RATE

HOP = 160  # samples between the frames of the pause finder
PAUSE = 15  # frames: 150 ms, longer than the closure of a stop
MARGIN = 800  # samples of a pause that stay with the speech beside it
CERTAINTY = 0.4  # of a word's expected length: how far from its end a pause may be


@dataclass(frozen=True)
class Unit:
    """A stretch of an utterance that is not cut: samples begin to end at 16 kHz, and its words."""

    begin: int
    end: int
    words: str


def units_of_ctm(lines: str, text: str, n_samples: int) -> list[Unit]:
    """A unit for each word of a ctm entry (`<channel> <start> <duration> <word>` lines).

    Raises ValueError where its words are not those of `text` or do not lie in the audio.
    """
    rows = [line.split(" ") for line in lines.split("\n")]
    words = " ".join(row[3] for row in rows)
    if words != " ".join(text.split()):
        raise ValueError(f"ctm has the words '{words}', text has '{text}', expected the same")
    units = []
    for row in rows:
        begin = round(float(row[1]) * RATE)
        units.append(Unit(begin, begin + round(float(row[2]) * RATE), row[3]))
    if any(unit.begin >= unit.end for unit in units) or units[-1].end > n_samples + RATE // 10:
        raise ValueError(
            f"ctm: words of no length or after the end at {n_samples / RATE:.2f} s, expected none"
        )
    return [Unit(u.begin, min(u.end, n_samples), u.words) for u in units]


def speech_stretches(x: np.ndarray) -> list[tuple[int, int]]:
    """Stretches of speech (begin, end) in samples, parted by pauses of 150 ms or more.

    Speech is what is above a quarter of the way from the faint to the loud frames in dB; audio
    in which they differ by less than 15 dB is one stretch.
    """
    frames = np.pad(x, (0, -len(x) % HOP)).reshape(-1, HOP).astype(np.float64)
    level = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-10)
    faint, loud = np.percentile(level, [10, 95])
    if loud - faint < 15:
        return [(0, len(x))]
    speech = np.flatnonzero(level > faint + max(6.0, 0.25 * (loud - faint)))
    if len(speech) == 0:
        return [(0, len(x))]
    cuts = np.flatnonzero(np.diff(speech) > PAUSE)
    begins = [speech[0], *speech[cuts + 1]]
    ends = [*speech[cuts], speech[-1]]
    return [
        (int(b) * HOP, min((int(e) + 1) * HOP, len(x))) for b, e in zip(begins, ends, strict=True)
    ]


def units_of_pauses(x: np.ndarray, text: str) -> list[Unit]:
    """Units between pauses, with words by an estimate: time is shared among them by their letters.

    A pause is used only where the end of a word is expected near it, so most units are right, but
    nothing proves it. Without such a pause the utterance is one unit.
    """
    stretches = speech_stretches(x)
    words = text.split()
    letters = np.cumsum([0, *(len(word) for word in words)]) / sum(map(len, words))
    lengths = np.array([end - begin for begin, end in stretches], dtype=np.float64)
    passed = np.cumsum(lengths) / lengths.sum()
    borders = [(0, 0)]  # (first word, first stretch) of each unit
    for k in range(len(stretches) - 1):
        word = int(np.abs(letters - passed[k]).argmin())
        if not borders[-1][0] < word < len(words):
            continue
        nearest = min(letters[word] - letters[word - 1], letters[word + 1] - letters[word])
        if abs(letters[word] - passed[k]) <= CERTAINTY * nearest:
            borders.append((word, k + 1))
    units = []
    for (word, k), (next_word, next_k) in pairwise([*borders, (len(words), len(stretches))]):
        begin = max(stretches[k][0] - MARGIN, 0)
        end = min(stretches[next_k - 1][1] + MARGIN, len(x))
        units.append(Unit(begin, end, " ".join(words[word:next_word])))
    return units


def runs(units: list[Unit], shortest: float, longest: float) -> list[tuple[int, int]]:
    """All (first, last + 1) of neighbouring units that last `shortest` to `longest` seconds."""
    found = []
    for i, first in enumerate(units):
        for j in range(i, len(units)):
            if shortest <= (units[j].end - first.begin) / RATE <= longest:
                found.append((i, j + 1))
    return found
