import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="eSpeak NG is not installed")
pytest.importorskip("soxr")
kaldiio = pytest.importorskip("kaldiio")

import synthesise as corpus  # noqa: E402
from espeak import synthesise  # noqa: E402
from speakers import VOICES, make_speakers  # noqa: E402

from espnet_peft.kaldi import read_table, validate_data_dir  # noqa: E402

SIZES = "--n_train_rich 16 --n_train_target 16 --n_dev 8 --n_test 4".split()
PHRASES = {
    "en": "the old dog",
    "es": "la niña lee",
    "it": "il cane nero",
    "hi": "लड़का फल लाता है",
    "pa": "ਮੁੰਡਾ ਫਲ ਲਿਆਉਂਦਾ ਹੈ",
    "te": "అతను పుస్తకం చూస్తాడు",
    "el": "το μικρό παιδί",
}


@pytest.mark.parametrize("language", PHRASES)
def test_phonemes_are_spoken_not_letter_names(language):
    speech = synthesise(PHRASES[language], language, "f2", 50, 160)
    samples, rate, events = speech.samples, speech.rate, speech.phonemes
    assert (rate, samples.dtype) == (22050, np.int16)
    symbols = [e.symbol for e in events if e.symbol.strip()]
    # About a phoneme a letter; spelling out gives several a letter.
    letters = len(PHRASES[language].replace(" ", ""))
    assert 0.5 * letters <= len(symbols) <= 1.2 * letters
    assert [e.sample for e in events] == sorted(e.sample for e in events)
    assert events[-1].sample <= len(samples) and 0.4 < len(samples) / rate < 3.0


def test_an_utterance_does_not_depend_on_those_before_it():
    items = [(t, lang, v, 45, 160) for lang, t in PHRASES.items() for v in ("m1", "f3", "linda")]
    forward = {item: synthesise(*item).samples.tobytes() for item in items}
    assert {item: synthesise(*item).samples.tobytes() for item in reversed(items)} == forward


def test_unknown_voice():
    with pytest.raises(ValueError, match="voice 'xx': not found"):
        synthesise("a", "xx")


def test_voices_are_disjoint_and_all_exist():
    names = [name for voices in VOICES.values() for name in voices]
    assert len(set(names)) == len(names)
    assert [len(VOICES[s]) for s in ("train", "dev", "test")] == [12, 3, 4]
    audio = {v: synthesise("la casa", "es", v, 50, 160).samples.tobytes() for v in names}
    assert len(set(audio.values())) == len(names)  # an unknown variant is the default voice
    assert make_speakers("hi", "test", 1) == make_speakers("hi", "test", 1)


def make(path, root, *options):
    """Run the script where its relative paths lead to `path`; returns a digest of each file."""
    script = root / "egs2" / "mini_lingua" / "peft1" / "local" / "synthesise.py"
    path.mkdir()
    subprocess.run(
        [sys.executable, str(script), "--lang", "hi te", "--base_langs", "en", *SIZES, *options],
        cwd=path,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        check=True,
    )
    return {
        str(f.relative_to(path)): hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(path.rglob("*"))
        if f.is_file()
    }


def test_corpus(tmp_path, root, monkeypatch):
    first = make(tmp_path / "one", root, "--nj", "1")
    assert make(tmp_path / "two", root, "--nj", "2") == first
    assert make(tmp_path / "three", root, "--seed", "1") != first
    assert not [name for name in first if name.endswith(".tmp")]

    monkeypatch.chdir(tmp_path / "one")
    for name in ("train_hi", "dev_te", "test_en", "train_base", "dev_base"):
        assert validate_data_dir(f"data/{name}", lang=True) == []
    for language in ("en", "hi", "te"):
        for file in ("text", "utt2spk"):
            values = [
                set(read_table(f"data/{split}_{language}/{file}").values())
                for split in ("train", "dev", "test")
            ]
            assert len(set.union(*values)) == sum(map(len, values)), "sets share a value"
    # All of the base's own language, an eighth and a sixteenth of the others.
    languages = list(read_table("data/train_base/utt2lang").values())
    assert [languages.count(x) for x in ("en", "hi", "te")] == [16, 2, 1]
    assert len(read_table("data/dev_base/text")) == 8 + 1 + 1

    wav_scp = read_table("data/test_hi/wav.scp")
    for value in wav_scp.values():
        rate, samples = kaldiio.load_mat(value)
        assert (rate, samples.dtype) == (16000, np.int16)
        assert 0.8 < len(samples) / rate < 4.0
        assert 0.2 < np.abs(samples).max() / 32768 < 1.0
        assert np.abs(samples[:400]).max() < 0.2 * np.abs(samples).max()


def test_bad_options(tmp_path):
    with pytest.raises(ValueError, match="language 'xx': no grammar"):
        corpus.main(["--lang", "xx", "--data", str(tmp_path / "data")])
    with pytest.raises(ValueError, match="--n_dev 0: expected at least 1; --nj 0"):
        corpus.main(["--n_dev", "0", "--nj", "0", "--data", str(tmp_path / "data")])
    with pytest.raises(ValueError, match="add words or ask for fewer"):
        corpus.main(["--n_train_target", "90000", "--data", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()
