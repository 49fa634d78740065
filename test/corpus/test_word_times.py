"""The times of words, against the audio and against phonemes written by hand."""

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="eSpeak NG is not installed")
kaldiio = pytest.importorskip("kaldiio")

import synthesise as corpus  # noqa: E402
from espeak import Phoneme, Speech, Word, synthesise  # noqa: E402
from word_times import word_borders  # noqa: E402

from espnet_peft.kaldi import read_table, validate_data_dir  # noqa: E402


def speech(words, phonemes, n=1000):
    return Speech(
        np.zeros(n, dtype=np.int16),
        22050,
        [Phoneme(symbol, sample) for symbol, sample in phonemes],
        [Word(*word) for word in words],
    )


def test_words_spoken_as_one_are_parted_at_a_phoneme():
    phonemes = [("d", 0), ("ɪ", 300), ("n", 400), ("ð", 500), ("ə", 600), ("", 800), ("", 900)]
    spoken = speech([(0, 0), (2, 300)], phonemes)
    assert word_borders("d in the", spoken) == [0, 300, 500, 800]


def test_events_inside_a_word_part_nothing():
    spoken = speech([(0, 0), (3, 200), (7, 500)], [("s", 0), ("t", 500), ("", 900)])
    assert word_borders("stasera va", speech([(0, 0), (3, 200), (8, 500)], [("s", 0)])) == [
        0,
        500,
        1000,
    ]
    assert word_borders("stasera", spoken) == [0, 900]


def test_borders_that_leave_a_word_no_time():
    with pytest.raises(ValueError, match="word borders"):
        word_borders("a b", speech([(0, 500), (2, 400)], [("a", 0)]))
    with pytest.raises(ValueError, match="for 2 words"):
        word_borders("a b", speech([(2, 400)], [("a", 0)]))


@pytest.mark.parametrize(
    "text, language",
    [("il gatto pensa troppo", "it"), ("లక్ష్మి పుస్తకం చూస్తుంది", "te"), ("el perro come pan", "es")],
)
def test_a_stop_after_a_vowel_starts_with_its_closure(text, language):
    """Audio of a voiceless stop begins silent: 10 ms before the border and 3 ms after it."""
    spoken = synthesise(text, language, "f2", 50, 160)
    borders = word_borders(text, spoken)
    power = spoken.samples.astype(np.float64) ** 2
    stops = [k for k, word in enumerate(text.split()) if k and word[0] in "pcతపచ"]
    assert stops
    for k in stops:
        border = borders[k]
        before, after = power[border - 220 : border], power[border + 66 : border + 286]
        assert 10 * np.log10(before.mean() / (after.mean() + 1e-9)) > 12, text.split()[k]


def test_ctm_of_the_corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = "--n_train_rich 4 --n_train_target 4 --n_dev 2 --n_test 8 --nj 1".split()
    corpus.main(["--lang", "it te", "--base_langs", "en", *sizes])
    for name in ("test_en", "test_it", "test_te", "train_base"):
        assert validate_data_dir(f"data/{name}", lang=True) == []
        text = read_table(f"data/{name}/text")
        ctm = read_table(f"data/{name}/ctm", "lines")
        assert ctm.keys() == text.keys()
        for utt_id, lines in ctm.items():
            rate, samples = kaldiio.load_mat(read_table(f"data/{name}/wav.scp")[utt_id])
            rows = [line.split(" ") for line in lines.split("\n")]
            assert " ".join(row[3] for row in rows) == text[utt_id]
            starts = [float(row[1]) for row in rows]
            ends = [float(row[1]) + float(row[2]) for row in rows]
            assert starts[0] >= 0.05 and starts[1:] == pytest.approx(ends[:-1], abs=1e-9)
            # After the last word there is the channel's noise alone: 100 ms and what eSpeak adds.
            assert 0.09 < len(samples) / rate - ends[-1] < 0.25
            after = samples[round((ends[-1] + 0.02) * rate) :].astype(np.float64)
            last = samples[round(starts[-1] * rate) : round(ends[-1] * rate)].astype(np.float64)
            assert np.abs(after).max() < 0.25 * np.abs(last).max()
