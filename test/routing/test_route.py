import pytest

from espnet_peft.bin.route import main
from espnet_peft.kaldi import read_table, write_table


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_table(folder / "feats.scp", {"u1": "a:1", "u2": "a:2", "u3": "a:3"})
    write_table(folder / "utt2lang", {"u1": "hi", "u2": "en", "u3": "pa"})
    return folder


def route(data, out, *more):
    main(["--data_dir", f"{data}", "--out", f"{out}", *more])
    return read_table(out, "one")


def test_oracle(data, tmp_path, capsys):
    found = route(data, tmp_path / "new" / "utt2adapter", "--adapters", "hi=exp/hi pa=exp/pa")
    assert found == {"u1": "hi", "u2": "base", "u3": "pa"}
    assert "3 utterances: base 1, hi 1, pa 1" in capsys.readouterr().out


def test_base(data, tmp_path):
    found = route(data, tmp_path / "out", "--strategy", "base", "--adapters", "hi")
    assert set(found.values()) == {"base"}


def test_faults(data, tmp_path):
    write_table(data / "utt2lang", {"u1": "hi"})
    with pytest.raises(ValueError, match="2 utterances missing, as u2, u3"):
        route(data, tmp_path / "out", "--adapters", "hi")
    (data / "utt2lang").unlink()
    with pytest.raises(FileNotFoundError, match="utt2lang: not found"):
        route(data, tmp_path / "out", "--adapters", "hi")
    (data / "feats.scp").unlink()
    with pytest.raises(FileNotFoundError, match="neither feats.scp nor wav.scp"):
        route(data, tmp_path / "out", "--strategy", "base")
    assert not (tmp_path / "out").exists()


def test_unknown_strategy(data, tmp_path):
    with pytest.raises(SystemExit) as error:
        route(data, tmp_path / "out", "--strategy", "guess")
    assert error.value.code == 2
