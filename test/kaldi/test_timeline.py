import pytest

from espnet_peft.kaldi.timeline import (
    Span,
    merge_neighbours,
    read_timeline,
    timeline_lines,
    write_timeline,
)


def test_a_line_has_the_fields_of_rttm():
    lines = timeline_lines("u1", [Span(0.0, 1.25, "hi", 0.9), Span(1.25, 2.0, "en")])
    assert lines == [
        "LANGUAGE u1 1 0.00000 1.25000 <NA> <NA> hi 0.9000 <NA>",
        "LANGUAGE u1 1 1.25000 0.75000 <NA> <NA> en <NA> <NA>",
    ]


def test_round_trip(tmp_path):
    third = 1 / 3
    timelines = {
        "u2": [Span(0, third, "hi", 0.5), Span(third, 2 * third, "pa", 1.0)],
        "u10": [Span(1 / 16000, 3 / 16000, "it")],
    }
    write_timeline(tmp_path / "timeline", timelines)
    found = read_timeline(tmp_path / "timeline")
    assert list(found) == ["u10", "u2"]
    for utt_id, spans in timelines.items():
        for mine, read in zip(spans, found[utt_id], strict=True):
            assert (read.language, read.confidence) == (mine.language, mine.confidence)
            assert read.start == pytest.approx(mine.start, abs=6e-6)
            assert read.end == pytest.approx(mine.end, abs=6e-6)
    assert found["u2"][0].end == found["u2"][1].start
    # What was read is written as it was.
    write_timeline(tmp_path / "again", found)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "timeline").read_bytes()


def test_lines_may_come_in_any_order_and_with_comments(tmp_path):
    lines = timeline_lines("u1", [Span(0, 1, "hi"), Span(1, 2, "en")])
    (tmp_path / "timeline").write_text("\n".join([";; NIST", *lines[::-1], ""]))
    assert [span.language for span in read_timeline(tmp_path / "timeline")["u1"]] == ["hi", "en"]


GOOD = "LANGUAGE u 1 0.0 1.0 <NA> <NA> hi <NA> <NA>"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no line, expected"),
        ("u hi 0 1", ":1: 4 fields, the first 'u', expected \"LANGUAGE <utt_id> 1 <start>"),
        (GOOD.replace("LANGUAGE", "SPEAKER"), "the first 'SPEAKER'"),
        (GOOD.replace("1.0", "long"), ":1: duration 'long', expected a number"),
        (GOOD.replace("0.0", "nan"), "start 'nan', expected a number"),
        (GOOD.replace("1.0", "0"), "u: span 0 to 0 s has no length"),
        (GOOD.replace("0.0", "-1"), "expected finite seconds from 0 on"),
        (f"{GOOD}\n{GOOD.replace('0.0', '0.9')}", "u: span 0.9 to 1.9 s begins before 1 s"),
        (f"x\n{GOOD}\ny", r":1: 1 fields.*:3: 1 fields"),
    ],
)
def test_bad_files(tmp_path, text, message):
    (tmp_path / "timeline").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_timeline(tmp_path / "timeline")


@pytest.mark.parametrize(
    "utt_id, spans, message",
    [
        ("u 1", [Span(0, 1, "hi")], "name 'u 1'"),
        ("u", [Span(0, 1, "")], "name ''"),
        ("u", [Span(1, 1, "hi")], "no length"),
        ("u", [Span(0, 1, "hi"), Span(0.5, 2, "en")], "begins before 1 s"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, utt_id, spans, message):
    with pytest.raises(ValueError, match=message):
        write_timeline(tmp_path / "timeline", {utt_id: spans})
    assert not any(tmp_path.iterdir())


def test_neighbours_of_one_language_are_joined():
    spans = [Span(0, 1, "hi", 0.5), Span(1, 4, "hi", 0.9), Span(5, 6, "en"), Span(6, 7, "en", 1.0)]
    assert merge_neighbours(spans) == [Span(0, 4, "hi", pytest.approx(0.8)), Span(5, 7, "en")]
