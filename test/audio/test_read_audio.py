"""Reading audio of every kind, resampling, and what is refused."""

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_peft.audio import read_audio, resample


def tone(rate, seconds=0.5, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 1e-4), ("a.flac", 1e-4), ("a.mp3", 0.1)])
def test_files(name, tolerance, tmp_path):
    path = tmp_path / name
    soundfile.write(path, tone(22_050), 22_050)
    samples, rate = read_audio(str(path))
    assert rate == 22_050 and samples.dtype == np.float32
    middle = slice(4_000, 8_000)  # mp3 has transients at its ends
    assert np.abs(samples[middle] - tone(22_050)[middle]).max() < tolerance


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(8_000), np.zeros(4_000)], 1), 8_000)
    samples, _ = read_audio(str(tmp_path / "a.wav"))
    assert np.abs(samples - tone(8_000) / 2).max() < 1e-4


def test_archive_offsets(tmp_path):
    ark, scp = str(tmp_path / "wav.ark"), tmp_path / "wav.scp"
    first, second = (np.int16(32_767 * tone(8_000, frequency=f)) for f in (440, 550))
    kaldiio.save_ark(ark, {"u1": (8_000, first), "u2": (8_000, second)}, scp=str(scp))
    samples, rate = read_audio(scp.read_text().splitlines()[1].split()[1])
    assert rate == 8_000
    np.testing.assert_array_equal(samples, second / np.float32(32_768))


def test_pipes_only_where_allowed(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(8_000), 8_000)
    command = f"cat {tmp_path}/a.wav |"
    with pytest.raises(ValueError, match="--allow_pipes"):
        read_audio(command)
    assert len(read_audio(command, allow_pipes=True)[0]) == 4_000
    with pytest.raises(ValueError, match="failed with 3: oh"):
        read_audio("echo oh >&2; exit 3 |", allow_pipes=True)


def test_bad_audio_is_refused(tmp_path):
    for name, content, match in [
        ("empty.wav", np.zeros(0), "no samples"),
        ("nan.wav", np.array([0.0, np.nan, np.inf]), "2 samples are NaN or infinite"),
    ]:
        soundfile.write(tmp_path / name, content, 8_000, subtype="FLOAT")
        with pytest.raises(ValueError, match=match):
            read_audio(str(tmp_path / name))
    (tmp_path / "text.wav").write_text("no audio here")
    (tmp_path / "none.wav").write_bytes(b"")
    (tmp_path / "bad.ark").write_bytes(b"u1 nonsense")
    for name in ("text.wav", "none.wav"):
        with pytest.raises(ValueError, match=f"{name}: unreadable audio"):
            read_audio(str(tmp_path / name))
    with pytest.raises(ValueError, match="bad.ark:3: no wav there"):
        read_audio(f"{tmp_path}/bad.ark:3")
    for spec in ("nowhere.wav", "nowhere.ark:12"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            read_audio(spec)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_resampled_tone_is_the_tone(rate):
    samples = resample(tone(rate), rate)
    assert samples.dtype == np.float32 and abs(len(samples) - 8_000) <= 1
    middle = slice(1_000, 7_000)
    assert np.abs(samples[middle] - tone(16_000)[: len(samples)][middle]).max() < 1e-3


def test_resampling_removes_what_would_alias():
    samples = resample(tone(48_000, frequency=11_000), 48_000)
    assert np.abs(samples[1_000:-1_000]).max() < 1e-3
