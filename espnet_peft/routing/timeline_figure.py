"""A picture of one utterance: waveform, language posteriors, true and found timeline, text."""

from __future__ import annotations

import functools
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_peft.kaldi.table import write_bytes
from espnet_peft.kaldi.timeline import Span
from espnet_peft.routing.figures import save_png
from espnet_peft.scoring.timeline import score_timeline

# Colours that people with any colour vision tell apart (Okabe and Ito 2008).
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C8C1A", "#5B5B5B")
_UNKNOWN = "#BBBBBB"
_DPI = 110
_CHARACTERS = 118  # a line of text under the figure


@dataclass(frozen=True)
class Picture:
    """What is drawn of an utterance.

    samples: (n,) at `rate` a second. posteriors: (T, C) of the languages every frame_seconds, None
    where there are none. true, found: timelines. ref, hyp: texts, "" where there is none.
    """

    utt_id: str
    samples: np.ndarray
    rate: int
    languages: Sequence[str]
    posteriors: np.ndarray | None
    frame_seconds: float
    true: Sequence[Span]
    found: Sequence[Span]
    ref: str
    hyp: str
    title: str = ""


def draw(picture: Picture, path: str | Path) -> None:
    """Write a PNG, and beside it `<name>.txt` with both timelines and texts.

    Texts in a script that no installed font has stand in the text file alone; the picture says so.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sidecar = path.with_suffix(".txt")
    write_bytes(sidecar, describe(picture).encode("utf-8"))
    seconds = len(picture.samples) / picture.rate
    names = dict.fromkeys([*picture.languages, *(s.language for s in picture.true)])
    colours = {name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(names)}
    text, families = texts(picture, sidecar.name)
    figure = Figure(figsize=(11, 5.0 + 0.19 * text.count("\n")))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(3, 1, height_ratios=(1.0, 1.5, 0.85), hspace=0.12)
    wave = figure.add_subplot(grid[0])
    tracks = figure.add_subplot(grid[1], sharex=wave)
    bars = figure.add_subplot(grid[2], sharex=wave)
    _draw_wave(wave, picture, colours)
    _draw_tracks(tracks, picture, colours)
    _draw_bars(bars, picture, colours)
    for axes in (wave, tracks):
        axes.tick_params(labelbottom=False)
    for axes in (wave, tracks, bars):
        axes.set_xlim(0, seconds)
        for edge in ("top", "right"):
            axes.spines[edge].set_visible(False)
        for span in picture.true[1:]:
            axes.axvline(span.start, color="black", lw=0.9, ls=(0, (4, 3)))
    bars.set_xlabel("seconds")
    wave.set_title(picture.title or picture.utt_id, fontsize=10, loc="left")
    # Inches at the bottom for the axis and the text, whatever the height of the figure.
    height = figure.get_figheight()
    bottom = (0.62 + 0.19 * (1 + text.count("\n"))) / height
    figure.subplots_adjust(left=0.065, right=0.935, top=1 - 0.32 / height, bottom=bottom)
    figure.text(
        0.012, 0.08 / height, text, fontsize=9, va="bottom", family=families, linespacing=1.3
    )
    save_png(figure, path, _DPI)


def _draw_wave(axes, picture: Picture, colours: Mapping[str, str]) -> None:
    """The waveform in the colours of the true languages."""
    times = np.arange(len(picture.samples)) / picture.rate
    axes.plot(times, picture.samples, color=_UNKNOWN, lw=0.4, rasterized=True)
    for span in picture.true:
        first, last = (round(t * picture.rate) for t in (span.start, span.end))
        axes.plot(
            times[first:last], picture.samples[first:last], color=colours[span.language], lw=0.4
        )
    top = float(abs(picture.samples).max(initial=0)) or 1.0
    axes.set_ylim(-1.08 * top, 1.08 * top)
    axes.set_yticks([])
    axes.set_ylabel("audio")


def _draw_tracks(axes, picture: Picture, colours: Mapping[str, str]) -> None:
    """The probability of each language over time; those that never matter are left thin."""
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.5, 1])
    axes.grid(axis="y", alpha=0.3)
    axes.set_ylabel("posterior")
    if picture.posteriors is None:
        return
    times = (np.arange(len(picture.posteriors)) + 0.5) * picture.frame_seconds
    spoken = {span.language for span in (*picture.true, *picture.found)}
    for k, name in enumerate(picture.languages):
        track = picture.posteriors[:, k]
        matters = name in spoken or track.max() > 0.5
        axes.plot(times, track, color=colours[name], lw=1.8 if matters else 0.7, label=name)
        if matters:
            axes.fill_between(times, track, color=colours[name], alpha=0.12, lw=0)
    axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8.5, frameon=False, handlelength=1.2
    )


def _draw_bars(axes, picture: Picture, colours: Mapping[str, str]) -> None:
    """Both timelines as bars; below each detected change its seconds from the true one."""
    for level, spans in ((1, picture.true), (0, picture.found)):
        for span in spans:
            axes.barh(
                level,
                span.seconds,
                left=span.start,
                height=0.72,
                color=colours.get(span.language, _UNKNOWN),
                edgecolor="white",
                lw=1.0,
            )
            sure = "" if span.confidence is None else f" {span.confidence:.2f}"
            room = span.seconds / (len(picture.samples) / picture.rate)
            label = f"{span.language}{sure}" if room > 0.07 else span.language
            if room > 0.02:
                middle = (span.start + span.end) / 2
                axes.text(
                    middle,
                    level,
                    label,
                    ha="center",
                    va="center",
                    color="white",
                    fontsize=8,
                    weight="bold",
                )
    for switch in score_timeline(picture.true, picture.found).switches:
        if switch.delay is not None:
            time = switch.start if switch.delay < 0 else switch.end
            axes.text(
                time + switch.delay,
                -0.62,
                f"{switch.delay:+.2f}",
                ha="center",
                va="center",
                fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )
    axes.set_ylim(-0.9, 1.5)
    axes.set_yticks([0, 1], ["found", "true"])
    axes.tick_params(axis="y", length=0)


def texts(picture: Picture, sidecar: str) -> tuple[str, list[str] | None]:
    """The lines under the figure, and font families that have all their characters.

    A text with letters that no installed font has is replaced by where it stands.
    """
    lines = []
    for name, text in (("ref", picture.ref), ("hyp", picture.hyp)):
        lacking = find_fonts(text)[1]
        if lacking:
            scripts = ", ".join(script_names(lacking))
            text = f"(in {sidecar}: no installed font has its {scripts} letters)"
        if text:
            line = f"{name}  {text}"
            lines.append(textwrap.fill(line, _CHARACTERS, subsequent_indent="      "))
    shown = "\n".join(lines)
    return shown, find_fonts(shown)[0]


def script_names(text: str) -> list[str]:
    """The scripts of a text's letters, as Unicode's character names begin."""
    letters = {char for char in text if char.isalpha()} or set(text)
    return sorted({unicodedata.name(char, "UNNAMED").split()[0].title() for char in letters})


def find_fonts(text: str) -> tuple[list[str], str]:
    """Installed font families that together have the characters of a text, the default first.

    Returns them and the characters that none has, which a figure would show as boxes.
    """
    from matplotlib import font_manager

    manager = font_manager.fontManager
    default = font_manager.FontProperties()
    families = default.get_family()[:]
    lacking = {char for char in text if not char.isspace()}
    lacking -= _characters(manager.findfont(default))
    for entry in sorted(manager.ttflist, key=lambda entry: (entry.fname, entry.name)):
        if not lacking:
            break
        # matplotlib brings a font of this name that has a box for every character.
        found = set() if "Last Resort" in entry.name else lacking & _characters(entry.fname)
        if found:
            families.append(entry.name)
            lacking -= found
    return families, "".join(sorted(lacking))


@functools.cache
def _characters(file: str) -> frozenset[str]:
    """Characters that a font file has glyphs for; none for a file that cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def describe(picture: Picture) -> str:
    """The timelines and texts in words."""
    lines = [picture.title or picture.utt_id]
    for name, spans in (("true", picture.true), ("found", picture.found)):
        for span in spans:
            sure = "" if span.confidence is None else f" {span.confidence:.2f}"
            lines.append(f"{name:<5} {span.start:7.2f} {span.end:7.2f} {span.language}{sure}")
    lines += [
        f"{name}   {text}" for name, text in (("ref", picture.ref), ("hyp", picture.hyp)) if text
    ]
    return "\n".join(lines) + "\n"
