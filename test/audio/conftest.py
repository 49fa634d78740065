"""Data directories of tones: a language is a pitch, so that what is heard when can be measured."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_peft.kaldi import DataDir, write_data_dir

RATE = 16_000
PITCH = {"aa": 500.0, "bb": 1500.0, "cc": 3000.0}


def tone(seconds, hz, level_db):
    """A sine with an RMS of level_db of full scale."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (np.sqrt(2) * 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def write_tones(directory, language, n=4, words=6, with_ctm=True, speakers=("v1", "v2")):
    """Utterances of `words` words: each 0.25 s with ctm, else 0.6 s tones with pauses of 0.3 s."""
    (directory / "audio").mkdir(parents=True)
    tables = {name: {} for name in ("wav.scp", "text", "utt2spk", "utt2lang", "ctm")}
    for k in range(n):
        speaker = f"{language}_{speakers[k % len(speakers)]}"
        utt_id = f"{speaker}-{k}"
        level = -15.0 - 5 * k
        if with_ctm:
            x = np.pad(tone(0.25 * words, PITCH[language], level), (800, 1600))
        else:
            pause = np.zeros(round(0.3 * RATE), dtype=np.float32)
            one = tone(0.6, PITCH[language], level)
            x = np.concatenate([part for _ in range(words) for part in (pause, one)] + [pause])
            x = x + 1e-4 * np.random.default_rng(k).standard_normal(len(x)).astype(np.float32)
        path = directory / "audio" / f"{utt_id}.wav"
        soundfile.write(path, x, RATE, subtype="FLOAT")
        spoken = [f"{language}{k}{w}" for w in range(words)]
        tables["wav.scp"][utt_id] = str(path)
        tables["text"][utt_id] = " ".join(spoken)
        tables["utt2spk"][utt_id] = speaker
        tables["utt2lang"][utt_id] = language
        tables["ctm"][utt_id] = "\n".join(
            f"1 {0.05 + 0.25 * w:.4f} 0.2500 {word}" for w, word in enumerate(spoken)
        )
    if not with_ctm:
        del tables["ctm"]
    write_data_dir(DataDir(directory, tables), directory)
    return directory


@pytest.fixture
def tones(tmp_path):
    """Directories of three languages, with word times."""
    return [write_tones(tmp_path / language, language) for language in PITCH]


@pytest.fixture
def paused(tmp_path):
    """Directories of two languages without word times, with pauses between words."""
    return [write_tones(tmp_path / f"p_{x}", x, with_ctm=False) for x in ("aa", "bb")]


@pytest.fixture
def make_tones():
    """The function that makes one such directory."""
    return write_tones


@pytest.fixture
def shared_data():
    """Human speech beside the repository; the test is skipped where there is none."""
    path = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no human speech at {path}")
    return path
