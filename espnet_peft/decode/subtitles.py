"""Subtitles: SubRip (.srt) and WebVTT (.vtt, https://www.w3.org/TR/webvtt1/)."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 42  # columns of a line, and
LINES = 2  # lines of a cue, as broadcasters have it


@dataclass(frozen=True)
class Cue:
    """What stands on the screen at one time; start and end in milliseconds."""

    start: int
    end: int
    lines: list[str]
    language: str | None


def to_srt(segments: Iterable) -> str:
    """SubRip of segments (see `transcript`); those without text are left out.

    The format has no escapes: the arrow between times is the one thing that text may not hold.
    """
    blocks = []
    for number, cue in enumerate(make_cues(segments), 1):
        times = f"{stamp(cue.start, ',')} --> {stamp(cue.end, ',')}"
        lines = [line.replace("-->", "→") for line in cue.lines]
        blocks.append("\n".join([str(number), times, *lines]) + "\n")
    return "\n".join(blocks)


def to_vtt(segments: Iterable) -> str:
    """WebVTT of segments (see `transcript`), their languages as `<lang hi>`."""
    blocks = ["WEBVTT\n"]
    for cue in make_cues(segments):
        times = f"{stamp(cue.start, '.')} --> {stamp(cue.end, '.')}"
        text = "\n".join(html.escape(line, quote=False) for line in cue.lines)
        if cue.language and re.fullmatch(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*", cue.language):
            text = f"<lang {cue.language}>{text}</lang>"
        blocks.append(f"{times}\n{text}\n")
    return "\n".join(blocks)


def make_cues(segments: Iterable) -> list[Cue]:
    """Cues of at most two lines of 42 columns.

    A segment of more text becomes several cues, which share its time by their characters.
    """
    cues = []
    for segment in segments:
        lines = wrap(segment.text)
        groups = [lines[first : first + LINES] for first in range(0, len(lines), LINES)]
        start, end = round(1000 * segment.start), round(1000 * segment.end)
        sizes = [sum(map(len, group)) for group in groups]
        shown, begin = 0, start
        for group, size in zip(groups, sizes, strict=True):
            shown += size
            until = start + (end - start) * shown // sum(sizes)
            if until > begin:  # a cue must last
                cues.append(Cue(begin, until, group, segment.language))
            begin = max(begin, until)
    return cues


def wrap(text: str, width: int = WIDTH) -> list[str]:
    """Break a text into lines of at most `width` columns, at spaces where there are any."""
    lines: list[str] = []
    for word in text.split():
        for part in chop(word, width):
            if lines and columns(lines[-1]) + 1 + columns(part) <= width:
                lines[-1] += f" {part}"
            else:
                lines.append(part)
    return lines


def chop(word: str, width: int) -> list[str]:
    """Cut a word that is wider than a line, as sentences without spaces are."""
    if columns(word) <= width:
        return [word]
    parts = [""]
    for character in word:
        if columns(parts[-1]) + columns(character) > width:
            parts.append("")
        parts[-1] += character
    return parts


def columns(text: str) -> int:
    """Columns that a text takes: two for a wide character, none for a combining one."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.category(character) in ("Mn", "Me", "Cf") for character in text)
    return len(text) + wide - combining


def stamp(milliseconds: int, point: str) -> str:
    """`HH:MM:SS,mmm`, or with another decimal point."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
