"""A small, right data directory, written by hand."""

import pytest

FILES = {
    "wav.scp": "s1-a {audio}/s1-a.wav\ns1-b {audio}/s1-b.wav\ns2-a {audio}/s2-a.wav\n",
    "text": "s1-a hello there\ns1-b नमस्ते दुनिया\ns2-a ciao\n",
    "utt2spk": "s1-a s1\ns1-b s1\ns2-a s2\n",
    "spk2utt": "s1 s1-a s1-b\ns2 s2-a\n",
    "utt2lang": "s1-a en\ns1-b hi\ns2-a it\n",
    "utt2dur": "s1-a 2.5\ns1-b 1.25\ns2-a 3\n",
}


@pytest.fixture
def data_dir(tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    for utt in ("s1-a", "s1-b", "s2-a"):
        (audio / f"{utt}.wav").write_bytes(b"RIFF")
    directory = tmp_path / "data"
    directory.mkdir()
    for name, content in FILES.items():
        (directory / name).write_text(content.format(audio=audio), encoding="utf-8")
    return directory


@pytest.fixture
def segmented(data_dir, tmp_path):
    """The same utterances as parts of two recordings."""
    audio = tmp_path / "audio"
    (data_dir / "wav.scp").write_text(f"r1 {audio}/s1-a.wav\nr2 {audio}/s2-a.wav\n")
    (data_dir / "segments").write_text("s1-a r1 0 2.5\ns1-b r1 2.5 3.75\ns2-a r2 1.0 4.0\n")
    return data_dir
