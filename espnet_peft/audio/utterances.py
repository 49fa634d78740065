"""The utterances of a data directory as audio, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_peft.audio.read_audio import read_audio
from espnet_peft.audio.resample import RATE, resample
from espnet_peft.kaldi import read_table

MAX_SECONDS = 30.0
TOLERANCE = 0.1  # seconds that a segment may end after its recording: times are often rounded


@dataclass(frozen=True)
class Span:
    """One utterance: what wav.scp says of its recording, and seconds in it (None: the whole)."""

    utt_id: str
    audio: str
    start: float | None = None
    end: float | None = None


def list_spans(data_dir: str | Path, keys: set[str] | None = None) -> list[Span]:
    """Utterances of wav.scp, or of segments where there is one, in their order.

    `keys` keeps those utterances alone.

    Raises:
        ValueError, FileNotFoundError: a bad table, an unknown recording or key; all such faults.
    """
    data_dir = Path(data_dir)
    recordings = read_table(data_dir / "wav.scp", "rest")
    if (data_dir / "segments").is_file():
        spans, faults = _segments(data_dir / "segments", recordings)
    else:
        spans, faults = [Span(utt_id, audio) for utt_id, audio in recordings.items()], []
    if keys is not None:
        unknown = sorted(keys - {span.utt_id for span in spans})
        faults += [f"{data_dir}: no utterance {key}, but the key file has it" for key in unknown]
        spans = [span for span in spans if span.utt_id in keys]
    report_faults(str(data_dir), faults)
    return spans


def _segments(path: Path, recordings: dict[str, str]) -> tuple[list[Span], list[str]]:
    spans, faults = [], []
    for utt_id, value in read_table(path, "many").items():
        try:
            recording, start, end = value.split()
            spans.append(Span(utt_id, recordings[recording], float(start), float(end)))
        except KeyError:
            faults.append(f"{path}: {utt_id}: recording {recording} is not in wav.scp")
        except ValueError:
            faults.append(f'{path}: {utt_id}: {value!r}, expected "<recording> <start> <end>"')
    return spans, faults


def report_faults(place: str, faults: list[str]) -> None:
    """Raise ValueError that lists the faults, if there are any."""
    if len(faults) == 1:
        raise ValueError(faults[0])
    if faults:
        listed = "\n  ".join(faults)
        raise ValueError(f"{place}: {len(faults)} faults, expected none; correct them:\n  {listed}")


def read_utterances(
    spans: list[Span], *, allow_pipes: bool = False, expected_rate: int | None = None
) -> Iterator[tuple[str, np.ndarray | ValueError | OSError]]:
    """Yield (utt_id, audio (n,) float32 at 16 kHz), or the error in place of the audio.

    Audio over 30 s or under one frame (10 ms), of another rate than `expected_rate`, unreadable
    or not finite is such an error.
    """
    kept: tuple[str, tuple[np.ndarray, int]] | None = None  # segments follow their recording
    for span in spans:
        try:
            if kept is None or kept[0] != span.audio:
                kept = span.audio, read_audio(span.audio, allow_pipes=allow_pipes)
            samples, rate = kept[1]
            if expected_rate is not None and rate != expected_rate:
                raise ValueError(f"{rate} Hz, expected {expected_rate}; resample, or correct it")
            yield span.utt_id, _checked(resample(_cut(samples, rate, span), rate, RATE))
        except (ValueError, OSError) as error:
            yield span.utt_id, error


def _cut(samples: np.ndarray, rate: int, span: Span) -> np.ndarray:
    if span.start is None:
        return samples
    duration = len(samples) / rate
    end = duration if span.end < 0 else span.end  # Kaldi writes -1 for the recording's end
    if not 0 <= span.start < end <= duration + TOLERANCE:
        raise ValueError(
            f"segment {span.start} to {span.end} s of {duration:.2f} s of audio,"
            " expected it inside; correct segments"
        )
    return samples[round(span.start * rate) : round(end * rate)]


def _checked(samples: np.ndarray) -> np.ndarray:
    seconds = len(samples) / RATE
    if seconds > MAX_SECONDS:
        raise ValueError(f"{seconds:.2f} s, expected at most {MAX_SECONDS:.0f}; segment it")
    if seconds < 0.01:
        raise ValueError(f"{len(samples)} samples, expected at least 10 ms; remove the utterance")
    return samples
