"""Decodes a data directory: the work behind `bin/decode`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from espnet_peft.decode.batches import make_batches
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.inputs import DecodeSet, name, read_decode_set, read_speech
from espnet_peft.decode.options import SearchOptions, read_options
from espnet_peft.decode.outputs import write_results, write_speed
from espnet_peft.decode.recogniser import BASE, Recogniser
from espnet_peft.kaldi import read_table

logger = logging.getLogger(__name__)


def run_job(
    base_model: str,
    adapters: Mapping[str, str],
    data_dir: str,
    out_dir: str,
    utt2adapter: str | None = None,
    config: str | None = None,
    language: str | None = None,
    key_file: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    num_threads: int = 1,
    started: float | None = None,
) -> dict[str, float]:
    """Decode data_dir into out_dir and return what speed.json holds.

    Parameters as in `bin/decode`; started: time.perf_counter() of the start of loading. Raises
    ValueError or OSError on faults of the user; then no result is written.
    """
    started = time.perf_counter() if started is None else started
    if num_threads < 1:
        raise ValueError(f"--num_threads: found {num_threads}, expected at least 1")
    torch.set_num_threads(num_threads)
    check_device(device)
    options = read_options(config) if config else SearchOptions()
    routes = choose_routes(adapters, utt2adapter)
    # In a narrow dtype, merged weights would lose an adapter's small changes.
    merge = dtype == "float32"
    recogniser = Recogniser.load(
        base_model, adapters, options, device, getattr(torch, dtype), merge
    )
    data = read_decode_set(
        data_dir,
        language=language,
        known_languages=recogniser.model.tokenizer.languages,
        utt2adapter=routes,
        key_file=key_file,
        n_mels=recogniser.model.dims.n_mels,
    )
    Path(out_dir).mkdir(parents=True, exist_ok=True)  # a wrong place is found before the work
    loaded = time.perf_counter()
    results = decode_set(recogniser, data)
    decode_seconds = time.perf_counter() - loaded
    audio_seconds = sum(data.lengths) / data.units_per_second
    speed = {
        "utterances": len(data.utt_ids),
        "audio_seconds": round(audio_seconds, 3),
        "decode_seconds": round(decode_seconds, 4),
        "rtf": round(decode_seconds / audio_seconds, 6),
        "load_seconds": round(loaded - started, 3),
        "num_threads": torch.get_num_threads(),
        "device": device,
        "beam_size": options.beam_size,
    }
    write_results(out_dir, data.utt_ids, results)
    write_speed(out_dir, speed)
    return speed


def check_device(device: str) -> None:
    """Raise ValueError where torch has no such device."""
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise ValueError(f"--device {device}: expected cpu, cuda or cuda:<number>") from None
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ValueError(f"--device {device}: found {found} usable GPUs; use --device cpu")


def choose_routes(adapters: Mapping[str, str], utt2adapter: str | None):
    """The adapter of each utterance as a table, or one name for all, or None for the base."""
    if utt2adapter is None:
        if len(adapters) > 1:
            raise ValueError(
                f"--adapter: {len(adapters)} adapters ({', '.join(adapters)}) and no choice;"
                " give --utt2adapter (stage 5 makes one)"
            )
        return next(iter(adapters), None)
    table = read_table(utt2adapter, "one")
    unknown = sorted(set(table.values()) - set(adapters) - {BASE})
    if unknown:
        raise ValueError(
            f"{utt2adapter}: adapter {name(unknown)} not given; given by --adapter:"
            f" {', '.join(adapters) or 'none'}"
        )
    return table


def decode_set(recogniser: Recogniser, data: DecodeSet) -> list[Hypothesis]:
    """Decode in batches of like length, one adapter each; results are in data order."""
    batch_length = recogniser.options.batch_seconds * data.units_per_second
    batches = make_batches(data.lengths, batch_length, data.adapters)
    results: list[Hypothesis | None] = [None] * len(data.utt_ids)
    started = time.perf_counter()
    done = 0
    for batch in batches:
        speech, lengths = read_batch(data, batch, recogniser.model.dims.n_mels)
        found = recogniser.decode_batch(
            speech,
            lengths,
            [data.languages[index] for index in batch],
            [data.adapters[index] for index in batch],
        )
        for index, result in zip(batch, found, strict=True):
            results[index] = result
        if done * 10 // len(results) < (done + len(batch)) * 10 // len(results):
            left = (time.perf_counter() - started) * (len(results) / (done + len(batch)) - 1)
            logger.info("decoded %d of %d, %.0f s left", done + len(batch), len(results), left)
        done += len(batch)
    broken = [
        utt_id
        for utt_id, result in zip(data.utt_ids, results, strict=True)
        if not math.isfinite(result.score)
    ]
    if broken:
        raise ValueError(
            f"{Path(data.data_dir)}: {name(broken)} got a score that is no number;"
            " the model's weights are broken or --dtype is too narrow"
        )
    return results


def read_batch(
    data: DecodeSet, batch: list[int], n_mels: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Read utterances into one zero-padded tensor (B, T, n_mels) or (B, n) and lengths (B,)."""
    arrays = [
        read_speech(data.specs[index], data.raw, n_mels, data.utt_ids[index]) for index in batch
    ]
    lengths = [len(array) for array in arrays]
    padded = np.zeros((len(arrays), max(lengths), *arrays[0].shape[1:]), dtype=np.float32)
    for row, array in enumerate(arrays):
        padded[row, : len(array)] = array
    return torch.from_numpy(padded), torch.tensor(lengths)
