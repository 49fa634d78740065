"""Evaluation of a router on a data directory: a real pass over features or audio."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from espnet_peft.audio.batches import pad
from espnet_peft.kaldi import write_table
from espnet_peft.kaldi.table import write_bytes
from espnet_peft.models import Whisper
from espnet_peft.routing.crops import crop, crop_places
from espnet_peft.routing.figures import plot_confusion, plot_length
from espnet_peft.routing.metrics import by_length, langprob_text, result_text, summarise
from espnet_peft.routing.router import Router
from espnet_peft.routing.speech import Item, SpeechSet, batches, open_set, read_languages
from espnet_peft.routing.token_router import TokenRouter

EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 30.01)  # seconds
BATCH_SECONDS = 80.0


def evaluate_router(
    router: Router | TokenRouter,
    model: Whisper,
    data_dir: str | Path,
    out_dir: str | Path,
    unknown_languages: Sequence[str] = (),
    crop_seconds: Sequence[float] = (0.5, 1.0, 2.0),
    pairs: Sequence[str] = (),
    seed: int = 0,
) -> dict:
    """Route whole utterances, and a crop of each at every length; write what came of it.

    `out_dir` gets utt2langprob, accuracy.json, result.txt, confusion.png and length.png.
    unknown_languages: those in utt2lang that should be answered by "other"; pairs: "a-b" that
    the report always names. Returns what accuracy.json holds.

    Raises:
        ValueError, FileNotFoundError: faults of the data, or a language that the router lacks.
    """
    data = open_set(data_dir, model.dims.n_mels)
    languages = read_languages(data_dir, data.utt_ids)
    _check_languages(data_dir, languages, router.languages, unknown_languages)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    found = _route(router, model, data.read(), data.rate)
    spent = found.pop("spent")
    truth = [languages[utt_id] for utt_id in found["utt_ids"]]
    known = list(router.languages)
    threshold = router.other_threshold
    values = {
        "set": out_dir.resolve().name,
        "router": "token" if isinstance(router, TokenRouter) else router.config.head,
        "languages": known,
        "layer": router.layer,
        "ms_per_utterance": 1000 * spent / len(truth),
        **summarise(found["logits"], found["probabilities"], truth, known, threshold),
        "lengths": by_length(*_known_hits(found, truth, known), EDGES),
        "crops": [],
    }
    for seconds in crop_seconds:
        part = _route(router, model, _crops(data, seconds, seed), data.rate)
        if not part["utt_ids"]:
            continue
        part_truth = [languages[utt_id] for utt_id in part["utt_ids"]]
        scores = summarise(part["logits"], part["probabilities"], part_truth, known, threshold)
        keys = ("utterances", "accuracy", "ece", "ece_uncalibrated", "other_known", "pairs")
        values["crops"].append({"seconds": seconds, **{key: scores[key] for key in keys}})
    values["evaluate_seconds"] = round(time.perf_counter() - begun, 2)
    write_langprob(out_dir / "utt2langprob", found["utt_ids"], found["probabilities"], known)
    plot_confusion(values["confusion"], out_dir / "confusion.png")
    plot_length(values["lengths"], values["crops"], out_dir / "length.png")
    write_bytes(out_dir / "result.txt", result_text(values, pairs).encode())
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_bytes(out_dir / "accuracy.json", text.encode())
    return values


def write_langprob(
    path: str | Path, utt_ids: Sequence[str], probabilities: Tensor, languages: Sequence[str]
) -> None:
    """Write `<utt_id> <language> <probability> ...`, the languages in byte order."""
    rows = [langprob_text(dict(zip(languages, row, strict=True))) for row in probabilities.tolist()]
    write_table(path, dict(zip(utt_ids, rows, strict=True)))


def _route(router: Router | TokenRouter, model: Whisper, items: Iterable[Item], rate: int) -> dict:
    """Ids, logits and probabilities (N, C), seconds (N,), and the time spent on routing."""
    utt_ids, logits, probabilities, seconds, spent = [], [], [], [], 0.0
    for batch in batches(items, rate, BATCH_SECONDS):
        speech, lengths = pad([speech for _, speech in batch])
        begun = time.perf_counter()
        routed = router(model, speech, lengths)
        utt_ids += [utt_id for utt_id, _ in batch]
        logits.append(routed.logits.float().cpu())
        probabilities.append(routed.probabilities.float().cpu())
        spent += time.perf_counter() - begun
        seconds += [length / rate for length in lengths.tolist()]
    return {
        "utt_ids": utt_ids,
        "logits": torch.cat(logits) if logits else None,
        "probabilities": torch.cat(probabilities) if probabilities else None,
        "seconds": seconds,
        "spent": spent,
    }


def _crops(data: SpeechSet, seconds: float, seed: int) -> Iterator[Item]:
    for utt_id, speech in data.read():
        whole = len(speech) / data.rate
        for start, duration in crop_places(utt_id, whole, seconds, seconds, 1, seed):
            yield utt_id, crop(speech, data.rate, start, duration)


def _known_hits(
    found: dict, truth: Sequence[str], known: Sequence[str]
) -> tuple[list[float], list[bool]]:
    """Duration of each item of a known language, and whether its most probable one is right."""
    choice = [known[k] for k in found["probabilities"].argmax(1).tolist()]
    own = [
        (seconds, wanted == got)
        for seconds, wanted, got in zip(found["seconds"], truth, choice, strict=True)
        if wanted in known
    ]
    return [seconds for seconds, _ in own], [hit for _, hit in own]


def _check_languages(
    data_dir: str | Path,
    languages: dict[str, str],
    known: Sequence[str],
    unknown: Sequence[str],
) -> None:
    both = sorted(set(known) & set(unknown))
    if both:
        raise ValueError(f"--unknown_languages: the router knows {both[0]}; leave it out")
    strangers = sorted(set(languages.values()) - set(known) - set(unknown))
    if strangers:
        raise ValueError(
            f"{Path(data_dir) / 'utt2lang'}: {' '.join(strangers)}, but the router knows"
            f" {' '.join(known)}; name those that it should reject by --unknown_languages"
        )
