"""Decodes a data directory: the work behind `bin/decode`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from espnet_peft.decode.decode_set import decode_set
from espnet_peft.decode.inputs import DecodeSet, name, read_decode_set
from espnet_peft.decode.options import SearchOptions, read_options
from espnet_peft.decode.outputs import write_results, write_speed
from espnet_peft.decode.recogniser import Recogniser
from espnet_peft.decode.routed import check_usable
from espnet_peft.kaldi import read_table
from espnet_peft.kaldi.layout import BASE
from espnet_peft.models.device import check_device, set_threads
from espnet_peft.routing import RoutingOptions, read_routing_options
from espnet_peft.routing.strategies import ORACLE, check_strategy


def run_job(
    base_model: str,
    adapters: Mapping[str, str],
    data_dir: str,
    out_dir: str,
    utt2adapter: str | None = None,
    strategy: str | None = None,
    router: str | None = None,
    routing_config: str | None = None,
    base_languages: Sequence[str] = (),
    max_adapters: int | None = None,
    config: str | None = None,
    language: str | None = None,
    key_file: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    num_threads: int = 1,
    started: float | None = None,
) -> dict:
    """Decode data_dir into out_dir and return what speed.json holds.

    Parameters as in `bin/decode`; started: time.perf_counter() of the start of loading. Raises
    ValueError or OSError on faults of the user; then no result is written.
    """
    started = time.perf_counter() if started is None else started
    set_threads(num_threads)
    check_device(device)
    routes, routing = None, None
    if strategy is None:
        routes = choose_routes(adapters, utt2adapter)
    else:
        check_choice(strategy, router, utt2adapter)
        routing = read_routing_options(routing_config) if routing_config else RoutingOptions()
    recogniser = Recogniser.load(
        base_model,
        adapters,
        read_options(config) if config else SearchOptions(),
        device,
        getattr(torch, dtype),
        # In a narrow dtype, merged weights would lose an adapter's small changes.
        merge=dtype == "float32",
        router=router if strategy not in (None, ORACLE) else None,
        routing=routing,
        base_languages=base_languages,
        max_adapters=max_adapters,
    )
    data = read_for(recogniser, data_dir, strategy, language, routes, key_file)
    Path(out_dir).mkdir(parents=True, exist_ok=True)  # a wrong place is found before the work
    loaded = time.perf_counter()
    results = decode_set(recogniser, data, strategy)
    decode_seconds = time.perf_counter() - loaded
    speed = decode_speed(data, decode_seconds)
    speed |= {
        "load_seconds": round(loaded - started, 3),
        "num_threads": torch.get_num_threads(),
        "device": device,
        "beam_size": recogniser.options.beam_size,
    }
    if strategy is not None:
        speed |= route_speed(recogniser, strategy, decode_seconds)
    write_results(out_dir, data.utt_ids, results, routed=strategy is not None)
    write_speed(out_dir, speed)
    return speed


def read_for(
    recogniser: Recogniser,
    data_dir: str,
    strategy: str | None,
    language: str | None,
    routes: Mapping[str, str] | str | None,
    key_file: str | None,
) -> DecodeSet:
    """What this recogniser is to decode; ValueError where it cannot by that strategy."""
    wants_languages = None
    if strategy is not None:
        wants_languages = recogniser.table.router is None or language is not None
        check_usable(recogniser, strategy, wants_languages)
    return read_decode_set(
        data_dir,
        language=language,
        known_languages=recogniser.model.tokenizer.languages,
        wants_languages=wants_languages,
        utt2adapter=routes,
        key_file=key_file,
        n_mels=recogniser.model.dims.n_mels,
    )


def decode_speed(data: DecodeSet, seconds: float) -> dict:
    """How much was decoded in so many seconds, and their ratio."""
    audio_seconds = sum(data.lengths) / data.units_per_second
    return {
        "utterances": len(data.utt_ids),
        "audio_seconds": round(audio_seconds, 3),
        "decode_seconds": round(seconds, 4),
        "rtf": round(seconds / audio_seconds, 6),
    }


def route_speed(recogniser: Recogniser, strategy: str, decode_seconds: float) -> dict:
    """What routing cost, all that it added to decoding, and how much of that was the encoder."""
    clock = recogniser.clock
    bank = recogniser.bank
    return {
        "strategy": strategy,
        "route_seconds": round(clock.seconds, 4),
        "route_encoder_seconds": round(clock.encoder_seconds, 4),
        "route_ms_per_utterance": round(1000 * clock.seconds / clock.utterances, 4),
        "route_share": round(clock.seconds / decode_seconds, 6),
        "prefix_shared": clock.shared == clock.utterances,
        "adapters_loaded": len(recogniser.adapters if bank is None else bank.resident),
    }


def check_choice(strategy: str, router: str | None, utt2adapter: str | None) -> None:
    """Raise ValueError for a strategy that is none, or that is not the only choice."""
    check_strategy(strategy)
    if utt2adapter is not None:
        raise ValueError(
            f"--strategy {strategy}: there is --utt2adapter {utt2adapter} too, expected one of"
            " the two; leave one out"
        )


def choose_routes(adapters: Mapping[str, str], utt2adapter: str | None):
    """The adapter of each utterance as a table, or one name for all, or None for the base."""
    if utt2adapter is None:
        if len(adapters) > 1:
            raise ValueError(
                f"--adapter: {len(adapters)} adapters ({', '.join(adapters)}) and no choice;"
                " give --strategy or --utt2adapter"
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
