"""A miniature Whisper over characters, as the recipes train it."""

import pytest
import torch

from espnet_peft.models import build_whisper
from espnet_peft.models.tokenizer import SentencePieceTokenizer, train_sentencepiece, write_model

TEXTS = ["hello world", "¿qué tal, señor?", "è già là", "नमस्ते दुनिया", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ", "నమస్కారం"]
MINIATURE = {
    "n_audio_state": 32,
    "n_audio_head": 2,
    "n_audio_layer": 2,
    "n_text_ctx": 64,
    "n_text_state": 32,
    "n_text_head": 2,
    "n_text_layer": 2,
}


@pytest.fixture(scope="session")
def char_tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_model(train_sentencepiece(TEXTS, ["en", "es", "hi"]), folder)
    return SentencePieceTokenizer(folder)


@pytest.fixture
def miniature(char_tokenizer):
    torch.manual_seed(1)
    return build_whisper(MINIATURE, char_tokenizer, ctc=True).eval()
