import warnings

import numpy as np
import pytest

from espnet_peft.kaldi.timeline import Span
from espnet_peft.routing.timeline_figure import Picture, draw, find_fonts, script_names, texts

RATE = 16000
TRUE = [Span(0, 1, "hi"), Span(1, 2, "en")]
FOUND = [Span(0, 1.2, "hi", 0.9), Span(1.2, 1.25, "xx", 0.4), Span(1.25, 2, "en", 0.8)]


def picture(ref="one two", hyp="one too", posteriors=True, seconds=2.0):
    times = np.arange(round(50 * seconds))[:, None] / 50
    p = np.concatenate([times < 1.2, times >= 1.2, 0 * times], axis=1).astype(float)
    samples = np.sin(np.arange(round(seconds * RATE)) / 20).astype(np.float32)
    languages = ("hi", "en", "it")
    track = p if posteriors else None
    return Picture("u1", samples, RATE, languages, track, 0.02, TRUE, FOUND, ref, hyp)


def pixels(path):
    from matplotlib.image import imread

    return imread(path)


def rgb(colour):
    from matplotlib.colors import to_rgb

    return np.array(to_rgb(colour), dtype=np.float32)


def test_the_bars_have_the_languages_colours(tmp_path):
    draw(picture(), tmp_path / "new/u1.png")
    image = pixels(tmp_path / "new/u1.png")[..., :3]
    # The solid areas are the bars: true 1 s each, found 1.2 s, 0.05 s and 0.75 s.
    areas = {}
    for name, colour in (("hi", "#0072B2"), ("en", "#E69F00"), ("xx", "#BBBBBB")):
        same = (abs(image - rgb(colour)) < 0.01).all(axis=2)
        run = same[:, :-8].copy()
        for shift in range(1, 9):
            run &= same[:, shift : same.shape[1] - 8 + shift]
        areas[name] = int(run.sum())
    assert areas["hi"] / areas["en"] == pytest.approx(2.2 / 1.75, rel=0.15)
    assert 0 < areas["xx"] < 0.1 * areas["en"]
    assert not list(tmp_path.glob("new/*.tmp"))


def test_everything_stands_in_the_text_file(tmp_path):
    draw(picture(), tmp_path / "u1.png")
    lines = (tmp_path / "u1.txt").read_text().splitlines()
    assert lines[:3] == ["u1", "true     0.00    1.00 hi", "true     1.00    2.00 en"]
    assert lines[4] == "found    1.20    1.25 xx 0.40"
    assert lines[-2:] == ["ref   one two", "hyp   one too"]


@pytest.mark.parametrize("posteriors", [True, False])
def test_no_box_is_drawn_for_a_letter(tmp_path, posteriors):
    """With or without a font for the script; matplotlib warns of every glyph that it lacks."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(picture("राम फल", "ਸਾਡੇ ఇస్తాను", posteriors), tmp_path / "u1.png")
    assert "राम फल" in (tmp_path / "u1.txt").read_text()


def test_a_script_without_a_font_is_named(monkeypatch):
    plain = frozenset(map(chr, range(32, 127)))
    monkeypatch.setattr("espnet_peft.routing.timeline_figure._characters", lambda file: plain)
    shown, families = texts(picture("राम one", "ਸਾਡੇ राम"), "u1.txt")
    assert shown.splitlines() == [
        "ref  (in u1.txt: no installed font has its Devanagari letters)",
        "hyp  (in u1.txt: no installed font has its Devanagari, Gurmukhi letters)",
    ]
    assert texts(picture("one", "ਸਾਡੇ"), "u1.txt")[0].splitlines()[0] == "ref  one"
    assert texts(picture(), "u1.txt")[0] == "ref  one two\nhyp  one too"
    assert len(families) >= 1


def test_fonts_are_combined(monkeypatch):
    """A font for each script, found whatever else is installed."""
    from matplotlib import font_manager

    class Entry:
        def __init__(self, name):
            self.name = self.fname = name

    has = {"A": "अआ", "B": "ఆ", "Last Resort": "अఆਸ", "C": "ਸz"}
    default = font_manager.findfont(font_manager.FontProperties())
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [Entry(name) for name in has])
    monkeypatch.setattr(
        "espnet_peft.routing.timeline_figure._characters",
        lambda file: frozenset("xyz" if file == default else has.get(file, "xyz")),
    )
    monkeypatch.setattr(font_manager.fontManager, "findfont", lambda *_: default)
    assert find_fonts("xy ఆ अ")[0][1:] == ["A", "B"]
    assert find_fonts("xyz") == (find_fonts("")[0], "")
    assert find_fonts("x ਸ क") == ([*find_fonts("")[0], "C"], "क")


def test_long_texts_are_wrapped(tmp_path):
    shown, _ = texts(picture("word " * 60, "word " * 60), "u1.txt")
    assert all(len(line) <= 118 for line in shown.splitlines())
    assert shown.count("\n") == 5


def test_script_names():
    assert script_names("aराम") == ["Devanagari", "Latin"]
    assert script_names("ా") == ["Telugu"]
