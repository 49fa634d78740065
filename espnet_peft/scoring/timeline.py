"""Scores of language timelines: how much time has the right language, and how fast it changes.

A switch is a change of language between neighbouring spans. A true switch is detected by the
nearest found switch into the same language after the true switch before it and before the next
one. Its delay is signed: negative where the change was found too early; in a pause between the
true spans it is 0. Found switches that detect nothing are false.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from espnet_peft.kaldi.timeline import Span, merge_neighbours
from espnet_peft.scoring.files import shorten

AIM_SECONDS = 0.5  # the delay that is asked for
NONE = "-"  # language of time that no found span covers


@dataclass(frozen=True)
class Switch:
    """A true change of language: leaves one at `start`, enters `language` at `end` (seconds).

    delay: seconds from it to its detection, None where it was missed.
    """

    start: float
    end: float
    language: str
    delay: float | None = None


@dataclass(frozen=True)
class TimelineScore:
    """One utterance: seconds by (true, found) language, its switches, number of false ones."""

    seconds: dict[tuple[str, str], float]
    switches: list[Switch]
    false: int


@dataclass
class _Total:
    """Sums over utterances."""

    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)
    switches: int = 0
    false: int = 0

    def add(self, score: TimelineScore) -> None:
        for pair, value in score.seconds.items():
            self.seconds[pair] = self.seconds.get(pair, 0.0) + value
        self.delays += [switch.delay for switch in score.switches if switch.delay is not None]
        self.switches += len(score.switches)
        self.false += score.false


def score_timeline(ref: Sequence[Span], hyp: Sequence[Span]) -> TimelineScore:
    """Compare the timelines of one utterance; only time in a true span counts."""
    ref, hyp = merge_neighbours(ref), merge_neighbours(hyp)
    found = switches(hyp)
    matched: set[int] = set()
    true = switches(ref)
    scored = []
    for k, switch in enumerate(true):
        after = true[k - 1].end if k else float("-inf")
        before = true[k + 1].start if k + 1 < len(true) else float("inf")
        # Switches into one language are at least two apart, so no found one suits two of them.
        suited = [
            (abs(_delay(switch, other.end)), position)
            for position, other in enumerate(found)
            if other.language == switch.language and after < other.end < before
        ]
        delay = None
        if suited:
            position = min(suited)[1]
            matched.add(position)
            delay = _delay(switch, found[position].end)
        scored.append(Switch(switch.start, switch.end, switch.language, delay))
    return TimelineScore(overlaps(ref, hyp), scored, len(found) - len(matched))


def switches(spans: Sequence[Span]) -> list[Switch]:
    """The changes of language between spans, of which neighbours of one language are joined."""
    pairs = zip(spans, spans[1:], strict=False)
    return [Switch(left.end, right.start, right.language) for left, right in pairs]


def _delay(switch: Switch, time: float) -> float:
    """Signed seconds from a true switch, which may be a pause, to a time."""
    return max(time - switch.end, 0.0) + min(time - switch.start, 0.0)


def overlaps(ref: Sequence[Span], hyp: Sequence[Span]) -> dict[tuple[str, str], float]:
    """Seconds by true and found language; time in no found span is of language `-`."""
    seconds: dict[tuple[str, str], float] = {}
    for span in ref:
        left = span.seconds
        for other in hyp:
            common = min(span.end, other.end) - max(span.start, other.start)
            if common > 0:
                pair = (span.language, other.language)
                seconds[pair] = seconds.get(pair, 0.0) + common
                left -= common
        if left > 1e-9:  # more than what is left of rounding
            pair = (span.language, NONE)
            seconds[pair] = seconds.get(pair, 0.0) + left
    return seconds


def score_timelines(
    refs: Mapping[str, Sequence[Span]], hyps: Mapping[str, Sequence[Span]]
) -> dict[str, Any]:
    """Score a set: what timeline.json holds, of all utterances and of each.

    Raises ValueError that names the utterances that one side lacks.
    """
    faults = []
    for what, missing in (
        ("found", [utt_id for utt_id in refs if utt_id not in hyps]),
        ("reference", [utt_id for utt_id in hyps if utt_id not in refs]),
    ):
        if missing:
            faults.append(
                f"{len(missing)} utterances without a {what} timeline: {shorten(missing)}"
            )
    if faults:
        raise ValueError("; ".join(faults))
    every, per_utterance = _Total(), {}
    for utt_id, ref in refs.items():
        score = score_timeline(ref, hyps[utt_id])
        every.add(score)
        alone = _Total()
        alone.add(score)
        per_utterance[utt_id] = _rates(alone)
    return {"utterances": len(refs), **_rates(every), "per_utterance": per_utterance}


def _rates(total: _Total) -> dict[str, Any]:
    """Rates (fractions), times (seconds) and counts of one or more utterances."""
    seconds = sum(total.seconds.values())
    languages = sorted({true for true, _ in total.seconds})
    per_language = {}
    for language in languages:
        row = {f: s for (true, f), s in sorted(total.seconds.items()) if true == language}
        per_language[language] = {
            "seconds": round(sum(row.values()), 5),
            "accuracy": _ratio(row.get(language, 0.0), sum(row.values())),
            "found_as": {found: round(value, 5) for found, value in row.items()},
        }
    right = sum(s for (true, found), s in total.seconds.items() if true == found)
    size = [abs(delay) for delay in total.delays]
    return {
        "seconds": round(seconds, 5),
        "accuracy": _ratio(right, seconds),
        "switches": {
            "true": total.switches,
            "detected": len(size),
            "missed": total.switches - len(size),
            "false": total.false,
            "false_per_minute": None if not seconds else 60 * total.false / seconds,
            "delay_mean": statistics.fmean(total.delays) if size else None,
            "delay_mean_absolute": statistics.fmean(size) if size else None,
            "delay_median": statistics.median(total.delays) if size else None,
            "delay_max_absolute": max(size, default=None),
            "within_aim": _ratio(sum(d <= AIM_SECONDS for d in size), total.switches),
        },
        "per_language": per_language,
    }


def _ratio(part: float, whole: float) -> float | None:
    return min(part / whole, 1.0) if whole else None


def report(result: Mapping[str, Any]) -> str:
    """A set's scores as text for people."""
    switched = result["switches"]
    aim, false = f"within {AIM_SECONDS} s", f"{switched['false']}"
    if switched["false_per_minute"] is not None:
        false += f", {switched['false_per_minute']:.2f} a minute"
    rows = [
        ("frame language accuracy", _percent(result["accuracy"])),
        ("true switches", f"{switched['true']}"),
        ("detected", f"{switched['detected']}, missed {switched['missed']}"),
        (aim, f"{_percent(switched['within_aim'])} of the true switches"),
        (
            "delay",
            f"mean {_time(switched['delay_mean'])},"
            f" absolute {_time(switched['delay_mean_absolute'])},"
            f" median {_time(switched['delay_median'])},"
            f" greatest {_time(switched['delay_max_absolute'])}",
        ),
        ("false switches", false),
    ]
    lines = [f"{result['utterances']} utterances, {result['seconds']:.1f} s"]
    lines += [f"{name:<24} {value}" for name, value in rows]
    lines += ["", "true language: seconds, share found right; found as"]
    for language, row in result["per_language"].items():
        found = ", ".join(
            f"{name} {value:.1f} s" for name, value in row["found_as"].items() if value >= 0.05
        )
        lines.append(f"{language}: {row['seconds']:.1f} s, {_percent(row['accuracy'])}; {found}")
    worst = sorted(
        result["per_utterance"].items(), key=lambda item: (item[1]["accuracy"] or 0.0, item[0])
    )
    lines += ["", "utterances, worst first: accuracy, missed and false switches, mean delay"]
    for utt_id, rates in worst:
        mine = rates["switches"]
        lines.append(
            f"{utt_id} {_percent(rates['accuracy'])}, missed {mine['missed']} of {mine['true']},"
            f" false {mine['false']}, delay {_time(mine['delay_mean'])}"
        )
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _time(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
