"""Whisper's own byte-pair tokenizers, from the whisper package."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from espnet_peft.models.tokenizer import check_prompt

ENGLISH_ONLY = 51864  # vocabulary size; multilingual ones are 51765 + languages + 1
MULTILINGUAL = {51865: 99, 51866: 100}


class WhisperTokenizer:
    """The English-only tokenizer, or the multilingual one with 99 or 100 languages."""

    def __init__(self, multilingual: bool, num_languages: int = 99) -> None:
        from whisper.tokenizer import LANGUAGES, get_tokenizer

        # the language and task given here concern prompts alone, which are made below
        given = {"language": "en", "task": "transcribe"} if multilingual else {}
        self._tokenizer = get_tokenizer(multilingual, num_languages=num_languages, **given)
        self.multilingual = multilingual
        self.num_languages = num_languages
        self.languages = tuple(LANGUAGES)[:num_languages] if multilingual else ("en",)
        self.vocab_size = self._tokenizer.encoding.n_vocab
        self.eot = self._tokenizer.eot
        specials = range(self.eot + 1, self.vocab_size)  # timestamps are the last of them
        self.suppress = sorted({*self._tokenizer.non_speech_tokens, *specials})
        self.suppress_blank = [*self._tokenizer.encoding.encode(" "), self.eot]

    def prompt(
        self, language: str | None, task: str = "transcribe", timestamps: bool = False
    ) -> list[int]:
        """Start, language (where given) and task (multilingual), and the no-timestamps token."""
        check_prompt(self, language, task)
        tokens = self._tokenizer
        ids = [tokens.sot]
        if self.multilingual:
            ids += [tokens.special_tokens[f"<|{language}|>"]] if language else []
            ids.append(tokens.special_tokens[f"<|{task}|>"])
        elif task != "transcribe":
            raise ValueError(f"prompt: task {task!r} of an English-only model, expected transcribe")
        return ids if timestamps else [*ids, tokens.no_timestamps]

    def encode(self, text: str) -> list[int]:
        """Tokens of a text in NFC, after a space, as in Whisper's transcripts."""
        text = unicodedata.normalize("NFC", text).strip()
        return self._tokenizer.encoding.encode_ordinary(" " + text) if text else []

    def decode(self, ids: list[int]) -> str:
        """Text of tokens; special ones and timestamps are dropped."""
        text = [int(i) for i in ids if int(i) < self.eot]
        return self._tokenizer.encoding.decode(text).strip()

    def config(self) -> dict:
        """Type and languages, for config.json."""
        return {
            "type": "whisper",
            "multilingual": self.multilingual,
            "num_languages": self.num_languages,
        }

    def save(self, directory: str | Path) -> None:
        """Nothing: the whisper package holds the files."""


def tokenizer_of_size(n_vocab: int, place: str | Path) -> WhisperTokenizer:
    """Whisper's tokenizer for a vocabulary size; ValueError names `place` where there is none."""
    if n_vocab == ENGLISH_ONLY:
        return WhisperTokenizer(False)
    if n_vocab in MULTILINGUAL:
        return WhisperTokenizer(True, MULTILINGUAL[n_vocab])
    sizes = ", ".join(str(size) for size in (ENGLISH_ONLY, *MULTILINGUAL))
    raise ValueError(f"{place}: vocabulary of {n_vocab}, expected one of Whisper's: {sizes}")
