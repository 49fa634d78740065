"""Searches a batch whose utterances differ in prompt, adapters and number of decoders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from espnet_peft.decode.beam import beam
from espnet_peft.decode.greedy import greedy
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.options import SearchOptions
from espnet_peft.decode.streams import Streams
from espnet_peft.kaldi.layout import BASE
from espnet_peft.models import Prefix

if TYPE_CHECKING:  # its import costs seconds, which the bare base need not pay
    from espnet_peft.adapters import AdapterBank


@dataclass(frozen=True)
class Part:
    """One decoder of an utterance.

    prompt: its tokens; weights: of adapters, what is missing from 1 is the bare base's; share:
    what this decoder counts for among those of its utterance.
    """

    prompt: Sequence[int]
    weights: Mapping[str, float] = field(default_factory=dict)
    share: float = 1.0


@dataclass(frozen=True)
class FrameWeights:
    """Weights (B, T', K) of the K adapters `names` at every frame of the encoder.

    used: for each utterance, those that have a weight in it.
    """

    weights: torch.Tensor
    names: Sequence[str]
    used: Sequence[Sequence[str]]

    def select(self, utts: torch.Tensor, size: int) -> tuple[torch.Tensor, list[str]]:
        """The first `size` frames of utterances (R,), (R, size, K'), and the K' adapters in use."""
        needed = {name for utt in utts.tolist() for name in self.used[utt]}
        columns = [number for number, name in enumerate(self.names) if name in needed]
        return self.weights[utts, :size][:, :, columns], [self.names[i] for i in columns]


def search_rows(
    model,
    bank: AdapterBank | None,
    prefix: Prefix,
    durations: torch.Tensor,
    plan: Sequence[Sequence[Part]],
    options: SearchOptions,
    frames: FrameWeights | None = None,
    most: int | None = None,
) -> list[Hypothesis]:
    """Decode utterances, each with the decoders (one or several) that `plan` has for it.

    prefix: the encoder's work so far, of layers that no adapter of the plan changes; durations:
    (B,) seconds; most: adapters that the bank keeps in memory. Utterances with as many decoders
    go together, whatever their adapters.
    """
    names = adapters_of_each(plan, frames)
    # What no adapter changes is computed once for all decoders of an utterance.
    prefix = model.encode_on(prefix, max(prefix.layer, free_layers(model, bank, names)))
    results: list[Hypothesis | None] = [None] * len(plan)
    for utts in make_groups(plan, names, most):
        rows = [(utt, part) for utt in utts for part in plan[utt]]
        index = torch.tensor([utt for utt, _ in rows], device=model.device)
        streams = None
        if len(rows) > len(utts):
            shares = torch.tensor([part.share for _, part in rows], device=model.device)
            streams = Streams(shares.log().view(len(utts), -1))
        own = prefix.select(index)
        weights = [part.weights for _, part in rows]
        # Where no adapter has a frame, all are the bare base's, as without weights.
        timed = frames is not None and any(frames.used[utt] for utt in utts)
        chosen = frames.select(index, own.x.shape[1]) if timed else ()
        mix = None if bank is None else bank.mix(weights, *chosen)
        with nullcontext() if mix is None else mix:
            enc, enc_lengths = model.encode_rest(own)
            prompts = torch.tensor([part.prompt for _, part in rows], device=model.device)
            found = search(
                model, enc, enc_lengths, prompts, options, durations[index], mix, streams
            )
        for utt, result in zip(utts, found, strict=True):
            results[utt] = result
    return results


def search(
    model, enc, enc_lengths, prompts, options, durations, mix=None, streams=None
) -> list[Hypothesis]:
    """Greedy or beam search, as the options say; arguments as in `greedy`."""
    find = greedy if options.beam_size == 1 else beam
    return find(model, enc, enc_lengths, prompts, options, durations, mix=mix, streams=streams)


def free_layers(model, bank: AdapterBank | None, names: Sequence[Collection[str]]) -> int:
    """How many of the first encoder layers are changed by none of the adapters `names`."""
    used = set().union(*names)
    return bank.free_layers(used) if used else model.n_encoder_layers


def adapters_of_each(
    plan: Sequence[Sequence[Part]], frames: FrameWeights | None = None
) -> list[tuple[str, ...]]:
    """Adapters that have a weight in each utterance, without the bare base."""
    found = []
    for utt, parts in enumerate(plan):
        names = [name for part in parts for name, weight in part.weights.items() if weight]
        names += frames.used[utt] if frames is not None else []
        found.append(tuple(name for name in dict.fromkeys(names) if name != BASE))
    return found


def make_groups(
    plan: Sequence[Sequence[Part]], names: Sequence[Sequence[str]], most: int | None = None
) -> Iterator[list[int]]:
    """Utterances that can be searched together, those with the same adapters side by side.

    They have as many decoders, prompts of one length, and together at most `most` of the adapters
    `names` (None: any number); one that has more is alone.
    """
    kinds: dict[tuple[int, int], list[int]] = {}
    for utt, parts in enumerate(plan):
        kinds.setdefault((len(parts), len(parts[0].prompt)), []).append(utt)
    for utts in kinds.values():
        group: list[int] = []
        there: set[str] = set()
        for utt in sorted(utts, key=names.__getitem__):
            if group and most is not None and len(there.union(names[utt])) > most:
                yield group
                group, there = [], set()
            group.append(utt)
            there.update(names[utt])
        yield group
