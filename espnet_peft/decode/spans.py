"""Cuts utterances into spans of one language, and joins what the spans gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from espnet_peft.audio.batches import make_batches, pad
from espnet_peft.audio.speech import rate_of_batch
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.kaldi.layout import BASE
from espnet_peft.routing import Timeline


def cut_spans(
    speech: torch.Tensor,
    lengths: torch.Tensor,
    timelines: Sequence[Timeline],
    batch_seconds: float,
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Batches of spans: their numbers over all utterances, padded speech and its lengths.

    Every sample or frame is in one span: an utterance's last span goes on to its end.
    """
    rate = rate_of_batch(speech)
    pieces = []
    for row, length, timeline in zip(speech, lengths.tolist(), timelines, strict=True):
        starts = [min(round(span.start * rate), length - 1) for span in timeline.spans]
        for start, end in zip(starts, [*starts[1:], length], strict=True):
            pieces.append(row[start : max(end, start + 1)])
    sizes = [len(piece) for piece in pieces]
    for batch in make_batches(sizes, batch_seconds * rate):
        yield batch, *pad([pieces[i] for i in batch])


def join_spans(results: Sequence[Hypothesis], timelines: Sequence[Timeline]) -> list[Hypothesis]:
    """One hypothesis an utterance from those of its spans, in order.

    Tokens, pieces and texts follow each other, scores are summed; shares are those of time.
    """
    joined = []
    rest = iter(results)
    for timeline in timelines:
        parts = [next(rest) for _ in timeline.spans]
        whole = sum(span.seconds for span in timeline.spans)
        shares: dict[str, float] = {}
        for span, choice in zip(timeline.spans, timeline.choices, strict=True):
            name = next(iter(choice.weights), BASE)
            shares[name] = shares.get(name, 0.0) + span.seconds / whole
        joined.append(
            Hypothesis(
                tokens=[token for part in parts for token in part.tokens],
                score=sum(part.score for part in parts),
                ended=all(part.ended for part in parts),
                text=" ".join(part.text for part in parts if part.text),
                pieces=join_pieces([part.pieces for part in parts]),
                language=timeline.choice.language,
                shares=dict(sorted(shares.items(), key=lambda item: -item[1])),
            )
        )
    return joined


def join_pieces(parts: Sequence[list[str]]) -> list[str]:
    """Pieces of spans in succession, with a space `▁` where a new one begins."""
    pieces: list[str] = []
    for part in parts:
        if part and pieces and not part[0].startswith("▁"):
            part = [f"▁{part[0]}", *part[1:]]
        pieces += part
    return pieces
