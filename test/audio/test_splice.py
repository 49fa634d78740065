"""Cross-fades: where they are, how loud they are, and that they do not click."""

import numpy as np
import pytest

from espnet_peft.audio.splice import Piece, splice

RATE = 16_000


def noise(n, seed):
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@pytest.mark.parametrize("half", [80, 400])
def test_borders_are_the_middles_of_the_fades(half):
    x = np.ones(8000, dtype=np.float32)
    nothing = np.zeros(8000, dtype=np.float32)
    mixed, borders = splice([Piece(x, 1000, 5000), Piece(nothing, 2000, 6007)], half)
    assert borders == [0, half + 4000, half + 4000 + 4000 + half] and borders[-1] == len(mixed)
    # The first piece alone: full until the fade begins, -3 dB in its middle, gone at its end.
    middle = borders[1]
    np.testing.assert_array_equal(mixed[2 * half : middle - half], 1.0)
    assert mixed[middle - 1] > np.sqrt(0.5) > mixed[middle]
    assert mixed[middle : middle + half].min() > 0
    np.testing.assert_array_equal(mixed[middle + half :], 0.0)


def test_power_stays_through_the_fade():
    mixed, borders = splice(
        [Piece(noise(80_000, 1), 0, 80_000), Piece(noise(80_000, 2), 0, 80_000)], 16_000
    )
    around = mixed[borders[1] - 16_000 : borders[1] + 16_000].reshape(8, -1)
    db = 10 * np.log10(np.square(around).mean(axis=1))
    assert np.abs(db).max() < 0.5


def test_no_jump_above_the_neighbours():
    """Tones cut at their peaks, where a plain cut would jump by 2."""
    t = np.arange(8000) / RATE
    x = np.cos(2 * np.pi * 300 * t).astype(np.float32)
    mixed, borders = splice([Piece(x, 1000, 4200), Piece(-x, 1000, 4200), Piece(x, 900, 4200)], 80)
    steps = np.abs(np.diff(mixed))
    inside = np.abs(np.diff(x)).max()
    assert steps.max() <= inside * 1.1
    assert abs(mixed[0]) < 0.02 and abs(mixed[-1]) < 0.02


def test_content_is_not_changed_between_fades():
    a, b = noise(5000, 3), noise(5000, 4)
    mixed, borders = splice([Piece(a, 500, 3700), Piece(b, 160, 4160)], 80)
    np.testing.assert_array_equal(mixed[160 : borders[1] - 80], a[580:3620])
    start = borders[1] + 80
    np.testing.assert_array_equal(mixed[start : borders[2] - 160], b[240 : 4160 - 80])


def test_whole_recordings_fade_inside_and_borders_are_milliseconds():
    mixed, borders = splice([Piece(noise(3333, 5), 0, 3333), Piece(noise(3001, 6), 0, 3001)], 400)
    assert all(border % 16 == 0 for border in borders)
    assert len(mixed) == 400 + 2528 + 2192 + 400


def test_impossible_fades():
    x = noise(1000, 7)
    with pytest.raises(ValueError, match="a piece of 100 samples, expected 320"):
        splice([Piece(x, 400, 500), Piece(x, 0, 1000)], 80)
    with pytest.raises(ValueError, match="multiple of 16"):
        splice([Piece(x, 0, 1000)], 81)
