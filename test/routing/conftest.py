"""A tiny base, and made-up states and feature sets whose languages are told by their channels."""

import kaldiio
import numpy as np
import pytest
import torch

from espnet_peft.kaldi import write_table
from espnet_peft.models import build_whisper, save_base
from espnet_peft.models.tokenizer import SentencePieceTokenizer, train_sentencepiece, write_model
from espnet_peft.routing.states import StateSet

DIMS = {
    "n_audio_state": 16,
    "n_audio_head": 2,
    "n_audio_layer": 2,
    "n_text_ctx": 24,
    "n_text_state": 16,
    "n_text_head": 2,
    "n_text_layer": 1,
}


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_model(train_sentencepiece(["hello", "ciao"], ["aa", "bb", "cc"]), folder)
    return SentencePieceTokenizer(folder)


def build(tokenizer, seed=1):
    torch.manual_seed(seed)
    return build_whisper(DIMS, tokenizer).eval()


@pytest.fixture
def base(tokenizer):
    return build(tokenizer)


@pytest.fixture
def other_base(tokenizer):
    return build(tokenizer, seed=2)


@pytest.fixture(scope="session")
def base_dir(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    save_base(build(tokenizer), folder)
    return folder


@pytest.fixture
def tone():
    """A factory of features (frames, 80) like log-mel: a language's energy is in its own bands."""

    def make(language, frames, generator):
        features = generator.normal(-0.5, 0.1, (frames, 80)).astype(np.float32)
        band = {"aa": 5, "bb": 35, "cc": 65}[language]
        features[:, band : band + 10] += 1.0
        return features

    return make


@pytest.fixture
def feature_set(tmp_path, tone):
    """A factory of feature directories: name, languages, utterances of each."""

    def make(name="set", languages=("aa", "bb"), each=6, seed=0):
        generator = np.random.default_rng(seed)
        folder = tmp_path / name
        folder.mkdir()
        specs, known = {}, {}
        with open(folder / "feats.ark", "wb") as file:
            for language in languages:
                for number in range(each):
                    utt_id = f"{language}_{number:03d}"
                    matrix = tone(language, int(generator.integers(80, 200)), generator)
                    specs[utt_id] = f"{folder}/feats.ark:{file.tell() + len(utt_id) + 1}"
                    kaldiio.save_ark(file, {utt_id: matrix})
                    known[utt_id] = language
        write_table(folder / "feats.scp", specs)
        write_table(folder / "utt2lang", known)
        return folder

    return make


@pytest.fixture
def states():
    """A factory of StateSets (N items, width 8) whose class c is large in channel c."""

    def make(n_classes=3, each=20, seed=0, noise=0.5, n_layers=1):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(n_classes).repeat_interleave(each)
        lengths = torch.randint(20, 120, (len(labels),), generator=generator)
        starts = lengths.cumsum(0) - lengths
        frames = noise * torch.randn(int(lengths.sum()), 8 * n_layers, generator=generator)
        for start, length, label in zip(starts, lengths, labels, strict=True):
            frames[start : start + length, label] += 2.0
        ids = [f"u{k:04d}" for k in range(len(labels))]
        return StateSet(ids, frames.half(), starts, lengths, labels)

    return make
