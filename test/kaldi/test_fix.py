"""Fixing: what is kept is worked out by hand; the result must have no fault."""

import os
import subprocess

import pytest

from espnet_peft.kaldi import read_table, validate_data_dir
from espnet_peft.kaldi.fix import fix_data_dir


def test_right_directory_is_left_as_it_is(data_dir):
    before = {path.name: path.read_bytes() for path in data_dir.iterdir()}
    report = fix_data_dir(data_dir)
    assert (report.kept, report.total, report.faults, report.dropped) == (3, 3, [], {})
    assert {path.name: path.read_bytes() for path in data_dir.iterdir()} == before


def test_unsorted_files_are_sorted_and_kept_in_backup(data_dir):
    for name in ("text", "utt2spk", "wav.scp", "utt2lang"):
        path = data_dir / name
        path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    reversed_text = (data_dir / "text").read_bytes()
    (data_dir / "spk2utt").unlink()
    assert fix_data_dir(data_dir).kept == 3
    for path in data_dir.glob("[a-z]*"):
        subprocess.run(["sort", "-c", path], check=True, env={**os.environ, "LC_ALL": "C"})
    assert validate_data_dir(data_dir, lang=True) == []
    assert (data_dir / ".backup" / "text").read_bytes() == reversed_text
    assert not (data_dir / ".backup" / "utt2dur").exists()


def test_only_common_utterances_are_kept(data_dir):
    (data_dir / "text").write_bytes("s1-a one\r\ns1-a two\ns1-b\ns2-a x\u00a0y\n".encode())
    report = fix_data_dir(data_dir)
    assert (report.kept, report.total, report.dropped) == (2, 3, {"text": 1})
    assert len(report.faults) == 4
    assert read_table(data_dir / "text") == {"s1-a": "one", "s2-a": "x y"}
    assert (data_dir / "spk2utt").read_text() == "s1 s1-a\ns2 s2-a\n"
    assert (data_dir / "utt2dur").read_text() == "s1-a 2.5\ns2-a 3\n"
    assert validate_data_dir(data_dir, lang=True) == []


def test_segments_and_recordings(segmented):
    (segmented / "segments").write_text("s1-a r1 0 2.5\ns1-b r1 3 2\ns2-a r9 1.0 4.0\n")
    report = fix_data_dir(segmented)
    assert report.kept == 1
    assert list(read_table(segmented / "wav.scp")) == ["r1"]
    assert validate_data_dir(segmented) == []


def test_utt2spk_is_made_from_spk2utt(data_dir):
    before = (data_dir / "utt2spk").read_bytes()
    (data_dir / "utt2spk").unlink()
    fix_data_dir(data_dir)
    assert (data_dir / "utt2spk").read_bytes() == before


def test_nothing_left_is_an_error_and_changes_nothing(data_dir):
    (data_dir / "text").write_text("x1 hello\n")
    with pytest.raises(ValueError, match="no utterance is in all files .3 by text."):
        fix_data_dir(data_dir)
    assert (data_dir / "text").read_text() == "x1 hello\n"
    assert not (data_dir / ".backup").exists()


def test_full_disk_leaves_the_directory_whole(data_dir, monkeypatch):
    (data_dir / "text").write_text("s2-a c\ns1-a a\ns1-b b\n")
    before = {p.name: p.read_bytes() for p in data_dir.iterdir() if p.is_file()}
    write = type(data_dir).write_bytes

    def full(path, content):
        if path.name == "utt2dur.tmp":
            raise OSError(28, "No space left on device", str(path))
        return write(path, content)

    monkeypatch.setattr(type(data_dir), "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        fix_data_dir(data_dir)
    assert {p.name: p.read_bytes() for p in data_dir.iterdir() if p.is_file()} == before
