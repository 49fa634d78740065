"""A ctm has a line for each word and need not cover all utterances; it travels with the others."""

import pytest

from espnet_peft.bin import combine_data_dir, copy_data_dir, fix_data_dir, subset_data_dir
from espnet_peft.kaldi import read_data_dir, read_table, validate_data_dir, write_data_dir

CTM = "s1-a 1 0.1 0.4 hello\ns1-a 1 0.5 0.5 there\ns2-a 1 0 1.5 ciao\n"


@pytest.fixture
def timed(data_dir):
    (data_dir / "ctm").write_text(CTM)
    return data_dir


def test_read_and_write(timed, tmp_path):
    assert read_table(timed / "ctm", "lines") == {
        "s1-a": "1 0.1 0.4 hello\n1 0.5 0.5 there",
        "s2-a": "1 0 1.5 ciao",
    }
    assert validate_data_dir(timed) == []
    write_data_dir(read_data_dir(timed), tmp_path / "out")
    assert (tmp_path / "out" / "ctm").read_text() == CTM


def test_subset_copy_combine_fix(timed, tmp_path):
    one, none, copy, both = (str(tmp_path / name) for name in ("one", "none", "copy", "both"))
    (tmp_path / "list").write_text("s1-b\n")
    subset_data_dir.main(["--first", str(timed), "1", one])
    assert (tmp_path / "one" / "ctm").read_text() == CTM[: CTM.index("s2")]
    subset_data_dir.main(["--utt-list", str(tmp_path / "list"), str(timed), none])
    assert not (tmp_path / "none" / "ctm").exists()
    copy_data_dir.main(["--utt-prefix", "p-", "--spk-prefix", "p-", str(timed), copy])
    combine_data_dir.main([both, str(timed), copy])
    assert list(read_table(f"{both}/ctm", "lines")) == ["p-s1-a", "p-s2-a", "s1-a", "s2-a"]
    fix_data_dir.main([both])
    assert len(read_table(f"{both}/text")) == 6
    assert validate_data_dir(both) == []


@pytest.mark.parametrize(
    "content, message",
    [
        ("s1-a 1 0.1 hello\n", r"ctm:1: s1-a: 4 fields in '1 0.1 hello', expected"),
        ("s1-a 1 0.5 0.1 x\ns1-a 1 0.4 0.1 y\n", "times in '1 0.4 0.1 y', expected a start from"),
        ("s1-a 1 0.5 -1 x\n", "times in"),
        ("s1-a 1 nan 1 x\n", "times in"),
        ("s9 1 0 1 x\n", "ctm:1: utterance 's9' is not in"),
        ("s1-a 1 0 1 x\ns1-b 1 0 1 y\ns1-a 1 1 1 x\n", "ctm:3: id 's1-a' again"),
        ("s1-a 1 0 1 x\ns1-a\n", "ctm:2: 1 field, expected"),
    ],
)
def test_faults(timed, content, message):
    import re

    (timed / "ctm").write_text(content)
    faults = validate_data_dir(timed)
    assert any(re.search(message, fault) for fault in faults), faults
