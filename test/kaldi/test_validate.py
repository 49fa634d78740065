"""Each fault put by hand into a right directory must be found, at its place, and alone."""

import subprocess
import sys
import time

import pytest

from espnet_peft.kaldi import validate_data_dir


def change(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_right_directories_have_no_fault(data_dir):
    assert validate_data_dir(data_dir, lang=True) == []


def test_right_segments_have_no_fault(segmented):
    assert validate_data_dir(segmented, lang=True) == []


def test_missing_directory(tmp_path):
    assert "no such directory" in validate_data_dir(tmp_path / "none")[0]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("text", "text"), ("wav.scp", "wav"), ("utt2lang", "lang"), ("feats.scp", "feats")],
)
def test_files_are_required_where_asked(data_dir, name, asked):
    (data_dir / name).unlink(missing_ok=True)
    found = validate_data_dir(data_dir, **{asked: True})
    assert len(found) == 1 and found[0].startswith(f"{data_dir}/{name}: no such file")
    assert validate_data_dir(data_dir, **{asked: False}) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "words"),
    [
        ("text", b"hello there", b"", 1, "empty transcript"),
        ("text", b"hello there", "hello\u00a0there".encode(), 1, "U+00A0"),
        ("text", b"hello", b"h\xe9llo", 1, "not UTF-8"),
        ("text", b"there\n", b"there\r\n", 1, "carriage return"),
        ("utt2lang", b"s1-b hi", b"s1-b hi in", 2, "3 fields"),
        ("utt2dur", b"2.5", b"-2.5", 1, "expected a number above 0"),
        ("utt2dur", b"2.5", b"nan", 1, "expected a number above 0"),
        ("wav.scp", b"s1-b.wav", b"none.wav", 2, "No such file"),
        ("wav.scp", b"s1-b.wav", b"..", 2, "is not a file"),
        ("wav.scp", b"s1-b.wav", b"s1-b.wav |", 2, "--allow_pipes"),
        ("spk2utt", b"s1 s1-a s1-b", b"s1 s1-b s1-a", 1, "the order differs"),
        ("spk2utt", b"s2 s2-a", b"s2 s2-b", 2, "'s2-a' is in one only"),
        ("spk2utt", b"s2-a\n", b"s2-a\ns3 s3-a\n", 3, "'s3' is not in"),
    ],
)
def test_one_fault_gives_one_line(data_dir, name, old, new, line, words):
    change(data_dir / name, old, new)
    found = validate_data_dir(data_dir)
    assert len(found) == 1, found
    assert found[0].startswith(f"{data_dir}/{name}:{line}: ")
    assert words in found[0]


def test_empty_audio_file(data_dir, tmp_path):
    (tmp_path / "audio" / "s2-a.wav").write_bytes(b"")
    (found,) = validate_data_dir(data_dir)
    assert found.startswith(f"{data_dir}/wav.scp:3: s2-a: ") and "has no bytes" in found


@pytest.mark.parametrize("name", ["text", "wav.scp", "utt2spk", "spk2utt", "utt2lang"])
def test_an_empty_file_is_one_fault(data_dir, name):
    (data_dir / name).write_bytes(b"\n")
    found = validate_data_dir(data_dir)
    assert found[0].startswith(f"{data_dir}/{name}: empty file")
    # Without utt2spk no speaker of spk2utt is known.
    assert len(found) == (3 if name == "utt2spk" else 1)


def test_pipes_are_allowed_where_asked(data_dir):
    (data_dir / "wav.scp").write_text("".join(f"{u} cat x |\n" for u in ("s1-a", "s1-b", "s2-a")))
    assert len(validate_data_dir(data_dir)) == 3
    assert validate_data_dir(data_dir, allow_pipes=True) == []


def test_ids_without_audio_and_without_text(data_dir):
    change(data_dir / "text", b"s2-a ciao", b"s2-b ciao")
    found = validate_data_dir(data_dir)
    assert len(found) == 2
    assert found[0].startswith(f"{data_dir}/text:3: utterance 's2-b' is not in")
    assert found[1].startswith(f"{data_dir}/utt2spk:3: utterance 's2-a' is not in {data_dir}/text")


def test_frames_of_other_utterances(data_dir):
    (data_dir / "utt2num_frames").write_text("s1-a 250\ns1-b 12.5\ns9-a 300\n")
    found = validate_data_dir(data_dir)
    assert len(found) == 3
    assert "utt2num_frames:2: s1-b: '12.5', expected a whole number" in found[0]
    assert "'s9-a'" in found[1] and "'s2-a'" in found[2]


def test_ark_must_exist_and_reach_the_offset(data_dir, tmp_path):
    ark = tmp_path / "x.ark"
    ark.write_bytes(b"0123456789")
    rows = {"s1-a": f"{ark}:5", "s1-b": f"{ark}:10", "s2-a": f"{tmp_path}/none.ark:5"}
    (data_dir / "feats.scp").write_text("".join(f"{u} {p}\n" for u, p in rows.items()))
    found = validate_data_dir(data_dir, feats=True)
    assert len(found) == 2
    assert "feats.scp:2: s1-b: offset 10" in found[0]
    assert "feats.scp:3: s2-a:" in found[1] and "no such file" in found[1]
    assert validate_data_dir(data_dir, feats=True, check_paths=False) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("s1-b r1 2.5 2.5", "is not after start"),
        ("s1-b r1 2.5 1", "is not after start"),
        ("s1-b r1 -1 3", "start '-1'"),
        ("s1-b r1 x 3", "start 'x'"),
        ("s1-b r1 2.5 inf", "end 'inf'"),
        ("s1-b r1", "2 fields"),
        ("s1-b r9 2.5 3", "recording 'r9' is not in"),
    ],
)
def test_segments(segmented, row, words):
    change(segmented / "segments", b"s1-b r1 2.5 3.75", row.encode())
    found = validate_data_dir(segmented)
    assert len(found) == 1 and found[0].startswith(f"{segmented}/segments:2: "), found
    assert words in found[0]


def test_segment_to_the_end_of_the_recording(segmented):
    change(segmented / "segments", b"s1-b r1 2.5 3.75", b"s1-b r1 2.5 -1")
    assert validate_data_dir(segmented) == []


def test_recording_without_segments(segmented):
    with open(segmented / "wav.scp", "a") as stream:
        stream.write(f"r3 {segmented}/text\n")
    (found,) = validate_data_dir(segmented)
    assert found.startswith(f"{segmented}/wav.scp:3: recording 'r3' has no segment")


def test_speaker_order(data_dir):
    # By utterance a-1 b-1 c-1, by speaker s1 (a-1 c-1) s2 (b-1): the orders differ.
    for name in ("wav.scp", "utt2lang", "utt2dur"):
        (data_dir / name).unlink()
    (data_dir / "text").write_text("a-1 x\nb-1 x\nc-1 x\n")
    (data_dir / "utt2spk").write_text("a-1 s1\nb-1 s2\nc-1 s1\n")
    (data_dir / "spk2utt").write_text("s1 a-1 c-1\ns2 b-1\n")
    (found,) = validate_data_dir(data_dir, wav=False)
    assert found.startswith(f"{data_dir}/utt2spk:3: 'c-1' of speaker 's1' follows 'b-1' of 's2'")
    assert validate_data_dir(data_dir, wav=False, spk_sort=False) == []


def test_all_faults_at_once(data_dir):
    change(data_dir / "text", b"hello there", b"")
    change(data_dir / "wav.scp", b"s1-b.wav", b"none.wav")
    change(data_dir / "utt2dur", b"2.5", b"0")
    (data_dir / "utt2lang").write_bytes(b"")
    (data_dir / "spk2utt").unlink()
    found = validate_data_dir(data_dir, feats=True)
    for name in ("text:1", "wav.scp:2", "utt2dur:1", "utt2lang", "spk2utt", "feats.scp"):
        assert any(fault.startswith(f"{data_dir}/{name}: ") for fault in found), name


def test_time_is_linear(tmp_path):
    def seconds(count):
        ids = [f"s{i // 10:06d}-{i:07d}" for i in range(count)]
        (tmp_path / "utt2spk").write_text("".join(f"{u} {u[:7]}\n" for u in ids))
        (tmp_path / "text").write_text("".join(f"x{u} word\n" for u in ids))
        start = time.perf_counter()
        # Every id is a fault here, the slowest case.
        assert len(validate_data_dir(tmp_path, wav=False)) > 2 * count
        return time.perf_counter() - start

    seconds(100)
    small = min(seconds(2000) for _ in range(3))
    assert seconds(20000) < 60 * small


def test_import_is_light():
    code = (
        "import espnet_peft.kaldi, espnet_peft.bin.validate_data_dir, sys;"
        "print([m for m in ('torch', 'numpy', 'soundfile', 'kaldiio') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
