"""Tokenizers with prompts for language and task; SentencePiece for small models."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Protocol

from espnet_peft.kaldi.table import write_bytes

EOT = "<|endoftext|>"
SOT = "<|startoftranscript|>"
TASKS = ("transcribe", "translate")
NO_TIMESTAMPS = "<|notimestamps|>"
MODEL_FILE = "tokenizer.model"


class Tokenizer(Protocol):
    """What the models, training and search need of a tokenizer."""

    vocab_size: int
    eot: int
    languages: tuple[str, ...]
    suppress: list[int]  # never produced in a transcription without timestamps
    suppress_blank: list[int]  # not produced as the first token

    def prompt(
        self, language: str | None, task: str = "transcribe", timestamps: bool = False
    ) -> list[int]:
        """Tokens that start the decoder."""

    def encode(self, text: str) -> list[int]:
        """Tokens of a text; ValueError names characters that have none."""

    def decode(self, ids: list[int]) -> str:
        """Text of tokens; special ones are dropped."""

    def config(self) -> dict:
        """What a base's config.json keeps under "tokenizer"."""

    def save(self, directory: str | Path) -> None:
        """Write the tokenizer's files, if it has any."""


def check_prompt(tokenizer: Tokenizer, language: str | None, task: str) -> None:
    """Raise ValueError where a language or task has no token."""
    if language is not None and language not in tokenizer.languages:
        known = " ".join(tokenizer.languages) or "none"
        raise ValueError(f"prompt: language {language!r} is unknown, expected one of: {known}")
    if task not in TASKS:
        raise ValueError(f"prompt: task {task!r} is unknown, expected one of: {' '.join(TASKS)}")


class SentencePieceTokenizer:
    """A SentencePiece model whose control symbols are Whisper's special tokens.

    `path` is the model file or a directory that holds `tokenizer.model`.
    """

    def __init__(self, path: str | Path) -> None:
        import sentencepiece

        path = Path(path)
        if path.is_dir():
            path = path / MODEL_FILE
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file, expected a SentencePiece model; run train_tokenizer"
            )
        self._bytes = path.read_bytes()
        self._model = sentencepiece.SentencePieceProcessor()
        try:
            self._model.LoadFromSerializedProto(self._bytes)
            self._read_specials(path)
        except RuntimeError as error:
            raise ValueError(
                f"{path}: not a SentencePiece model; train it with train_tokenizer"
            ) from error

    def _read_specials(self, path: Path) -> None:
        model = self._model
        self.vocab_size = model.vocab_size()
        self._ids = {
            model.id_to_piece(i): i for i in range(self.vocab_size) if model.is_control(i)
        }
        missing = [s for s in (EOT, SOT, "<|transcribe|>", NO_TIMESTAMPS) if s not in self._ids]
        if missing:
            raise ValueError(
                f"{path}: lacks the symbols {' '.join(missing)}; train it with train_tokenizer"
            )
        self.eot = self._ids[EOT]
        tasks = {f"<|{task}|>" for task in TASKS}
        others = {EOT, SOT, NO_TIMESTAMPS} | tasks
        self.languages = tuple(piece[2:-2] for piece in self._ids if piece not in others)
        self.suppress = sorted({*self._ids.values(), model.unk_id()} - {self.eot})
        self.suppress_blank = [self.eot]

    def prompt(
        self, language: str | None, task: str = "transcribe", timestamps: bool = False
    ) -> list[int]:
        """Start, language (where given), task and no-timestamps tokens."""
        check_prompt(self, language, task)
        if timestamps:
            raise ValueError("prompt: this tokenizer has no timestamps, expected timestamps=False")
        names = [SOT, *([f"<|{language}|>"] if language else []), f"<|{task}|>", NO_TIMESTAMPS]
        return [self._ids[name] for name in names]

    def encode(self, text: str) -> list[int]:
        """Tokens of a text in NFC; ValueError names characters that have none."""
        text = unicodedata.normalize("NFC", text)
        ids = self._model.encode(text)
        if self._model.unk_id() in ids:
            raise ValueError(
                f"text has characters that the tokenizer lacks: {self._missing(text)};"
                " remove them or train the tokenizer on them"
            )
        return ids

    def _missing(self, text: str) -> str:
        unknown = self._model.unk_id()
        missing = [c for c in dict.fromkeys(text) if unknown in self._model.encode(c)]
        return " ".join(f"{c!r} (U+{ord(c):04X})" for c in missing)

    def decode(self, ids: list[int]) -> str:
        """Text of tokens; special ones are dropped."""
        special = {*self._ids.values(), self._model.unk_id()}
        return self._model.decode([int(i) for i in ids if int(i) not in special]).strip()

    def config(self) -> dict:
        """Type and languages, for config.json."""
        return {"type": "sentencepiece", "languages": list(self.languages)}

    def save(self, directory: str | Path) -> None:
        """Write `tokenizer.model`."""
        write_model(self._bytes, directory)


def write_model(model: bytes, directory: str | Path) -> Path:
    """Write a serialized SentencePiece model as `tokenizer.model` of a directory."""
    path = Path(directory) / MODEL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, model)
    return path


def train_sentencepiece(
    texts: list[str],
    languages: list[str],
    model_type: str = "char",
    vocab_size: int | None = None,
    byte_fallback: bool | None = None,
) -> bytes:
    """Train a SentencePiece model; the same texts give the same bytes.

    Args:
        texts: transcriptions.
        languages: codes that get a token `<|code|>`, in this order.
        model_type: char, unigram or bpe.
        vocab_size: pieces with special ones; None with char, whose size the data give.
        byte_fallback: spell unknown characters as UTF-8 bytes; by default not with char,
            where 256 units that are never trained would outnumber the letters.

    Raises:
        ValueError: no text, or a size that the data cannot give.
    """
    import io

    import sentencepiece

    texts = sorted({unicodedata.normalize("NFC", text).strip() for text in texts} - {""})
    if not texts:
        raise ValueError("tokenizer: no text to train on, expected transcriptions; give --text")
    if model_type != "char" and not vocab_size:
        raise ValueError(f"tokenizer: {model_type} needs a size, expected --vocab_size N")
    if byte_fallback is None:
        byte_fallback = model_type != "char"
    symbols = [EOT, SOT, *(f"<|{language}|>" for language in languages)]
    symbols += [*(f"<|{task}|>" for task in TASKS), NO_TIMESTAMPS]
    size = {"use_all_vocab": True} if model_type == "char" else {"vocab_size": vocab_size}
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=written,
            model_type=model_type,
            control_symbols=symbols,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            normalization_rule_name="identity",
            add_dummy_prefix=model_type != "char",
            character_coverage=1.0,
            byte_fallback=byte_fallback,
            num_threads=1,
            minloglevel=2,
            **size,
        )
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"tokenizer: SentencePiece refused: {reason}") from error
    return written.getvalue()
