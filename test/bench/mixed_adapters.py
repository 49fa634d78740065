"""Times batches whose rows use different adapters: ours, a merged adapter, Hugging Face peft's.

Random weights in whisper-tiny's and -base's shapes, LoRA of rank 16 on all targets, utterances of
6 s, greedy search over a fixed number of tokens on both sides. peft's mixed batch works on our
module and on transformers' Whisper: once with a window of 6 s, which saves it work that its users
have, and for the small batches with the window of 30 s that Whisper's checkpoints have. The
variants take turns, so that other load hits all alike; reported are medians of processor seconds
of the one thread that works.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from espnet_peft import adapters
from espnet_peft.adapters import AdapterBank
from espnet_peft.decode.greedy import greedy
from espnet_peft.decode.options import SearchOptions
from espnet_peft.models import build_whisper

# width, heads, encoder layers, decoder layers, vocabulary; mini is the base of egs2/mini_lingua
SHAPES = {
    "mini": (128, 4, 3, 2, 422),
    "tiny": (384, 6, 4, 4, 51865),
    "base": (512, 8, 6, 6, 51865),
}
FRAMES, WINDOW, TOKENS, RANK = 600, 3000, 30, 16
BATCHES = {8: [1, 4], 32: [16, 32]}  # rows: numbers of adapters
Run = Callable[[], dict[str, float]]


class Numbers:
    """A tokenizer that never ends a text."""

    languages, suppress_blank = ("aa",), ()

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size, self.eot = vocab_size, vocab_size - 1
        self.suppress = (self.eot,)


def build(shape: str):
    """Return a Whisper with random weights, the same at every call."""
    torch.manual_seed(1)
    width, heads, encoder, decoder, vocabulary = SHAPES[shape]
    dims = {f"n_{side}_state": width for side in ("audio", "text")}
    dims |= {f"n_{side}_head": heads for side in ("audio", "text")}
    dims |= {"n_audio_layer": encoder, "n_text_layer": decoder}
    return build_whisper(dims, Numbers(vocabulary)).eval()


def randomise(model) -> None:
    """Give the adapter that trains random weights, of the size that training gives them."""
    for parameter in adapters.trainable_state_dict(model).values():
        parameter.normal_(std=0.02)


def write_adapters(shape: str, number: int, root: Path) -> dict[str, Path]:
    """Write `number` adapters with random weights; returns their directories."""
    model = build(shape)
    adapters.inject(model, adapters.make_config("lora", {"r": RANK}), "one")
    found = {}
    for i in range(number):
        randomise(model)
        found[f"a{i}"] = root / f"a{i}"
        adapters.save(model, found[f"a{i}"], "one")
    return found


def recognise(model, speech: torch.Tensor, mix=None) -> dict[str, float]:
    """Encode and search; processor seconds of both."""
    lengths = torch.full((len(speech),), speech.shape[1])
    prompts = torch.arange(4).repeat(len(speech), 1)
    options = SearchOptions(max_length=TOKENS)
    start = time.thread_time()
    enc, enc_lengths = model.encode(speech, lengths)
    half = time.thread_time()
    greedy(model, enc, enc_lengths, prompts, options, mix=mix)
    return {"encode": half - start, "search": time.thread_time() - half}


@torch.inference_mode()
def plain(model, speech: torch.Tensor) -> dict[str, float]:
    return recognise(model, speech)


@torch.inference_mode()
def mixed(bank: AdapterBank, speech: torch.Tensor, rows: list[dict[str, float]]) -> dict:
    """Our mixed batch, with all that a new batch costs."""
    start = time.thread_time()
    with bank.mix(rows) as mix:
        entered = time.thread_time() - start
        times = recognise(bank.model, speech, mix)
    times["search"] += entered
    return times


@torch.inference_mode()
def peft_on_ours(model, speech: torch.Tensor, names: list[str]) -> dict[str, float]:
    """peft's mixed batch on our own module, by the hooks that peft sets itself."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    def name_rows(module, args, kwargs):
        return args, kwargs | {"adapter_names": names}

    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    hooks = [one.register_forward_pre_hook(name_rows, with_kwargs=True) for one in layers]
    try:
        return recognise(model, speech)
    finally:
        for hook in hooks:
            hook.remove()


@torch.inference_mode()
def peft_on_theirs(model, speech: torch.Tensor, names: list[str]) -> dict[str, float]:
    """peft's mixed batch on transformers' Whisper, whose window `speech` fills."""
    inner = model.get_base_model()
    tokens, past = torch.arange(4).repeat(len(speech), 1), None
    with model.base_model._enable_peft_forward_hooks(adapter_names=names):
        start = time.thread_time()
        enc = inner.model.encoder(speech.mT)
        half = time.thread_time()
        for _ in range(TOKENS):
            out = inner(
                decoder_input_ids=tokens, encoder_outputs=enc, past_key_values=past, use_cache=True
            )
            past, tokens = out.past_key_values, out.logits[:, -1:].argmax(dim=-1)
    return {"encode": half - start, "search": time.thread_time() - half}


def twin_with_peft(shape: str, directories: dict[str, Path], frames: int):
    """Return transformers' Whisper of this shape with the adapters in peft's own model.

    frames: of the window that all input has to fill; that of Whisper's own checkpoints is 3000.
    """
    from peft import PeftModel
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    width, heads, encoder, decoder, vocabulary = SHAPES[shape]
    special = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
    config = WhisperConfig(
        vocab_size=vocabulary,
        d_model=width,
        max_source_positions=frames // 2,
        encoder_layers=encoder,
        decoder_layers=decoder,
        **dict.fromkeys(special, 0),
        **{f"{side}_attention_heads": heads for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": 4 * width for side in ("encoder", "decoder")},
    )
    model = WhisperForConditionalGeneration(config).eval()
    first, *rest = directories
    model = PeftModel.from_pretrained(model, directories[first], adapter_name=first)
    for name in rest:
        model.load_adapter(directories[name], adapter_name=name)
    return model.eval()


def variants(
    shape: str, n_rows: int, counts: list[int], directories: dict[str, Path]
) -> tuple[dict[str, Run], AdapterBank]:
    """Return what to time for one batch size, by name, and the bank that it uses."""
    torch.manual_seed(2)
    speech = torch.randn(n_rows, FRAMES, 80)
    merged, peft_model = build(shape), build(shape)
    adapters.load(merged, directories["a0"], "a0")
    adapters.merge(merged, "a0")
    bank = AdapterBank(build(shape), directories)
    for name, directory in directories.items():
        bank.load(name)
        adapters.load(peft_model, directory, name)
    twin = twin_with_peft(shape, directories, FRAMES)
    runs: dict[str, Run] = {
        "base": partial(plain, build(shape), speech),
        "merged": partial(plain, merged, speech),
    }
    for count in counts:
        names = [f"a{i % count}" for i in range(n_rows)]
        runs[f"ours {count}"] = partial(mixed, bank, speech, [{name: 1.0} for name in names])
        runs[f"peft {count}"] = partial(peft_on_ours, peft_model, speech, names)
        runs[f"peft on HF {count}"] = partial(peft_on_theirs, twin, speech, names)
    if n_rows <= 8:
        twin = twin_with_peft(shape, directories, WINDOW)
        padded = torch.nn.functional.pad(speech, (0, 0, 0, WINDOW - FRAMES))
        runs[f"peft on HF {count}, 30 s"] = partial(peft_on_theirs, twin, padded, names)
    soft = [{f"a{i % 4}": 0.6, f"a{(i + 1) % 4}": 0.4} for i in range(n_rows)]
    runs["ours soft 4"] = partial(mixed, bank, speech, soft)
    return runs, bank


def take_turns(runs: dict[str, Run], rounds: int) -> dict[str, dict[str, float]]:
    """Run all in alternation, once to warm up; returns the median of each part of each."""
    times: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            found = run()
            if turn:
                times[name].append(found | {"all": sum(found.values())})
    return {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for name, found in times.items()
    }


def swap_milliseconds(bank: AdapterBank, n_rows: int) -> dict[str, float]:
    """Median processor time from no mix to the next batch's, whose adapters are all in memory.

    For sets of adapters that no batch has used before, and for the same ones again.
    """
    names = bank.resident
    sets = {
        "one adapter": [[name] for name in names],
        "four adapters": list(itertools.combinations(names[-8:], 4))[:40],
    }
    found = {}
    for label, some in sets.items():
        for turn in ("", ", again"):
            times = []
            for one in some:
                rows = [{one[i % len(one)]: 1.0} for i in range(n_rows)]
                start = time.thread_time()
                with bank.mix(rows):
                    times.append(time.thread_time() - start)
            found[label + turn] = 1e3 * statistics.median(times)
    return found


def bench(shapes: list[str] | None = None, rounds: int = 5) -> list[dict[str, Any]]:
    """Return a row for every shape, batch size and variant; prints them as they come.

    Errors: `ValueError` for an unknown shape.
    """
    unknown = sorted(set(shapes or ()) - set(SHAPES))
    if unknown:
        raise ValueError(f"shape {unknown[0]!r}: expected some of {', '.join(SHAPES)}")
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    print(f"{'model':5} {'rows':>4} {'variant':18} {'encode s':>9} {'search s':>9} {'all s':>8}"
          f" {'/ merged':>9}")  # fmt: skip
    for shape in shapes or SHAPES:
        for n_rows, counts in BATCHES.items():
            with tempfile.TemporaryDirectory() as root:
                directories = write_adapters(shape, max(counts), Path(root))
                runs, bank = variants(shape, n_rows, counts, directories)
            medians = take_turns(runs, rounds)
            for name, found in medians.items():
                ratio = found["all"] / medians["merged"]["all"]
                row = {"model": shape, "rows": n_rows, "variant": name, **found}
                rows.append(row | {"to_merged": ratio})
                print(
                    f"{shape:5} {n_rows:4} {name:18} {found['encode']:9.3f}"
                    f" {found['search']:9.3f} {found['all']:8.3f} {ratio:9.2f}",
                    flush=True,
                )
            swaps = swap_milliseconds(bank, n_rows) if max(counts) > 8 else {}
            for name, value in swaps.items():
                rows.append({"model": shape, "rows": n_rows, "swap": name, "milliseconds": value})
                print(f"{shape:5} {n_rows:4} swap to {name}: {value:.3f} ms", flush=True)
    return rows
