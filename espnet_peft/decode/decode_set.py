"""Decodes all utterances of a set, in batches of like length."""

from __future__ import annotations

import logging
import time

import torch

from espnet_peft.audio.batches import make_batches, pad
from espnet_peft.audio.speech import read_speech
from espnet_peft.decode.hypothesis import Hypothesis, check_scores
from espnet_peft.decode.inputs import DecodeSet
from espnet_peft.decode.recogniser import Recogniser

logger = logging.getLogger(__name__)


def decode_set(
    recogniser: Recogniser, data: DecodeSet, strategy: str | None = None
) -> list[Hypothesis]:
    """Decode with the adapters in `data`, or with those that `strategy` chooses.

    Results are in data order. Raises ValueError for scores that are no numbers.
    """
    batch_length = recogniser.options.batch_seconds * data.units_per_second
    batches = make_batches(data.lengths, batch_length, find_groups(recogniser, data, strategy))
    results: list[Hypothesis | None] = [None] * len(data.utt_ids)
    started = time.perf_counter()
    done = 0
    for batch in batches:
        for index, result in zip(
            batch, decode_some(recogniser, data, batch, strategy), strict=True
        ):
            results[index] = result
        if done * 10 // len(results) < (done + len(batch)) * 10 // len(results):
            left = (time.perf_counter() - started) * (len(results) / (done + len(batch)) - 1)
            logger.info("decoded %d of %d, %.0f s left", done + len(batch), len(results), left)
        done += len(batch)
    check_scores(results, data.utt_ids, str(data.data_dir))
    return results


def find_groups(
    recogniser: Recogniser, data: DecodeSet, strategy: str | None
) -> list[str | None] | None:
    """Which utterances may not share a batch: without a bank, those of different adapters."""
    if recogniser.bank is not None:
        return None
    if strategy is None:
        return data.adapters
    return [recogniser.table.adapters.get(language) for language in data.languages]


def decode_some(
    recogniser: Recogniser, data: DecodeSet, batch: list[int], strategy: str | None
) -> list[Hypothesis]:
    """Read and decode the utterances with these numbers."""
    speech, lengths = read_batch(data, batch, recogniser.model.dims.n_mels)
    languages = [data.languages[index] for index in batch]
    if strategy is None:
        adapters = [data.adapters[index] for index in batch]
        return recogniser.decode_batch(speech, lengths, languages, adapters)
    try:
        return recogniser.decode_routed(
            speech, lengths, strategy, None if None in languages else languages
        )
    except ValueError as error:
        first, more = data.utt_ids[batch[0]], len(batch) - 1
        raise ValueError(
            f"{data.data_dir}: in the batch of {first} and {more} more: {error}"
        ) from error


def read_batch(data: DecodeSet, batch: list[int], n_mels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Read utterances into one zero-padded tensor (B, T, n_mels) or (B, n) and lengths (B,)."""
    return pad(
        [read_speech(data.specs[index], data.raw, n_mels, data.utt_ids[index]) for index in batch]
    )
