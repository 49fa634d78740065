"""Cutting at pauses, on sounds whose pauses are known."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from espnet_peft.audio.cut import RATE, CutOptions, cut, slices

EDGE = 0.1  # seconds by which a found edge may be inside the padding


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Something like speech: harmonics of 120 Hz below 3 kHz in syllables of 0.2 s."""
    time = np.arange(round(seconds * RATE)) / RATE
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 25)
    tone = sum(np.sin(2 * np.pi * 120 * (k + 1) * time + phases[k]) / (k + 1) for k in range(25))
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * time / 0.2)
    return (0.1 * tone * syllables).astype(np.float32)


def recording(*parts: float) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """Audio of voice and silence by turns, their seconds given; and where the voice is."""
    pieces, spans, now = [], [], 0.0
    for index, seconds in enumerate(parts):
        if index % 2:
            pieces.append(np.zeros(round(seconds * RATE), dtype=np.float32))
        else:
            pieces.append(voice(seconds, index))
            spans.append((now, now + seconds))
        now += seconds
    return np.concatenate(pieces), spans


def seconds_of(audio: np.ndarray, options: CutOptions | None = None) -> list[tuple[float, float]]:
    return [(start / RATE, end / RATE) for start, end in cut([audio], options)[0]]


def white(n: int, rms: float) -> np.ndarray:
    return (np.random.default_rng(7).normal(size=n) * rms).astype(np.float32)


def band_noise(n: int, slope: float) -> np.ndarray:
    """Noise whose power falls with frequency to the power `slope`, rms 0.05."""
    random = np.random.default_rng(8)
    spectrum = random.normal(size=n // 2 + 1) + 1j * random.normal(size=n // 2 + 1)
    spectrum[1:] /= np.arange(1, n // 2 + 1) ** (slope / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, n)
    return (0.05 * noise / noise.std()).astype(np.float32)


CHANGES = {
    "as it is": lambda x: x,
    "very quiet": lambda x: 0.01 * x,
    "loud and clipped": lambda x: np.clip(30 * x, -1, 1),
    "offset": lambda x: x + 0.4,
    "hum": lambda x: x + 0.05 * np.sin(2 * np.pi * 50 * np.arange(len(x)) / RATE),
    "16 bits": lambda x: np.round(0.01 * x * 32768) / 32768,
    "white noise 20 dB below": lambda x: x + white(len(x), 0.1 * x.std()),
    "white noise 10 dB below": lambda x: x + white(len(x), 0.3 * x.std()),
    "quiet in the second half": lambda x: x * np.where(np.arange(len(x)) < len(x) / 2, 1, 0.05),
}


@pytest.mark.parametrize("change", CHANGES)
def test_pieces_are_the_voice_and_its_padding(change):
    audio, spans = recording(2.0, 1.0, 3.0, 0.8, 1.5, 2.0, 2.5, 0.9, 4.0)
    audio = CHANGES[change](audio).astype(np.float32)
    found = seconds_of(audio)
    assert len(found) == len(spans)
    for (start, end), (first, last) in zip(found, spans, strict=True):
        assert max(first - 0.03 - EDGE, 0) <= start < first + 0.02
        assert last - 0.02 < end <= last + 0.2 + EDGE


def test_silence_at_the_ends_is_left_out():
    audio, _ = recording(2.0)
    silence = np.zeros(5 * RATE, dtype=np.float32)
    [(start, end)] = seconds_of(np.concatenate([silence, audio, silence]))
    assert start == pytest.approx(4.93, abs=0.05) and end == pytest.approx(7.25, abs=0.1)


def test_noise_that_rises_by_20_db():
    """No speech is lost, and half a minute from the change the pauses are found as before."""
    audio, spans = recording(*([2.0, 1.0] * 40), 2.0)
    middle = len(audio) / RATE / 2
    rise = np.where(np.arange(len(audio)) < len(audio) / 2, 0.0005, 0.005)
    found = seconds_of(audio + white(len(audio), 1.0) * rise.astype(np.float32))
    for first, last in spans:
        [piece] = [p for p in found if p[0] < first + 0.001 and last - 0.001 < p[1]]
        assert piece[1] - piece[0] < 2.7 or abs(first - middle) < 35


def test_a_short_word_in_a_long_silence_is_found():
    audio = np.concatenate([white(60 * RATE, 1e-4), voice(0.3), white(60 * RATE, 1e-4)])
    [(start, end)] = seconds_of(audio)
    assert 59.7 <= start <= 60.0 and 60.3 <= end <= 60.6


@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.05, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("kind", ["zeros", "offset", "hum", "dither", "white", "pink", "brown"])
def test_no_speech(kind, seconds):
    n = round(seconds * RATE)
    if n == 0 and kind in ("pink", "brown"):
        pytest.skip("no such noise")
    audio = {
        "zeros": lambda: np.zeros(n),
        "offset": lambda: np.full(n, 0.5),
        "hum": lambda: 0.1 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE),
        "dither": lambda: np.round(white(n, 0.5)) / 32768,
        "white": lambda: white(n, 0.05),
        "pink": lambda: band_noise(n, 1.0),
        "brown": lambda: band_noise(n, 2.0),
    }[kind]()
    assert cut([audio.astype(np.float32)]) == ([], n)


def test_a_click_is_no_speech():
    audio = np.zeros(5 * RATE, dtype=np.float32)
    audio[2 * RATE : 2 * RATE + 100] = 0.9
    assert seconds_of(audio) == []


def test_whole_recording_of_speech():
    assert seconds_of(voice(3.0)) == [(0.0, 3.0)]


def test_short_pauses_end_no_piece():
    audio, _ = recording(2.0, 0.3, 2.0, 0.3, 2.0)
    assert len(seconds_of(audio)) == 1
    assert len(seconds_of(audio, CutOptions(min_pause=0.2, padding=0.05))) == 3


def test_a_short_piece_joins_its_nearer_neighbour():
    audio, _ = recording(3.0, 0.9, 0.5, 0.6, 3.0)
    [(_, end), (start, _)] = seconds_of(audio)
    assert end < 3.5 and 3.5 < start
    assert len(seconds_of(audio, CutOptions(min_seconds=0.0))) == 3


def test_long_speech_is_cut_at_its_pauses_alone():
    parts = [7.0, 0.3] * 20 + [7.0]
    audio, spans = recording(*parts)
    found = seconds_of(audio)
    assert max(end - start for start, end in found) <= 30.0
    assert len(found) <= len(spans) / 2  # 147 s in pieces of more than 15 s
    for first, last in spans:
        assert any(start <= first and last <= end for start, end in found)


def test_the_longest_pause_is_taken():
    audio, _ = recording(17.0, 0.25, 5.0, 0.4, 5.0, 0.25, 17.0)
    [(_, end), (start, _)] = seconds_of(audio)
    assert 22.25 <= end <= start <= 22.65


def test_without_a_pause_the_quietest_place_is_taken():
    audio = voice(45.0)
    audio[round(22.0 * RATE) : round(22.1 * RATE)] *= 0.5
    (start, end), *others = seconds_of(audio)
    assert start == 0 and end == pytest.approx(22.05, abs=0.06)
    assert others[0][0] == end and others[-1][1] == 45
    assert max(end - start for start, end in others) <= 30.0


def test_pieces_do_not_depend_on_blocks():
    audio, _ = recording(*([2.0, 0.8, 1.0, 0.6] * 6), 2.0)
    audio += white(len(audio), 0.002)
    whole = cut([audio])
    for size in (777, 16000, 100_001):
        assert cut(audio[i : i + size] for i in range(0, len(audio), size)) == whole


@pytest.mark.parametrize("seed", range(8))
def test_pieces_are_in_order_and_within_bounds(seed):
    random = np.random.default_rng(seed)
    parts = random.choice([0.05, 0.2, 0.5, 2.0, 20.0], size=15).tolist()
    audio, _ = recording(*parts)
    audio += white(len(audio), random.choice([0, 1e-4, 1e-2]))
    options = CutOptions(
        max_seconds=random.choice([2.0, 10.0, 30.0]),
        padding=random.choice([0.0, 0.2, 0.5]),
        lead=random.choice([0.0, 0.03, 0.5]),
    )
    found, n_samples = cut([audio], options)
    assert n_samples == len(audio)
    edges = [0, *(edge for piece in found for edge in piece), n_samples]
    assert edges == sorted(edges)
    assert all(0 < end - start <= options.max_seconds * RATE for start, end in found)


def test_slices_are_the_samples():
    audio = np.arange(10_000, dtype=np.float32)
    spans = [(0, 10), (10, 10), (500, 2500), (2500, 2600), (9_990, 10_000)]
    blocks = [audio[i : i + 700] for i in range(0, len(audio), 700)]
    for (start, end), part in zip(spans, slices(blocks, spans), strict=True):
        np.testing.assert_array_equal(part, audio[start:end])
    assert list(slices(blocks, [])) == []
    with pytest.raises(ValueError, match="audio ends after 0.62 s"):
        list(slices(blocks, [(9_000, 10_001)]))


def test_an_hour_needs_little_memory():
    talk, _ = recording(*([3.0, 1.0, 9.0, 0.7] * 4), 5.0)
    count = 3600 * RATE // len(talk)
    tracemalloc.start()
    try:
        found, n_samples = cut(talk for _ in range(count))
        most = 0
        for piece in slices((talk for _ in range(count)), found):
            most = max(most, len(piece))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_samples > 3500 * RATE and len(found) > 8 * count
    assert most <= 30 * RATE
    assert peak < 80e6  # the samples alone are 230 MB


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"max_seconds": 31}, "max_seconds: found 31, expected 1 to 30 seconds"),
        ({"max_seconds": float("nan")}, "max_seconds: found nan"),
        ({"min_pause": 0.01}, "min_pause: found 0.01, expected 0.1 to 10"),
        ({"padding": -1}, "padding: found -1, expected 0 to 2"),
        ({"padding": 1.5, "max_seconds": 4}, "padding: found 1.5, expected 0 to 1 "),
        ({"min_seconds": 20}, "min_seconds: found 20, expected 0 to 15"),
    ],
)
def test_wrong_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        CutOptions(**wrong)
