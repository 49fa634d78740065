"""Timelines scored against numbers worked out by hand."""

import json

import pytest

from espnet_peft.bin.score_timeline import main
from espnet_peft.kaldi.timeline import Span, write_timeline
from espnet_peft.scoring.timeline import score_timeline, score_timelines


def line(text):
    """`hi 0-2 en 2-5` as spans."""
    words = text.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return [Span(*map(float, times.split("-")), name) for name, times in pairs]


TRUE = "hi 0-4 en 4-7 hi 7-10"

# reference, found -> delays of the true switches, number of false ones
SWITCHES = [
    (TRUE, TRUE, [0, 0], 0),
    (TRUE, "hi 0-4.3 en 4.3-7.2 hi 7.2-10", [0.3, 0.2], 0),
    (TRUE, "hi 0-3.5 en 3.5-6.9 hi 6.9-10", [-0.5, -0.1], 0),  # early
    (TRUE, "hi 0-10", [None, None], 0),
    (TRUE, "en 0-10", [None, None], 0),
    (TRUE, "hi 0-7.5 en 7.5-8 hi 8-10", [None, 1], 1),  # en comes only when hi is back
    (TRUE, "hi 0-4 pa 4-4.5 en 4.5-7 hi 7-10", [0.5, 0], 1),  # by way of a third language
    ("hi 0-5 en 5-10", "hi 0-4 en 4-4.5 hi 4.5-5.25 en 5.25-10", [0.25], 2),  # the nearest
    ("hi 0-5 en 5-10", "hi 0-4.5 en 4.5-5 hi 5-5.5 en 5.5-10", [-0.5], 2),  # a tie: the first
    ("hi 0-5 en 5-10", "hi 0-5 pa 5-10", [None], 1),
    ("hi 0-5", "hi 0-2 en 2-3 hi 3-5", [], 2),
    ("hi 0-2 hi 2-5", "hi 0-1 hi 1-5", [], 0),  # no change of language
    ("hi 0-4 en 5-8", "hi 0-4.6 en 4.6-8", [0], 0),  # in the pause
    ("hi 0-4 en 5-8", "hi 0-3.7 en 3.7-8", [-0.3], 0),
    ("hi 0-4 en 5-8", "hi 0-3 en 5.4-8", [0.4], 0),  # a pause in what was found
    # Three true switches, the middle one missed: its neighbours do not stand in for it.
    ("a 0-2 b 2-4 a 4-6 b 6-8", "a 0-2.1 b 2.1-8", [0.1, None, None], 0),
]


@pytest.mark.parametrize("ref, hyp, delays, false", SWITCHES)
def test_switches_by_hand(ref, hyp, delays, false):
    found = score_timeline(line(ref), line(hyp))
    assert [s.delay for s in found.switches] == [
        d if d is None else pytest.approx(d) for d in delays
    ]
    assert found.false == false


def test_accuracy_by_hand():
    found = score_timeline(line(TRUE), line("hi 0-4 en 4-6 en 7-7.5 hi 7.5-12"))
    assert found.seconds == pytest.approx({("hi", "hi"): 6.5, ("hi", "en"): 0.5, ("en", "en"): 3.0})
    found = score_timeline(line("hi 0-2 en 3-4"), line("hi 1-2.5"))
    assert found.seconds == pytest.approx({("hi", "hi"): 1.0, ("hi", "-"): 1.0, ("en", "-"): 1.0})


def test_a_set_by_hand():
    refs = {"u1": line(TRUE), "u2": line("en 0-10")}
    hyps = {"u1": line("hi 0-5 en 5-7 hi 7-10"), "u2": line("en 0-9 hi 9-10")}
    found = score_timelines(refs, hyps)
    assert found["utterances"] == 2 and found["seconds"] == 20
    assert found["accuracy"] == pytest.approx(18 / 20)
    assert found["switches"] == {
        "true": 2,
        "detected": 2,
        "missed": 0,
        "false": 1,
        "false_per_minute": pytest.approx(3),
        "delay_mean": pytest.approx(0.5),
        "delay_mean_absolute": pytest.approx(0.5),
        "delay_median": pytest.approx(0.5),
        "delay_max_absolute": pytest.approx(1),
        "within_aim": pytest.approx(0.5),
    }
    assert found["per_language"]["en"] == {
        "seconds": 13,
        "accuracy": pytest.approx(11 / 13),
        "found_as": {"en": pytest.approx(11), "hi": pytest.approx(2)},
    }
    assert found["per_utterance"]["u1"]["accuracy"] == pytest.approx(0.9)
    assert found["per_utterance"]["u2"]["switches"]["delay_mean"] is None
    assert found["per_utterance"]["u2"]["switches"]["within_aim"] is None


def test_missed_switches_count_against_the_aim_not_the_delay():
    found = score_timelines({"u": line(TRUE)}, {"u": line("hi 0-7.25 en 7.25-7.5 hi 7.5-10")})
    assert (found["switches"]["detected"], found["switches"]["missed"]) == (1, 1)
    assert found["switches"]["delay_mean"] == 0.5
    assert found["switches"]["within_aim"] == 0.5


def test_command(tmp_path, capsys):
    thirds = [Span(0, 1 / 3, "hi"), Span(1 / 3, 2 / 3, "en"), Span(2 / 3, 1, "hi")]
    write_timeline(tmp_path / "ref", {"u1": line(TRUE), "u2": thirds})
    main([f"--ref={tmp_path}/ref", f"--hyp={tmp_path}/ref", f"--out_dir={tmp_path}/out"])
    found = json.loads((tmp_path / "out/timeline.json").read_text())
    assert found["accuracy"] == 1.0
    assert (found["switches"]["true"], found["switches"]["false"]) == (4, 0)
    assert found["switches"]["delay_max_absolute"] == 0.0
    text = (tmp_path / "out/timeline.txt").read_text()
    assert "frame language accuracy  100.0 %" in text and "\nu1 100.0 %, missed 0 of 2" in text
    assert "100.0 % of the true switches" in capsys.readouterr().out


def test_utterances_that_one_side_lacks(tmp_path):
    write_timeline(tmp_path / "ref", {"u1": line(TRUE), "u2": line(TRUE)})
    write_timeline(tmp_path / "hyp", {"u1": line(TRUE), "u3": line(TRUE)})
    message = "hyp against .*ref: 1 utterances without a found timeline: u2; 1 .* reference .*: u3"
    with pytest.raises(ValueError, match=message):
        main([f"--ref={tmp_path}/ref", f"--hyp={tmp_path}/hyp", f"--out_dir={tmp_path}/out"])
    assert not (tmp_path / "out").exists()
