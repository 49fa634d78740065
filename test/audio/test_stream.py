"""Recordings read block by block: the samples, and what is said of faults."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import soundfile

from espnet_peft.audio import read_audio, resample
from espnet_peft.audio.stream import stream_audio

RATE = 16_000


def tone(rate: int, seconds: float = 2.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype("f4")


def joined(path, block_seconds: float = 0.3) -> np.ndarray:
    blocks = list(stream_audio(path, block_seconds))
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    assert max(map(len, blocks)) <= 2 * block_seconds * RATE
    return np.concatenate(blocks)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_rates_and_formats(tmp_path, rate, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(rate), rate)
    found = joined(path)
    assert len(found) == pytest.approx(2.5 * RATE, abs=0.2 * RATE)  # mp3 pads its ends
    middle = found[RATE : 2 * RATE]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(RATE)))
    assert spectrum.argmax() == 440
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, rel=0.02)
    np.testing.assert_allclose(found, resample(*read_audio(str(path))), atol=2e-6)


@pytest.mark.parametrize("rate", [16000, 44100])
def test_channels_are_averaged(tmp_path, rate):
    x = tone(rate)
    soundfile.write(tmp_path / "a.wav", np.stack([x, 0.2 * x, 0 * x], 1), rate, "FLOAT")
    soundfile.write(tmp_path / "b.wav", 0.4 * x, rate, "FLOAT")
    np.testing.assert_allclose(joined(tmp_path / "a.wav"), joined(tmp_path / "b.wav"), atol=1e-6)


def test_blocks_join_without_a_seam(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(44100), 44100)
    once = joined(tmp_path / "a.flac", 10.0)
    np.testing.assert_allclose(joined(tmp_path / "a.flac", 0.05), once, atol=1e-6)


def test_faults(tmp_path):
    cases = {
        "missing.wav": (None, FileNotFoundError, "no such file"),
        "text.wav": (b"not audio at all" * 9, ValueError, "unreadable audio"),
        "empty.wav": (b"", ValueError, "unreadable audio"),
        "nothing.wav": (np.zeros(0, "f4"), ValueError, "no samples"),
        "nan.wav": (np.array([0, np.nan, 0], "f4"), ValueError, "NaN or infinite"),
    }
    for name, (content, error, message) in cases.items():
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            soundfile.write(path, content, RATE, "FLOAT")
        with pytest.raises(error, match=f"{name}: .*{message}"):
            list(stream_audio(path))
    with pytest.raises(FileNotFoundError, match="a directory, expected audio"):
        list(stream_audio(tmp_path))


def test_a_flac_that_breaks_off_is_refused_or_told(tmp_path, caplog):
    random = np.random.default_rng(0)
    soundfile.write(tmp_path / "whole.flac", 0.1 * random.normal(size=5 * RATE), RATE)
    content = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(content[: len(content) // 2])
    with caplog.at_level(logging.WARNING):
        try:
            found = joined(tmp_path / "half.flac")
        except ValueError as error:
            assert "half.flac: unreadable audio" in str(error)
        else:
            assert len(found) < 3 * RATE
            assert "half.flac: ends after" in caplog.text


def test_a_wav_that_breaks_off_is_read_as_far_as_it_goes(tmp_path):
    soundfile.write(tmp_path / "whole.wav", tone(RATE), RATE)
    content = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "half.wav").write_bytes(content[: len(content) // 2])
    found = joined(tmp_path / "half.wav")
    np.testing.assert_array_equal(found, joined(tmp_path / "whole.wav")[: len(found)])
    assert len(found) > RATE
