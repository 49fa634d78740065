"""Prompts and round trips of the SentencePiece and the Whisper tokenizers."""

import subprocess
import sys

import pytest

from espnet_peft.models import load_tokenizer
from espnet_peft.models.tokenizer import SentencePieceTokenizer, train_sentencepiece, write_model
from espnet_peft.models.whisper_tokenizer import WhisperTokenizer

SCRIPTS = ["¿qué tal, señor?", "è già là", "नमस्ते दुनिया", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ", "నమస్కారం"]


@pytest.mark.parametrize("text", SCRIPTS)
def test_characters_round_trip(char_tokenizer, text):
    ids = char_tokenizer.encode(text)
    assert char_tokenizer.decode(ids) == text
    assert char_tokenizer.decode([*char_tokenizer.prompt("hi"), *ids, char_tokenizer.eot]) == text
    assert not set(ids) & set(char_tokenizer.suppress)


def test_decomposed_text_is_composed(char_tokenizer):
    assert char_tokenizer.encode("qu\u0065\u0301") == char_tokenizer.encode("qu\u00e9")


def test_specials_cannot_be_written(char_tokenizer):
    with pytest.raises(ValueError, match="lacks"):
        char_tokenizer.encode("<|endoftext|>")


def test_prompts(char_tokenizer):
    with_language = char_tokenizer.prompt("es")
    assert len(set(with_language)) == 4
    assert char_tokenizer.prompt(None) == [with_language[0], *with_language[2:]]
    assert char_tokenizer.languages == ("en", "es", "hi")
    with pytest.raises(ValueError, match="language 'xx' is unknown, expected one of: en es hi"):
        char_tokenizer.prompt("xx")
    with pytest.raises(ValueError, match="task 'sing'"):
        char_tokenizer.prompt("en", task="sing")


def test_missing_characters_are_named(char_tokenizer):
    with pytest.raises(ValueError, match=r"'z' \(U\+007A\) 'ж' \(U\+0436\)"):
        char_tokenizer.encode("zжz")


@pytest.mark.parametrize(("kind", "size"), [("unigram", 310), ("bpe", 330)])
def test_pieces_spell_unknown_characters_as_bytes(kind, size, tmp_path):
    model = train_sentencepiece(SCRIPTS, ["hi"], kind, size)
    write_model(model, tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.vocab_size == size
    assert tokenizer.decode(tokenizer.encode("жук è")) == "жук è"


def test_training_is_deterministic_and_saves(char_tokenizer, tmp_path):
    again = train_sentencepiece(SCRIPTS, ["en"])
    assert again == train_sentencepiece(SCRIPTS[::-1], ["en"])
    char_tokenizer.save(tmp_path)
    assert SentencePieceTokenizer(tmp_path).config() == char_tokenizer.config()


def test_what_is_no_tokenizer(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        SentencePieceTokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(ValueError, match="not a SentencePiece model"):
        SentencePieceTokenizer(tmp_path)
    with pytest.raises(ValueError, match="no text"):
        train_sentencepiece(["  "], ["en"])
    with pytest.raises(ValueError, match="needs a size"):
        train_sentencepiece(["a"], ["en"], "bpe")
    with pytest.raises(ValueError, match="refused"):
        train_sentencepiece(["a b c"], ["en"], "bpe", 9000)


def test_train_tokenizer_command(tmp_path):
    (tmp_path / "text").write_text("u1 hello\nu2 नमस्ते दुनिया\n", encoding="utf-8")
    command = [sys.executable, "-m", "espnet_peft.bin.train_tokenizer", "--out", tmp_path / "t"]
    command += ["--text", tmp_path / "text", "--languages"]
    done = subprocess.run([*command, "en hi"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert load_tokenizer(tmp_path / "t").languages == ("en", "hi")
    done = subprocess.run([*command, "en en"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("train_tokenizer: error: --languages")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("multilingual", "languages", "size"),
    [(False, 99, 51864), (True, 99, 51865), (True, 100, 51866)],
)
def test_whisper_tokenizers_equal_the_package(multilingual, languages, size):
    from whisper.tokenizer import get_tokenizer

    ours = WhisperTokenizer(multilingual, languages)
    theirs = get_tokenizer(
        multilingual, num_languages=languages, language="en", task="transcribe"
    )
    assert ours.vocab_size == size
    assert ours.prompt("en") == list(theirs.sot_sequence_including_notimestamps)
    assert ours.eot == theirs.eot
    assert ours.encode("hello world") == theirs.encode(" hello world")
    for text in SCRIPTS:
        assert ours.decode([*ours.prompt(None), *ours.encode(text), ours.eot]) == text
    # a text that spells a special token stays text
    assert ours.decode(ours.encode("a <|endoftext|> b")) == "a <|endoftext|> b"
    assert theirs.no_speech in ours.suppress and theirs.timestamp_begin in ours.suppress
    assert set(theirs.non_speech_tokens) < set(ours.suppress)
    assert ours.eot not in ours.suppress and ours.eot in ours.suppress_blank


def test_whisper_prompts():
    tokenizer = WhisperTokenizer(True, 99)
    assert tokenizer.prompt("hi", "translate")[1:3] == [50276, 50358]
    assert len(tokenizer.prompt("hi", timestamps=True)) == 3
    with pytest.raises(ValueError, match="'yue' is unknown"):
        tokenizer.prompt("yue")
    assert WhisperTokenizer(True, 100).prompt("yue")
    with pytest.raises(ValueError, match="English-only"):
        WhisperTokenizer(False).prompt("en", "translate")
