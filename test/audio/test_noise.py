"""Levels and ratios, measured in other ways than they are made."""

import numpy as np
import pytest

from espnet_peft.audio.level import active_level, at_level, without_clipping
from espnet_peft.audio.noise import NOISES, add_noise, babble, speech_shaped

RATE = 16_000


def tone(n, level_db, hz=440.0):
    wave = np.sin(2 * np.pi * hz * np.arange(n) / RATE)
    return (np.sqrt(2) * 10 ** (level_db / 20) * wave).astype(np.float32)


def rms_db(x):
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)))


@pytest.fixture
def voices():
    rng = np.random.default_rng(0)
    low = [np.convolve(rng.standard_normal(n), np.ones(16) / 16, "same") for n in (9000, 30_000)]
    return [0.1 * x.astype(np.float32) for x in low]


def test_pauses_do_not_count():
    x = np.pad(tone(16_000, -20), 16_000)
    assert active_level(x) == pytest.approx(-20, abs=0.05)
    assert rms_db(x) == pytest.approx(-20 - 10 * np.log10(3), abs=0.05)
    assert rms_db(at_level(x, -26)[16_000:32_000]) == pytest.approx(-26, abs=0.05)
    assert active_level(np.zeros(100)) == -np.inf
    with pytest.raises(ValueError, match="speech at -inf dB, expected -60 dB"):
        at_level(np.zeros(1000, dtype=np.float32))


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0])
def test_ratio_is_what_was_asked_for(name, snr, voices):
    x = np.pad(tone(32_000, -30), 8000)  # the pauses around it must not lower its level
    noise = NOISES[name](len(x), voices, np.random.default_rng(1))
    added = add_noise(x, noise, snr).astype(np.float64) - x
    assert rms_db(x[8000:40_000]) - rms_db(added) == pytest.approx(snr, abs=0.1)


def test_loud_sums_are_scaled_and_not_clipped():
    x = tone(16_000, -3.1)
    noisy = add_noise(x, np.random.default_rng(0).standard_normal(16_000), -10)
    assert np.abs(noisy).max() == pytest.approx(0.99, abs=1e-3)
    assert without_clipping(x) is x


def test_shaped_noise_has_the_spectrum_of_the_voices(voices):
    """Low-passed voices: their noise has as much more power below 500 Hz than above 4 kHz."""

    def tilt(x):
        power = np.square(np.abs(np.fft.rfft(x)))
        hz = np.fft.rfftfreq(len(x), 1 / RATE)
        return 10 * np.log10(power[hz < 500].mean() / power[hz > 4000].mean())

    shaped = speech_shaped(160_000, voices, np.random.default_rng(0))
    assert tilt(shaped) == pytest.approx(tilt(voices[1]), abs=1.5)
    assert abs(tilt(np.random.default_rng(0).standard_normal(160_000))) < 1


def test_babble_holds_all_voices_equally_loud():
    parts = [tone(8000, -10, 500.0), tone(20_000, -40, 2000.0)]
    spectrum = np.abs(np.fft.rfft(babble(16_000, parts, np.random.default_rng(0))))
    assert spectrum[2000] == pytest.approx(spectrum[500], rel=0.1)


def test_silence_is_refused():
    with pytest.raises(ValueError, match="digital silence"):
        add_noise(np.zeros(1000, dtype=np.float32), np.ones(1000), 0)
    with pytest.raises(ValueError, match="digital silence"):
        add_noise(tone(1000, -20), np.zeros(1000), 0)
