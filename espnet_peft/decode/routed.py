"""Route, then decode: a batch whose languages the recogniser finds out itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.route import Found, find_choices
from espnet_peft.decode.rows import FrameWeights, Part, adapters_of_each, free_layers
from espnet_peft.decode.spans import cut_spans, join_spans
from espnet_peft.kaldi.layout import BASE
from espnet_peft.routing import Choice, Timeline
from espnet_peft.routing.strategies import ONE_ADAPTER, ORACLE, check_strategy

if TYPE_CHECKING:
    from espnet_peft.decode.recogniser import Recogniser


def check_usable(recogniser: Recogniser, strategy: str, has_languages: bool) -> None:
    """Raise ValueError where this recogniser cannot decode by that strategy.

    has_languages: whether the true languages of the utterances are given.
    """
    check_strategy(strategy)
    if strategy == ORACLE and not has_languages:
        raise ValueError("strategy oracle: no true languages, expected one for each utterance")
    if recogniser.table.router is None and not (has_languages and strategy in (ORACLE, BASE)):
        raise ValueError(f"strategy {strategy}: no router, expected one; give --router DIR|token")
    if has_languages and strategy not in (ORACLE, BASE):
        raise ValueError(
            f"strategy {strategy}: languages are given, expected none, for it finds them itself;"
            " leave them out or choose oracle"
        )
    if recogniser.adapters and recogniser.bank is None and strategy not in ONE_ADAPTER:
        raise ValueError(
            f"strategy {strategy}: mixes adapters, but {recogniser.unmixable};"
            f" choose one of {' '.join(ONE_ADAPTER)} or other adapters"
        )


def decode_routed(
    recogniser: Recogniser,
    speech: torch.Tensor,
    lengths: torch.Tensor,
    strategy: str,
    languages: Sequence[str] | None = None,
) -> list[Hypothesis]:
    """Work behind `Recogniser.decode_routed`."""
    check_usable(recogniser, strategy, languages is not None)
    model, bank = recogniser.model, recogniser.bank
    recogniser.activate(None)  # the router reads the bare base
    # The audio of a span is encoded by itself, so that no work on the whole serves it.
    free = bank.free_layers() if bank is not None and strategy != "spans" else None
    if not recogniser.adapters and strategy != "spans":
        free = model.n_encoder_layers
    found = find_choices(model, recogniser.table, strategy, speech, lengths, free, languages)
    if strategy == "spans":
        count_time(recogniser, found, shared=False)
        results = decode_spans(recogniser, speech, lengths, found.timelines)
    else:
        plan = [make_parts(recogniser, choice, strategy) for choice in found.choices]
        frames = None
        if strategy == "frame" and bank is not None:
            frames = frame_weights(found.timelines, found.deep.x.shape[1], model.device)
        prefix, shared = found.kept, False
        if found.deep is not None:
            names = adapters_of_each(plan, frames)
            shared = found.deep.layer <= free_layers(model, bank, names)
            prefix = found.deep if shared else prefix
        count_time(recogniser, found, shared)
        results = recogniser.search(speech, lengths, plan, prefix, frames)
        results = [
            replace(result, language=choice.language, shares=with_base(choice.weights))
            for result, choice in zip(results, found.choices, strict=True)
        ]
    return annotate(recogniser, results, found)


def count_time(recogniser: Recogniser, found: Found, shared: bool) -> None:
    """Add a batch to the recogniser's clock: of a shared encoder pass nothing is routing's."""
    shared = shared or found.probabilities is None  # without a router there is but one pass
    lost = 0.0 if shared else found.further_seconds
    recogniser.clock.add(found.seconds + lost, lost, len(found.choices), shared)


def make_parts(recogniser: Recogniser, choice: Choice, strategy: str) -> list[Part]:
    """The decoders of an utterance: one, or for `soft_decoders` one for each language."""
    if strategy != "soft_decoders" or choice.other:
        return [Part(recogniser.prompt(choice.language), choice.weights)]
    adapters = recogniser.table.adapters
    return [
        Part(
            recogniser.prompt(language),
            {adapters[language]: 1.0} if language in adapters else {},
            share,
        )
        for language, share in choice.shares.items()
    ]


def frame_weights(timelines: Sequence[Timeline], size: int, device: torch.device) -> FrameWeights:
    """Weights of a batch (B, size, K); the silence after an utterance has its last frame's."""
    names = timelines[0].names
    rows = [torch.from_numpy(timeline.weights).float()[:size] for timeline in timelines]
    weights = torch.stack([torch.cat([row, row[-1:].expand(size - len(row), -1)]) for row in rows])
    used = [
        [name for name, there in zip(names, own, strict=True) if there]
        for own in (weights > 0).any(dim=1).tolist()
    ]
    return FrameWeights(weights.to(device), names, used)


def decode_spans(
    recogniser: Recogniser,
    speech: torch.Tensor,
    lengths: torch.Tensor,
    timelines: Sequence[Timeline],
) -> list[Hypothesis]:
    """Decode the audio of each span with its own adapter and language, and join the texts."""
    choices = [choice for timeline in timelines for choice in timeline.choices]
    results: list[Hypothesis | None] = [None] * len(choices)
    for indices, own, sizes in cut_spans(
        speech, lengths, timelines, recogniser.options.batch_seconds
    ):
        plan = [make_parts(recogniser, choices[index], "spans") for index in indices]
        for index, result in zip(indices, recogniser.search(own, sizes, plan), strict=True):
            results[index] = result
    return join_spans(results, timelines)


def with_base(weights: Mapping[str, float]) -> dict[str, float]:
    """The same weights with what the bare base has of the sum 1, greatest first."""
    shares = {name: weight for name, weight in weights.items() if weight > 0}
    rest = 1.0 - sum(shares.values())
    if rest > 1e-6:
        shares[BASE] = shares.get(BASE, 0.0) + rest
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def annotate(
    recogniser: Recogniser, results: Sequence[Hypothesis], found: Found
) -> list[Hypothesis]:
    """Fill in the router's probabilities and the spans."""
    if found.probabilities is None:
        return list(results)
    languages = recogniser.table.router.languages
    timelines = found.timelines or [None] * len(results)
    return [
        replace(
            result,
            probabilities=dict(zip(languages, row, strict=True)),
            spans=tuple(timeline.spans) if timeline is not None else (),
        )
        for result, row, timeline in zip(
            results, found.probabilities.tolist(), timelines, strict=True
        )
    ]
