"""Cutting by word times and by pauses, with audio whose speech is known."""

import numpy as np
import pytest

from espnet_peft.audio.units import (
    RATE,
    Unit,
    runs,
    speech_stretches,
    units_of_ctm,
    units_of_pauses,
)


def speech(pattern, seed=0):
    """Noise bursts and pauses: seconds of speech and of pause in turn, over a faint noise."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.standard_normal(round(s * RATE)) * (0.1 if k % 2 == 0 else 0.0005)
        for k, s in enumerate(pattern)
    ]
    return np.concatenate(parts).astype(np.float32)


def test_units_of_ctm():
    assert units_of_ctm("1 0.5 0.25 a\n1 0.75 0.5 b", "a b", 25_000) == [
        Unit(8000, 12000, "a"),
        Unit(12000, 20000, "b"),
    ]
    with pytest.raises(ValueError, match="ctm has the words 'a b', text has 'a c'"):
        units_of_ctm("1 0.5 0.25 a\n1 0.75 0.5 b", "a c", 25_000)
    with pytest.raises(ValueError, match="after the end at 1.00 s"):
        units_of_ctm("1 0.5 1.25 a", "a", 16_000)
    with pytest.raises(ValueError, match="words of no length"):
        units_of_ctm("1 0.5 0.00001 a", "a", 16_000)


def test_stretches_are_found_within_a_frame():
    x = speech([0.7, 0.3, 0.5, 0.1, 0.4, 0.2, 0.6])  # the pause of 0.1 s is too short
    found = speech_stretches(x)
    expected = [(0.0, 0.7), (1.0, 2.0), (2.2, 2.8)]
    assert len(found) == 3
    for (begin, end), wanted in zip(found, expected, strict=True):
        assert begin / RATE == pytest.approx(wanted[0], abs=0.011)
        assert end / RATE == pytest.approx(wanted[1], abs=0.011)


@pytest.mark.parametrize("x", [np.zeros(16_000, dtype=np.float32), speech([1.0])])
def test_audio_without_pauses_is_one_stretch(x):
    assert speech_stretches(x) == [(0, 16_000)]


def test_units_of_pauses_where_words_end():
    x = speech([0.5, 0.3, 1.0, 0.3, 0.5])
    units = units_of_pauses(x, "aaaaa bbbbb ccccc ddddd")
    assert [unit.words for unit in units] == ["aaaaa", "bbbbb ccccc", "ddddd"]
    assert units[1].begin / RATE == pytest.approx(0.75, abs=0.02)  # 50 ms before the speech
    assert units[1].end / RATE == pytest.approx(1.85, abs=0.02)


def test_a_pause_within_a_word_is_not_used():
    x = speech([1.0, 0.3, 1.0])
    units = units_of_pauses(x, "aaaa bbbbbbbb cccc")
    assert [unit.words for unit in units] == ["aaaa bbbbbbbb cccc"]
    assert units_of_pauses(x, "one") == [Unit(0, len(x), "one")]


def test_runs():
    units = [Unit(8000 * k, 8000 * (k + 1), "x") for k in range(4)]
    assert runs(units, 0.9, 1.6) == [(0, 2), (0, 3), (1, 3), (1, 4), (2, 4)]
    assert runs(units, 3.0, 4.0) == []
