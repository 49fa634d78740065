"""Utterances that switch language, put together from utterances of one language each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from espnet_peft.audio.level import without_clipping
from espnet_peft.audio.resample import RATE
from espnet_peft.audio.source import Deck, Source
from espnet_peft.audio.splice import Piece, splice
from espnet_peft.audio.units import Unit, runs
from espnet_peft.kaldi.timeline import Span

MAX_SECONDS = 28.0
LONG_FADE, SHORT_FADE = 400, 80  # half the cross-fade in samples: 50 ms and 10 ms in all
ISLAND = (0.4, 1.5)  # seconds of the words that replace others (intra)
REST = 0.3  # seconds of the sentence that stay on either side, where anything stays
PHRASE = (0.4, 1.2)  # seconds of a phrase (rapid)
UNTIMED = 3.4  # seconds that either may last where pauses are the only places to cut
LEAD = RATE // 10  # samples before the first and after the last word of a sentence (intra)


@dataclass(frozen=True)
class Part:
    """A piece of a mixture in one language, with its words."""

    piece: Piece
    language: str
    text: str


@dataclass(frozen=True)
class Mixture:
    """Audio (n,) at 16 kHz in several languages: spans side by side from 0 to its end, the words
    of each.
    """

    utt_id: str
    samples: np.ndarray
    spans: list[Span]
    texts: list[str]


def make_mixtures(
    sources: dict[str, list[Source]], kind: str, n: int, seed: int
) -> Iterator[Mixture]:
    """Yield `n` mixtures; all ordered pairs of languages come equally often.

    kind: "inter" joins two or three utterances, "intra" replaces words of a sentence by words of
    another language, "rapid" alternates four to eight short phrases of two languages.

    Raises ValueError for less than two languages, or where a language has no fitting utterance.
    """
    if len(sources) < 2:
        raise ValueError(f"languages: {' '.join(sources) or 'none'}, expected two or more to mix")
    if n < 1:
        raise ValueError(f"n {n}: expected at least 1")
    rng = random.Random(f"{seed} {kind}")
    decks = {x: Deck(sources[x], f"{seed} {kind} {x}") for x in sources}
    choose, half = KINDS[kind]
    pairs: list[tuple[str, str]] = []
    for k in range(n):
        if not pairs:
            pairs = list(permutations(sources, 2))
            rng.shuffle(pairs)
        parts = choose(decks, pairs.pop(), rng)
        yield _mix(f"{kind}-{k:0{max(4, len(str(n - 1)))}d}", parts, half)


def _mix(utt_id: str, parts: Sequence[Part], half: int) -> Mixture:
    try:
        samples, borders = splice([part.piece for part in parts], half)
    except ValueError as error:
        raise ValueError(f"{utt_id}: {error}") from error
    times = [border / RATE for border in borders]
    spans = [
        Span(start, end, part.language)
        for part, start, end in zip(parts, times, times[1:], strict=False)
    ]
    return Mixture(utt_id, without_clipping(samples), spans, [part.text for part in parts])


def _inter(decks: dict[str, Deck], pair: tuple[str, str], rng: random.Random) -> list[Part]:
    languages = list(pair)
    if rng.random() < 0.5:
        languages.append(rng.choice([x for x in decks if x != pair[1]]))
    longest = MAX_SECONDS / len(languages)
    wanted = f"{4 * LONG_FADE / RATE:.1f} to {longest:.1f} s"

    def whole(source: Source) -> Part | None:
        n = len(source.samples)
        if not 4 * LONG_FADE + 16 <= n <= longest * RATE:
            return None
        text = " ".join(source.text.split())
        return Part(Piece(source.samples, 0, n), source.language, text)

    return _draw_all(decks, languages, [whole] * len(languages), f"a length of {wanted}")


def _intra(decks: dict[str, Deck], pair: tuple[str, str], rng: random.Random) -> list[Part]:
    matrix, island = _draw_all(
        decks,
        pair,
        [lambda source: _frame(source, rng), lambda source: _phrase(source, ISLAND, rng)],
        f"words to replace, or to put in, of a good length ({ISLAND[0]} to {ISLAND[1]} s, or"
        f" {UNTIMED:g} s without word times)",
    )
    before, after = matrix
    return [part for part in (before, island, after) if part is not None]


def _rapid(decks: dict[str, Deck], pair: tuple[str, str], rng: random.Random) -> list[Part]:
    count = rng.randint(4, 8)
    languages = [pair[k % 2] for k in range(count)]

    def phrase(source: Source) -> Part | None:
        return _phrase(source, PHRASE, rng)

    wanted = f"a phrase of {PHRASE[0]} to {PHRASE[1]} s, or {UNTIMED:g} s without word times"
    return _draw_all(decks, languages, [phrase] * count, wanted)


def _draw_all(
    decks: dict[str, Deck], languages: Sequence[str], uses: Sequence[Callable], wanted: str
) -> list:
    """Draw an utterance of each language in turn, all with the voice of the first."""
    voices: list[str | None] = []
    drawn = []

    def keep(source: Source, use: Callable) -> object | None:
        if (voices and source.voice != voices[0]) or source.is_faint:
            return None
        found = use(source)
        if found is not None:
            voices.append(source.voice)
        return found

    for language, use in zip(languages, uses, strict=True):
        drawn.append(decks[language].draw(lambda source, use=use: keep(source, use), wanted))
    return drawn


def _phrase(source: Source, seconds: tuple[float, float], rng: random.Random) -> Part | None:
    """Neighbouring words that last so long."""
    possible = _runs(source, seconds)
    return _part(source, *rng.choice(possible)) if possible else None


def _frame(source: Source, rng: random.Random) -> tuple[Part | None, Part | None] | None:
    """What stays of a sentence before and after words that are taken out of it."""
    units = source.units
    if len(source.samples) > (MAX_SECONDS - UNTIMED) * RATE:
        return None
    possible = [
        (i, j)
        for i, j in _runs(source, ISLAND)
        if j - i < len(units) and _enough(units[:i]) and _enough(units[j:])
    ]
    if not possible:
        return None
    i, j = rng.choice(possible)
    before = _part(source, 0, i, before=LEAD) if i else None
    return before, _part(source, j, len(units), after=LEAD) if j < len(units) else None


def _runs(source: Source, seconds: tuple[float, float]) -> list[tuple[int, int]]:
    shortest, longest = seconds
    return runs(source.units, shortest, longest if source.ctm else UNTIMED)


def _enough(units: Sequence[Unit]) -> bool:
    return not units or (units[-1].end - units[0].begin) / RATE >= REST


def _part(source: Source, first: int, last: int, before: int = 0, after: int = 0) -> Part:
    """Units `first` to `last` - 1, with so many samples of the recording before and after them."""
    units = source.units[first:last]
    begin = max(units[0].begin - before, 0)
    end = min(units[-1].end + after, len(source.samples))
    text = " ".join(unit.words for unit in units)
    return Part(Piece(source.samples, begin, end), source.language, text)


KINDS: dict[str, tuple[Callable[..., list[Part]], int]] = {
    "inter": (_inter, LONG_FADE),
    "intra": (_intra, SHORT_FADE),
    "rapid": (_rapid, SHORT_FADE),
}
