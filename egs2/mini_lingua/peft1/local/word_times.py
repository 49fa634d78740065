"""When each word of an utterance is spoken, from the events of eSpeak NG."""

import re
from itertools import pairwise

from espeak import Speech


def word_borders(text: str, speech: Speech) -> list[int]:
    """Where the words of `text` start, and where the last one ends: samples (words + 1,).

    Words are what spaces part. Each ends where the next one begins: within a text that has no
    punctuation eSpeak makes no pauses. Raises ValueError where a word would get no time.
    """
    words = list(re.finditer(r"\S+", text))
    # Events inside a word (Italian "sta|sera") start no word of the text.
    events = {word.position: word.sample for word in speech.words}
    known = [k for k, word in enumerate(words) if word.start() in events]
    end = _end_of_speech(speech)
    borders: list[int] = []
    for first, after in zip(known, [*known[1:], len(words)], strict=True):
        start = events[words[first].start()]
        until = events[words[after].start()] if after < len(words) else end
        borders += _part([word[0] for word in words[first:after]], start, until, speech)
    borders.append(end)
    if len(borders) != len(words) + 1 or any(a >= b for a, b in pairwise(borders)):
        raise ValueError(f"'{text}': eSpeak NG gave word borders {borders} for {len(words)} words")
    return borders


def _end_of_speech(speech: Speech) -> int:
    """Where the pause after the last phoneme begins."""
    end = len(speech.samples)
    for phoneme in reversed(speech.phonemes):
        if phoneme.symbol:
            break
        end = phoneme.sample
    return end


def _part(words: list[str], start: int, until: int, speech: Speech) -> list[int]:
    """Starts of words that were spoken as one: at phonemes, by each word's share of the letters."""
    inside = [p.sample for p in speech.phonemes if p.symbol and start <= p.sample < until]
    letters = len("".join(words))
    before = [len("".join(words[:k])) / letters for k in range(1, len(words))]
    return [start, *(inside[min(round(x * len(inside)), len(inside) - 1)] for x in before)]
