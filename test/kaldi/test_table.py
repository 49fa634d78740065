"""Tables against `LC_ALL=C sort` and hand-made faults."""

import os
import random
import subprocess

import pytest

from espnet_peft.kaldi import read_table, write_table
from espnet_peft.kaldi.table import scan_table


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_values_by_column_mode(tmp_path):
    path = write(tmp_path / "t", "a x\tyy  z \nb 1\n")
    assert read_table(path) == {"a": "x\tyy  z", "b": "1"}
    assert read_table(path, "many") == {"a": "x yy z", "b": "1"}
    with pytest.raises(ValueError, match=r't:1: 4 fields, expected "<id> <value>"'):
        read_table(path, "one")


def test_rest_may_be_empty_but_other_modes_not(tmp_path):
    path = write(tmp_path / "hyp", "a\nb \nc word\n")
    assert read_table(path) == {"a": "", "b": "", "c": "word"}
    with pytest.raises(ValueError, match="hyp:1: 1 field, expected"):
        read_table(path, "many")


def test_no_break_space_is_part_of_the_text(tmp_path):
    text = "कि\u00a0ताब \u2028 x\u0085y"
    path = write(tmp_path / "text", f"a {text}\n")
    assert read_table(path) == {"a": text}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b" \n\n", "empty file"),
        (b"a 1\na 2\n", ":2: id 'a' again .first on line 1."),
        (b"b 1\na 2\n", ":2: 'a' after 'b', expected byte order"),
        (b"a 1\n\nb 2\n", ":2: blank line"),
        (b" a 1\n", ":1: line starts with white space"),
        (b"a 1\nb \xff\n", ":2: byte 3 is not UTF-8"),
        (b"a 1\r\nb 2\r\n", ":1: carriage return .and 1 more such lines."),
        (b"\xef\xbb\xbfa 1\n", ":1: byte order mark"),
        (b"a 1\nb 2", ":2: no line break at the end"),
        ("a\u00a0b 1\n".encode(), ":1: id 'a.xa0b' has a character"),
    ],
)
def test_each_fault_names_path_and_line(tmp_path, content, message):
    path = write(tmp_path / "t", content)
    with pytest.raises(ValueError, match=f"^{path}.*{message}") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file, expected a table"):
        read_table(tmp_path / "none")


def test_scan_finds_all_faults_and_keeps_the_rest(tmp_path):
    path = write(tmp_path / "t", b"a 1\nc 3\r\nb 2\nb 9\n\nd \xff\ne\n")
    table = scan_table(path, "one")
    assert table.values == {"a": "1", "c": "3", "b": "2"}
    assert table.lines == {"a": 1, "c": 2, "b": 3, "d": 6, "e": 7}
    assert sorted(int(fault.split(":")[1]) for fault in table.faults) == [2, 3, 4, 5, 6, 7]


def test_written_order_is_that_of_sort(tmp_path):
    rng = random.Random(0)
    letters = "aZ-_.09éकਪతα\U0001f600~"
    ids = {"".join(rng.choices(letters, k=rng.randint(1, 4))) for _ in range(500)}
    path = tmp_path / "t"
    write_table(path, {key: f"value of {key}" for key in rng.sample(sorted(ids), len(ids))})
    subprocess.run(["sort", "-c", path], check=True, env={**os.environ, "LC_ALL": "C"})
    subprocess.run(["sort", "-c", "-k1,1", path], check=True, env={**os.environ, "LC_ALL": "C"})
    assert read_table(path) == {key: f"value of {key}" for key in ids}


def test_write_refuses_what_it_could_not_read(tmp_path):
    with pytest.raises(ValueError, match="id 'a b'"):
        write_table(tmp_path / "t", {"a b": "1"})
    with pytest.raises(ValueError, match="line break"):
        write_table(tmp_path / "t", {"a": "1\n2"})
    assert not list(tmp_path.iterdir())


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write(tmp_path / "t", "a 1\n")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_table(path, {"b": "2"})
    assert path.read_text() == "a 1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_full_disk_is_told_with_the_file(tmp_path):
    path = write(tmp_path / "t", "a 1\n")
    (tmp_path / "t.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space") as caught:
        write_table(path, {"b": "2"})
    assert caught.value.filename == str(path)
    assert path.read_text() == "a 1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["t"]
