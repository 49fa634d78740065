"""Subtitles, read back by parsers that follow the formats and nothing else."""

from __future__ import annotations

import html
import random
import re
import unicodedata

import pytest

from espnet_peft.decode.subtitles import columns, to_srt, to_vtt, wrap
from espnet_peft.decode.transcript import Segment

TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)%s(\d{3})"
TIMES = {p: re.compile(rf"{TIME % p} --> {TIME % p}") for p in (",", r"\.")}


def read_times(line: str, point: str) -> tuple[int, int]:
    """Milliseconds of a line `from --> to`."""
    match = TIMES[point].fullmatch(line)
    assert match, line
    h, m, s, ms, h2, m2, s2, ms2 = map(int, match.groups())
    return ((h * 60 + m) * 60 + s) * 1000 + ms, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2


def read_srt(content: str) -> list[tuple[int, int, list[str]]]:
    cues = []
    for number, block in enumerate(content.split("\n\n") if content else [], 1):
        lines = block.removesuffix("\n").split("\n")
        assert lines[0] == str(number)
        assert len(lines) > 2 and all(line.strip() for line in lines)
        assert not any("-->" in line for line in lines[2:])
        cues.append((*read_times(lines[1], ","), lines[2:]))
    return cues


def read_vtt(content: str) -> list[tuple[int, int, list[str], str | None]]:
    head, *blocks = content.split("\n\n")
    assert head.rstrip("\n") == "WEBVTT"
    cues = []
    for block in blocks:
        times, *lines = block.removesuffix("\n").split("\n")
        text = "\n".join(lines)
        assert "-->" not in text and lines and all(lines)
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)
        match = re.fullmatch(r"<lang ([^>]+)>(.*)</lang>", text, re.DOTALL)
        language, text = match.groups() if match else (None, text)
        assert "<" not in text and ">" not in text
        cues.append((*read_times(times, r"\."), html.unescape(text).split("\n"), language))
    return cues


def words(cues) -> str:
    return " ".join(line for cue in cues for line in cue[2])


def test_srt_to_the_letter():
    segments = [
        Segment(1.2, 4.8, "ciao a tutti", "it"),
        Segment(5.0, 6.0, "", "it"),
        Segment(3661.004, 3662.5, "नमस्ते", "hi"),
    ]
    assert to_srt(segments) == (
        "1\n00:00:01,200 --> 00:00:04,800\nciao a tutti\n\n2\n01:01:01,004 --> 01:01:02,500\nनमस्ते\n"
    )


def test_vtt_to_the_letter():
    segments = [Segment(1.2, 4.8, "a < b & c > d", "en"), Segment(5, 6, "x", None)]
    assert to_vtt(segments) == (
        "WEBVTT\n\n"
        "00:00:01.200 --> 00:00:04.800\n<lang en>a &lt; b &amp; c &gt; d</lang>\n\n"
        "00:00:05.000 --> 00:00:06.000\nx\n"
    )


def test_nothing_said():
    assert to_srt([]) == "" == to_srt([Segment(0, 1, "  ")])
    assert to_vtt([]) == "WEBVTT\n"


def test_text_that_looks_like_the_format():
    text = "00:00:01,000 --> 00:00:02,000 <i>{\\an8} &amp; 1 WEBVTT NOTE"
    [cue] = read_srt(to_srt([Segment(0, 5, text)]))
    assert " ".join(cue[2]) == text.replace("-->", "→")
    [cue] = read_vtt(to_vtt([Segment(0, 5, text, "x><y")]))
    assert " ".join(cue[2]) == text and cue[3] is None


@pytest.mark.parametrize("seed", range(20))
def test_any_text_comes_back(seed):
    chance = random.Random(seed)
    alphabet = ["a", "b", "<", ">", "&", "-", "é", "क", "ि", "్", "語", "\U0001f600", " ", " "]
    now, segments = chance.choice([0.0, 7199.99]), []
    for _ in range(8):
        text = "".join(chance.choices(alphabet, k=chance.choice([3, 40, 300])))
        end = now + chance.uniform(0.5, 30)
        segments.append(Segment(round(now, 2), round(end, 2), " ".join(text.split()), "hi"))
        now = end + chance.uniform(0, 3)
    srt, vtt = read_srt(to_srt(segments)), read_vtt(to_vtt(segments))
    spoken = "".join(s.text for s in segments).replace(" ", "")
    assert words(vtt).replace(" ", "") == spoken
    assert words(srt).replace(" ", "").replace("→", "-->") == spoken
    for cues in (srt, vtt):
        edges = [time for cue in cues for time in cue[:2]]
        assert edges == sorted(edges)
        assert all(start < end for start, end, *_ in cues)
        assert all(len(cue[2]) <= 2 for cue in cues)
        starts, ends = {cue[0] for cue in cues}, {cue[1] for cue in cues}
        for segment in segments:
            assert round(segment.start * 1000) in starts and round(segment.end * 1000) in ends


def test_long_text_shares_the_time_by_its_length():
    text = " ".join(["parola"] * 60)  # 7 columns each, 6 a line, 12 a cue
    cues = read_srt(to_srt([Segment(10.0, 40.0, text)]))
    assert len(cues) == 5
    assert [cue[0] for cue in cues] == [10_000, 16_000, 22_000, 28_000, 34_000]
    assert cues[-1][1] == 40_000


def test_lines_are_broken_at_spaces():
    assert wrap("") == []
    assert wrap("il maestro legge", 10) == ["il maestro", "legge"]
    assert wrap("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert wrap("語" * 8, 10) == ["語" * 5, "語" * 3]


def test_combining_marks_take_no_column_and_stay_with_their_letter():
    assert columns("नि") == 2 - (unicodedata.category("ि") == "Mn")
    assert columns("e\u0301") == 1
    for line in wrap("e\u0301" * 30, 10):
        assert not unicodedata.combining(line[0])
