"""Subsets, combinations and copies, with results worked out by hand."""

import pytest

from espnet_peft.bin import combine_data_dir, copy_data_dir, subset_data_dir
from espnet_peft.kaldi import read_data_dir, read_table, validate_data_dir, write_table
from espnet_peft.kaldi.combine import combine_data_dirs
from espnet_peft.kaldi.copy import rename
from espnet_peft.kaldi.data_dir import select_utterances
from espnet_peft.kaldi.subset import choose_speakers, spread


def test_spread_is_even_and_whole():
    items = [str(i) for i in range(10)]
    assert spread(items, 5) == ["0", "2", "4", "6", "8"]
    assert spread(items, 3) == ["0", "3", "6"]
    assert spread(items, 10) == items


def test_select_drops_speakers_and_recordings(segmented):
    (segmented / "reco2dur").write_text("r1 5\nr2 5\n")
    (segmented / "spk2gender").write_text("s1 f\ns2 m\n")
    tables = select_utterances(read_data_dir(segmented), ["s1-b"]).tables
    assert {name: list(table) for name, table in tables.items()} == {
        "utt2spk": ["s1-b"],
        "spk2utt": ["s1"],
        "wav.scp": ["r1"],
        "segments": ["s1-b"],
        "text": ["s1-b"],
        "utt2lang": ["s1-b"],
        "utt2dur": ["s1-b"],
        "reco2dur": ["r1"],
        "spk2gender": ["s1"],
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--first"], ["s1-a", "s1-b"]),
        (["--last"], ["s1-b", "s2-a"]),
        (["--shortest"], ["s1-a", "s1-b"]),
        (["--per-spk"], ["s1-a", "s1-b", "s2-a"]),
        ([], ["s1-a", "s1-b"]),
    ],
)
def test_subset_modes(data_dir, tmp_path, options, expected):
    out = tmp_path / "out"
    subset_data_dir.main([*options, str(data_dir), "2", str(out)])
    assert list(read_table(out / "text")) == expected
    assert validate_data_dir(out, lang=True) == []


def test_speakers_are_whole(data_dir):
    data = read_data_dir(data_dir)
    for seed in range(8):
        assert choose_speakers(data, 2, seed)[-2:] == ["s1-a", "s1-b"]


def test_lists(data_dir, tmp_path, capsys):
    ids = tmp_path / "ids"
    ids.write_text("s2\ns9\n")
    subset_data_dir.main(["--spk-list", str(ids), str(data_dir), str(tmp_path / "out")])
    assert list(read_table(tmp_path / "out" / "utt2spk")) == ["s2-a"]
    assert "1 of 2 ids are not in" in capsys.readouterr().err
    with pytest.raises(ValueError, match="none of its 2 ids"):
        subset_data_dir.main(["--utt-list", str(ids), str(data_dir), str(tmp_path / "o2")])


def test_impossible_subsets(data_dir, tmp_path):
    with pytest.raises(ValueError, match="4 utterances asked for, expected 1 to 3"):
        subset_data_dir.main([str(data_dir), "4", str(tmp_path / "out")])
    with pytest.raises(ValueError, match="source and destination are the same"):
        subset_data_dir.main([str(data_dir), "2", str(data_dir)])
    (data_dir / "utt2dur").unlink()
    with pytest.raises(ValueError, match="no file of lengths"):
        subset_data_dir.main(["--shortest", str(data_dir), "2", str(tmp_path / "out")])


def test_subset_replaces_an_older_one(data_dir, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "feats.scp").write_text("old x.ark:3\n")
    subset_data_dir.main(["--first", str(data_dir), "1", str(out)])
    assert not (out / "feats.scp").exists()


def test_copy_and_combine(data_dir, tmp_path):
    copy, both = str(tmp_path / "copy"), str(tmp_path / "both")
    (data_dir / "feats_type").write_text("raw\n")
    copy_data_dir.main(["--spk-prefix", "p-", "--utt_prefix", "p-", str(data_dir), copy])
    assert read_table(f"{copy}/utt2spk") == {"p-s1-a": "p-s1", "p-s1-b": "p-s1", "p-s2-a": "p-s2"}
    assert read_table(f"{copy}/utt2uniq") == {f"p-{u}": u for u in ("s1-a", "s1-b", "s2-a")}
    combine_data_dir.main([both, str(data_dir), copy])
    assert validate_data_dir(both, lang=True) == []
    assert " ".join(read_table(f"{both}/text")) == "p-s1-a p-s1-b p-s2-a s1-a s1-b s2-a"
    assert read_table(f"{both}/utt2uniq")["p-s1-a"] == read_table(f"{both}/utt2uniq")["s1-a"]
    assert (tmp_path / "both" / "feats_type").read_text() == "raw\n"


def test_copied_recordings_keep_their_ids(segmented):
    tables = rename(read_data_dir(segmented), utt_suffix="-x", spk_suffix="-y").tables
    assert list(tables["wav.scp"]) == ["r1", "r2"]
    assert tables["segments"]["s1-a-x"] == "r1 0 2.5"
    assert tables["spk2utt"] == {"s1-y": "s1-a-x s1-b-x", "s2-y": "s2-a-x"}


def test_combining_clashes(data_dir, tmp_path):
    with pytest.raises(ValueError, match="'s1-a' is in both"):
        combine_data_dirs([read_data_dir(data_dir), read_data_dir(data_dir)])
    with pytest.raises(ValueError, match="same"):
        combine_data_dir.main([str(data_dir), str(data_dir)])


def test_combining_what_only_some_have(data_dir, tmp_path):
    first = read_data_dir(data_dir)
    second = rename(first, utt_prefix="z")
    del second.tables["utt2lang"], second.tables["utt2uniq"]
    combined, left_out = combine_data_dirs([first, second])
    assert left_out == ["utt2lang"] and "utt2lang" not in combined.tables
    second.settings["feats_type"] = b"fbank\n"
    with pytest.raises(ValueError, match="feats_type differs"):
        combine_data_dirs([first, second])


def test_combining_segments_with_whole_recordings(segmented, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    write_table(whole / "utt2spk", {"t1-a": "t1"})
    write_table(whole / "wav.scp", {"t1-a": str(tmp_path / "audio" / "s1-b.wav")})
    write_table(whole / "text", {"t1-a": "x"})
    with pytest.raises(ValueError, match="whole/utt2dur: missing"):
        combine_data_dirs([read_data_dir(segmented), read_data_dir(whole)])
    write_table(whole / "utt2dur", {"t1-a": "1.5"})
    combined, _ = combine_data_dirs([read_data_dir(segmented), read_data_dir(whole)])
    assert combined.tables["segments"]["t1-a"] == "t1-a 0.0 1.5"
    assert list(combined.tables["wav.scp"]) == ["r1", "r2", "t1-a"]
