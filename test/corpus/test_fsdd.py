import fsdd
import pytest

from espnet_peft.kaldi import read_table, validate_data_dir

SPEAKERS = {"train": "jackson nicolas theo", "dev": "yweweler", "test": "george"}


@pytest.fixture
def db_root(tmp_path):
    """The layout of the corpus, with a stand-in for audio."""
    (tmp_path / "db" / "recordings").mkdir(parents=True)
    for speaker in "jackson nicolas theo yweweler george lucas".split():
        for digit in range(10):
            for number in (0, 1, 2, 10):
                (tmp_path / "db" / "recordings" / f"{digit}_{speaker}_{number}.wav").write_bytes(
                    b"RIFF"
                )
    return tmp_path / "db"


def make(db_root, data, *options, **speakers):
    names = {**SPEAKERS, **speakers}
    arguments = [x for split in SPEAKERS for x in (f"--{split}_speakers", names[split])]
    fsdd.main(["--db_root", str(db_root), "--data", str(data), *arguments, *options])


def test_sets(db_root, tmp_path, capsys):
    make(db_root, tmp_path / "data")
    assert "speaker lucas (40 recordings) is in no set" in capsys.readouterr().out
    for split, n in (("train", 120), ("dev", 40), ("test", 40)):
        directory = tmp_path / "data" / f"{split}_en"
        assert validate_data_dir(directory, lang=True, wav=False) == []
        assert len(read_table(directory / "text")) == n
        assert set(read_table(directory / "utt2spk").values()) == set(SPEAKERS[split].split())
    text = read_table(tmp_path / "data" / "test_en" / "text")
    assert text["george-0_10"] == "zero" and text["george-7_2"] == "seven"
    wav_scp = read_table(tmp_path / "data" / "test_en" / "wav.scp")
    assert wav_scp["george-7_2"] == str(db_root / "recordings" / "7_george_2.wav")


def test_limit_takes_the_lowest_numbers(db_root, tmp_path):
    make(db_root, tmp_path / "data", "--max_per_digit", "3")
    text = read_table(tmp_path / "data" / "dev_en" / "text")
    assert len(text) == 30 and not any(utt_id.endswith("_10") for utt_id in text)
    with pytest.raises(ValueError, match="--max_per_digit -1"):
        make(db_root, tmp_path / "data", "--max_per_digit", "-1")


def test_faults_leave_nothing_behind(db_root, tmp_path):
    data = tmp_path / "data"
    with pytest.raises(FileNotFoundError, match="no directory recordings/"):
        make(tmp_path, data)
    with pytest.raises(ValueError, match="speaker bob has no recordings; there are george"):
        make(db_root, data, test="bob")
    with pytest.raises(ValueError, match="theo is named 2 times.*no speaker for dev"):
        make(db_root, data, test="theo", dev=" ")
    (db_root / "recordings" / "notes.wav").touch()
    (db_root / "recordings" / "11_theo_1.wav").touch()
    with pytest.raises(ValueError, match="2 unexpected names.*11_theo_1.wav notes.wav"):
        make(db_root, data)
    for path in db_root.glob("recordings/[1n]*.wav"):
        path.unlink()
    with pytest.raises(ValueError, match="speaker george has no recording of 1"):
        make(db_root, data)
    (db_root / "recordings" / "2_theo_01.wav").touch()
    with pytest.raises(ValueError, match="leading zeros.*theo-2_1"):
        make(db_root, data)
    for path in db_root.glob("recordings/*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no \\*.wav"):
        make(db_root, data)
    assert not data.exists()


def test_human_speech(shared_data, tmp_path):
    make(shared_data / "fsdd", tmp_path / "data")
    for split, n in (("train", 1500), ("dev", 500), ("test", 500)):
        directory = tmp_path / "data" / f"{split}_en"
        assert validate_data_dir(directory, lang=True) == []
        assert len(read_table(directory / "text")) == n
