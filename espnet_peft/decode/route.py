"""Asks the router for a batch's languages and decides on adapters, with the time that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from espnet_peft.decode.shared_encoder import SharedEncoder, seconds_now
from espnet_peft.kaldi.layout import BASE
from espnet_peft.models import Prefix
from espnet_peft.routing import (
    Choice,
    RoutingOptions,
    Timeline,
    decide,
    follow,
    measure_loudness,
)
from espnet_peft.routing.strategies import ORACLE, TIMED


@dataclass
class RouteClock:
    """Time that routing added to decoding.

    seconds: router, strategy and the encoder's work that decoding could not go on from; of them
    encoder_seconds that work. utterances: routed; shared: those whose router ran on the encoder
    layers that decoding went on from, so that there was no second pass.
    """

    seconds: float = 0.0
    encoder_seconds: float = 0.0
    utterances: int = 0
    shared: int = 0

    def add(self, seconds: float, encoder_seconds: float, utterances: int, shared: bool) -> None:
        """Count one batch."""
        self.seconds += seconds
        self.encoder_seconds += encoder_seconds
        self.utterances += utterances
        self.shared += utterances if shared else 0


@dataclass(frozen=True)
class RoutingTable:
    """What a choice is made from.

    router: None where no strategy needs one; options: of the strategies; adapters: language ->
    adapter's name; base_languages: those that the base serves.
    """

    router: object | None = None
    options: RoutingOptions = field(default_factory=RoutingOptions)
    adapters: Mapping[str, str] = field(default_factory=dict)
    base_languages: Sequence[str] = ()


@dataclass(frozen=True)
class Found:
    """A batch's choices.

    choices: of each utterance; timelines: for strategies over time, else None; probabilities:
    (B, C) of the router's languages, None where it was not asked; kept: the encoder's work in
    layers that no adapter changes; deep: the same at the router's layer; seconds: all but the
    encoder's; kept_seconds, further_seconds: the encoder's as in `SharedEncoder`.
    """

    choices: list[Choice]
    timelines: list[Timeline] | None
    probabilities: torch.Tensor | None
    kept: Prefix | None
    deep: Prefix | None
    seconds: float
    kept_seconds: float
    further_seconds: float


def find_choices(
    model,
    table: RoutingTable,
    strategy: str,
    speech: torch.Tensor,
    lengths: torch.Tensor,
    free: int | None,
    true_languages: Sequence[str] | None = None,
) -> Found:
    """Route a batch; free: encoder layers that no adapter changes, None where that is of no use.

    true_languages: for `oracle`, and for `base` without a router. Raises ValueError as `decide`.
    """
    start = seconds_now(model.device)
    encoder = SharedEncoder(model, free)
    if strategy in (ORACLE, BASE) and true_languages is not None:
        choices = decide(
            strategy, None, (), table.options, table.adapters, true_languages=true_languages
        )
        return Found(choices, None, None, None, None, seconds_now(model.device) - start, 0.0, 0.0)
    router = table.router
    routed = router(encoder, speech, lengths, frames=strategy in TIMED)
    probabilities = routed.probabilities.float().cpu()
    others = (table.adapters, table.base_languages, router.other_threshold)
    timelines = None
    if strategy in TIMED:
        frames = routed.frames.float().cpu()
        timelines = []
        rows = zip(frames, routed.prefix.spoken.tolist(), speech, lengths.tolist(), strict=True)
        for own, size, audio, length in rows:
            loudness = measure_loudness(audio[:length].float().cpu(), size)
            timelines.append(
                follow(own[:size], router.languages, table.options, *others, loudness=loudness)
            )
        choices = [timeline.choice for timeline in timelines]
    else:
        choices = decide(strategy, probabilities, router.languages, table.options, *others)
    seconds = seconds_now(model.device) - start
    return Found(
        choices,
        timelines,
        probabilities,
        encoder.kept,
        routed.prefix if free is not None else None,
        seconds - encoder.kept_seconds - encoder.further_seconds,
        encoder.kept_seconds,
        encoder.further_seconds,
    )
