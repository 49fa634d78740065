"""Utterances of several data directories, drawn by language, as material for mixtures."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from espnet_peft.audio.level import FAINTEST, active_level, at_level
from espnet_peft.audio.units import Unit, units_of_ctm, units_of_pauses
from espnet_peft.audio.utterances import Span, list_spans, read_utterances
from espnet_peft.kaldi import read_data_dir

Found = TypeVar("Found")


@dataclass(frozen=True)
class Source:
    """One utterance; its audio is read when it is asked for.

    voice: utterances of equal voice may stand in one mixture; None where any may.
    """

    span: Span
    text: str
    language: str
    ctm: str | None
    voice: str | None
    allow_pipes: bool = False

    @cached_property
    def recorded(self) -> np.ndarray:
        """Audio (n,) at 16 kHz as it is; ValueError, with the utterance's id, for a faulty one."""
        ((utt_id, found),) = read_utterances([self.span], allow_pipes=self.allow_pipes)
        if isinstance(found, Exception):
            raise ValueError(f"{utt_id}: {found}") from found
        return found

    @cached_property
    def is_faint(self) -> bool:
        """Whether nobody is heard in it."""
        return active_level(self.recorded) < FAINTEST

    @cached_property
    def samples(self) -> np.ndarray:
        """Audio (n,) at 16 kHz, its speech at the common level; ValueError as above, or faint."""
        return at_level(self.recorded)

    @cached_property
    def units(self) -> list[Unit]:
        """Where it can be cut: words with a ctm, else what lies between pauses."""
        if self.ctm is None:
            return units_of_pauses(self.samples, self.text)
        try:
            return units_of_ctm(self.ctm, self.text, len(self.samples))
        except ValueError as error:
            raise ValueError(f"{self.span.utt_id}: {error}") from error


def read_sources(
    data_dirs: Sequence[str | Path], same_voice: str = "", allow_pipes: bool = False
) -> dict[str, list[Source]]:
    """The utterances of data directories by language, both in byte order.

    same_voice: a pattern whose group (or whole match) in a speaker's id names the voice.

    Raises:
        ValueError, OSError: a directory without text or utt2lang, an utterance in two of them,
            a speaker in whom the pattern finds nothing.
    """
    sources: dict[str, dict[str, Source]] = {}
    seen: dict[str, str | Path] = {}
    for directory in data_dirs:
        data = read_data_dir(directory)
        for name in ("text", "utt2lang", "wav.scp"):
            if name not in data.tables:
                raise FileNotFoundError(f"{directory}/{name}: no such file, expected one")
        for span in list_spans(directory):
            utt_id = span.utt_id
            if utt_id in seen:
                raise ValueError(
                    f"{directory}: {utt_id} is in {seen[utt_id]} too, expected it once"
                )
            seen[utt_id] = directory
            for name in ("text", "utt2lang", "utt2spk"):
                if not data.tables[name].get(utt_id):
                    raise ValueError(
                        f"{directory}/{name}: no {utt_id}, expected all utterances;"
                        " run utils/fix_data_dir.sh"
                    )
            language = data.tables["utt2lang"][utt_id]
            voice = _voice(data.tables["utt2spk"][utt_id], same_voice) if same_voice else None
            ctm = data.tables.get("ctm", {}).get(utt_id)
            source = Source(span, data.tables["text"][utt_id], language, ctm, voice, allow_pipes)
            sources.setdefault(language, {})[utt_id] = source
    return {
        language: [by_id[utt_id] for utt_id in sorted(by_id)]
        for language, by_id in sorted(sources.items())
    }


def _voice(speaker: str, pattern: str) -> str:
    try:
        match = re.search(pattern, speaker)
    except re.error as error:
        raise ValueError(
            f"--same_voice {pattern}: {error}, expected a regular expression"
        ) from error
    if match is None:
        raise ValueError(
            f"--same_voice {pattern}: not in speaker {speaker}, expected in all of them"
        )
    return match[1] if match.re.groups else match[0]


class Deck:
    """The utterances of one language in a random order; each is drawn once before any twice."""

    def __init__(self, sources: Sequence[Source], seed: str) -> None:
        self.sources = sources
        self.rng = random.Random(seed)
        self.left: list[Source] = []

    def draw(self, use: Callable[[Source], Found | None], wanted: str) -> Found:
        """What `use` makes of the first utterance of which it makes something.

        Raises ValueError, with the words of `wanted`, when there is no such utterance.
        """
        for _ in range(2):
            for k, source in enumerate(self.left):
                found = use(replace(source))  # the audio of a copy is soon forgotten
                if found is not None:
                    del self.left[k]
                    return found
            self.left = self.rng.sample(self.sources, len(self.sources))
        raise ValueError(
            f"none of the {len(self.sources)} utterances of {self.sources[0].language} has {wanted}"
        )
