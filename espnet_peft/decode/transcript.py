"""What transcribing a recording gives, and how it is written down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from espnet_peft.decode.outputs import adapter_text
from espnet_peft.decode.subtitles import to_srt, to_vtt
from espnet_peft.kaldi.timeline import Span


@dataclass
class Segment:
    """One piece of a recording.

    start, end: seconds; language: of the prompt, None where the base knows none; probabilities:
    the router's, by language (empty: nobody asked it); adapters: share of each, `base` for the
    bare base; score: log-probability of the text; spans: of languages inside the piece, in
    seconds of the recording, where the strategy tells them apart.
    """

    start: float
    end: float
    text: str
    language: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    adapters: Mapping[str, float] = field(default_factory=dict)
    score: float = 0.0
    spans: Sequence[Span] = ()


@dataclass
class Transcript:
    """The pieces of one recording so far, in order; `fault` says why there are no more.

    seconds: length of the recording; done: nothing more will come.
    """

    audio: str
    seconds: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    done: bool = False
    fault: Exception | None = None


def to_line(segment: Segment) -> str:
    """One line: `[00:01.20 -> 00:04.80] (hi 0.98, hi) text`, the adapter after the language."""
    shown = [segment.language] if segment.language else []
    probability = segment.probabilities.get(segment.language)
    if probability is not None:
        shown = [f"{segment.language} {probability:.2f}"]
    shown.append(adapter_text(segment.adapters))
    times = f"[{clock(segment.start)} -> {clock(segment.end)}]"
    return f"{times} ({', '.join(shown)}) {segment.text}"


def clock(seconds: float) -> str:
    """Seconds as `MM:SS.cc`, or `H:MM:SS.cc` from an hour on."""
    hundredths = round(seconds * 100)
    minutes, hundredths = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes:02d}"
    return f"{start}:{hundredths // 100:02d}.{hundredths % 100:02d}"


def to_txt(transcript: Transcript) -> str:
    """A line for each piece that has text."""
    return "".join(f"{to_line(segment)}\n" for segment in transcript.segments if segment.text)


def to_dict(transcript: Transcript) -> dict:
    """All that is known, in JSON's types; times in seconds to the millisecond."""
    return {
        "audio": transcript.audio,
        "seconds": round(transcript.seconds, 3),
        "segments": [
            {
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "language": segment.language,
                "probabilities": {k: round(v, 4) for k, v in segment.probabilities.items()},
                "adapters": {k: round(v, 4) for k, v in segment.adapters.items()},
                "score": round(segment.score, 4),
                "spans": [
                    {
                        "start": round(span.start, 3),
                        "end": round(span.end, 3),
                        "language": span.language,
                    }
                    for span in segment.spans
                ],
            }
            for segment in transcript.segments
        ],
    }


def to_json(transcript: Transcript) -> str:
    """An indented JSON object, pieces without text included."""
    return json.dumps(to_dict(transcript), indent=2, ensure_ascii=False) + "\n"


FORMATS = {
    "txt": to_txt,
    "srt": lambda transcript: to_srt(transcript.segments),
    "vtt": lambda transcript: to_vtt(transcript.segments),
    "json": to_json,
}
