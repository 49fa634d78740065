"""Features of whole data directories."""

import subprocess
import sys

import kaldiio
import numpy as np
import pytest
import soundfile
import torch

from espnet_peft.audio import log_mel, resample
from espnet_peft.audio.extract import extract
from espnet_peft.kaldi import read_table, write_table


@pytest.fixture
def data(tmp_path):
    """A directory with three recordings at 8 kHz; the function returned adds more."""
    rng = np.random.default_rng(0)
    table = {}

    def add(utt_id, samples, rate=8_000):
        table[utt_id] = str(tmp_path / f"{utt_id}.wav")
        soundfile.write(table[utt_id], samples, rate, subtype="FLOAT")
        (tmp_path / "data").mkdir(exist_ok=True)
        write_table(tmp_path / "data/wav.scp", table)
        return samples

    add.audio = {u: add(u, 0.1 * rng.normal(size=n)) for u, n in [("a", 9_000), ("b", 20_000)]}
    add.path, add.out = tmp_path / "data", tmp_path / "out"
    return add


@pytest.mark.parametrize(("compression", "tolerance"), [(0, 1e-6), (2, 0.03)])
def test_features(data, compression, tolerance):
    count, seconds = extract(data.path, data.out, compression=compression)
    assert (count, seconds) == (2, pytest.approx(29_000 / 8_000))
    frames = read_table(data.out / "utt2num_frames", "one")
    assert (data.out / "feats_type").read_text() == "fbank\n"
    for utt_id, place in read_table(data.out / "feats.scp").items():
        found = kaldiio.load_mat(place)
        wanted = log_mel(torch.from_numpy(resample(data.audio[utt_id], 8_000))).numpy()
        assert found.shape == wanted.shape == (int(frames[utt_id]), 80)
        assert np.abs(found - wanted).max() < tolerance


def test_raw_audio(data):
    extract(data.path, data.out, "raw")
    counts = read_table(data.out / "utt2num_samples", "one")
    assert counts == {"a": "18000", "b": "40000"}
    rate, samples = kaldiio.load_mat(read_table(data.out / "wav.scp")["b"])
    assert (rate, samples.dtype, len(samples)) == (16_000, np.int16, 40_000)
    assert np.abs(samples / 32_768 - resample(data.audio["b"], 8_000)).max() < 1e-4


def test_segments_and_keys(data):
    (data.path / "segments").write_text("a1 a 0.25 1.0\nb1 b 0.0 -1\nb2 b 2 2.55\n")
    assert extract(data.path, data.out, keys={"a1", "b2"})[0] == 2
    assert read_table(data.out / "utt2num_frames") == {"a1": "75", "b2": "50"}
    extract(data.path, data.out)
    assert read_table(data.out / "utt2num_frames") == {"a1": "75", "b1": "250", "b2": "50"}
    (data.path / "segments").write_text("a1 a 0.25 9\nb1 c 0.0 1\nb2 b 2\nb3 b 2 1\n")
    with pytest.raises(ValueError, match="2 faults.*\n.*b1: recording c.*\n.*b2: 'b 2', expected"):
        extract(data.path, data.out)
    (data.path / "segments").write_text("a1 a 0.25 9\nb3 b 2 1\n")
    with pytest.raises(ValueError, match="2 faults.*\n.*a1: segment 0.25 to 9.0.*\n.*b3: segment"):
        extract(data.path, data.out)
    with pytest.raises(ValueError, match="no utterance zz"):
        extract(data.path, data.out, keys={"zz"})


def test_all_faults_at_once_and_nothing_written(data):
    extract(data.path, data.out)
    before = {path: path.read_bytes() for path in data.out.iterdir()}
    data("c", np.zeros(31 * 8_000))
    data("d", np.full(800, np.nan))
    data("e", np.zeros(3))
    data("f", np.zeros(0))
    with pytest.raises(ValueError) as caught:
        extract(data.path, data.out)
    for expected in (
        "4 faults",
        "c: 31.00 s, expected at most 30",
        "800 samples are NaN",
        "e: 6 samples",
        "f.wav: no samples",
    ):
        assert expected in str(caught.value)
    assert {path: path.read_bytes() for path in data.out.iterdir()} == before
    with pytest.raises(ValueError, match="8000 Hz, expected 16000"):
        extract(data.path, data.out, keys={"a"}, expected_rate=16_000)


def test_a_full_disk_is_told_with_the_file(data):
    data.out.mkdir()
    (data.out / "feats.ark.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space") as caught:
        extract(data.path, data.out)
    assert caught.value.filename == str(data.out / "feats.ark")
    assert not list(data.out.iterdir())


def test_command(data):
    command = [sys.executable, "-m", "espnet_peft.bin.extract_features", "--n_mels", "128"]
    command += ["--data_dir", data.path, "--out_dir", data.out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert kaldiio.load_mat(read_table(data.out / "feats.scp")["a"]).shape == (112, 128)
    (data.path / "wav.scp").write_text("a nowhere.wav\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("extract_features: error: ") and "nowhere.wav" in done.stderr
