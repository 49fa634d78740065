"""Transcribes recordings of any length: the work behind `bin/transcribe`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from espnet_peft.audio.batches import make_batches, pad
from espnet_peft.audio.cut import CutOptions, cut, slices
from espnet_peft.audio.resample import RATE
from espnet_peft.audio.stream import stream_audio
from espnet_peft.decode.hypothesis import Hypothesis, check_scores
from espnet_peft.decode.transcript import Segment, Transcript

# Pieces of that many batches are sorted by length. The first batches are made of fewer, so that
# whoever watches soon sees text.
MOST_BATCHES = 5

Decode = Callable[[torch.Tensor, torch.Tensor], list[Hypothesis]]


@dataclass
class Piece:
    """What is cut and not yet decoded: samples (n,) of a recording from second `start` on."""

    transcript: Transcript
    start: float
    samples: np.ndarray


def transcribe(
    paths: Iterable[str],
    decode: Decode,
    options: CutOptions | None = None,
    batch_seconds: float = 80.0,
) -> Iterator[Transcript]:
    """Cut recordings into pieces of speech and decode these in batches of like length.

    decode: samples (B, n) at 16 kHz, padded, and lengths (B,) to B hypotheses; batch_seconds: of
    audio in a batch, padding included. Yields each recording whenever it has grown and when it is
    `done`, in order. One that cannot be read gets a `fault`, and the next goes on. The samples of
    `MOST_BATCHES` batches are in memory at most.
    """
    unfinished: list[Transcript] = []
    waiting: list[Piece] = []
    wanted = batch_seconds
    for path in paths:
        transcript = Transcript(str(path))
        unfinished.append(transcript)
        for piece in read_pieces(transcript, options or CutOptions()):
            waiting.append(piece)
            if sum(len(piece.samples) for piece in waiting) >= wanted * RATE:
                decode_pieces(waiting, decode, batch_seconds)
                waiting = []
                yield from release(unfinished, transcript)
                wanted = min(2 * wanted, MOST_BATCHES * batch_seconds)
        if not waiting:
            yield from release(unfinished)
    decode_pieces(waiting, decode, batch_seconds)
    yield from release(unfinished)


def read_pieces(transcript: Transcript, options: CutOptions) -> Iterator[Piece]:
    """Read a recording twice, to find its pauses and to take its pieces; notes what fails."""
    try:
        spans, n_samples = cut(stream_audio(transcript.audio), options)
        transcript.seconds = n_samples / RATE
        audio = slices(stream_audio(transcript.audio), spans)
        for (start, _), samples in zip(spans, audio, strict=True):
            yield Piece(transcript, start / RATE, samples)
    except (ValueError, OSError) as error:
        transcript.fault = error


def release(unfinished: list[Transcript], reading: Transcript | None = None):
    """Yield the recordings, all of whose pieces are decoded but of the one that is being read."""
    for transcript in unfinished:
        transcript.done = transcript is not reading
        yield transcript
    unfinished[:] = [reading] if reading is not None else []


def decode_pieces(pieces: Sequence[Piece], decode: Decode, batch_seconds: float) -> None:
    """Decode pieces and append them to their recordings, in order.

    Raises ValueError where a score is no number.
    """
    lengths = [len(piece.samples) for piece in pieces]
    results: list[Hypothesis | None] = [None] * len(pieces)
    for batch in make_batches(lengths, batch_seconds * RATE):
        speech, sizes = pad([pieces[index].samples for index in batch])
        for index, result in zip(batch, decode(speech, sizes), strict=True):
            results[index] = result
    for piece, result in zip(pieces, results, strict=True):
        check_scores([result], [f"the piece at {piece.start:.2f} s"], piece.transcript.audio)
        piece.transcript.segments.append(to_segment(piece, result))


def to_segment(piece: Piece, result: Hypothesis) -> Segment:
    """A decoded piece, its times counted from the start of the recording."""
    return Segment(
        start=piece.start,
        end=piece.start + len(piece.samples) / RATE,
        text=result.text,
        language=result.language,
        probabilities=result.probabilities,
        adapters=result.shares,
        score=result.score,
        spans=[
            replace(span, start=span.start + piece.start, end=span.end + piece.start)
            for span in result.spans
        ],
    )
