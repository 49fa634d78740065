"""Trains a router on stored states: the work behind `bin/train_router`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from espnet_peft.kaldi.table import write_bytes
from espnet_peft.models import load_base
from espnet_peft.models.device import set_threads
from espnet_peft.routing.config import RouterConfig, read_router_config
from espnet_peft.routing.figures import plot_training
from espnet_peft.routing.router import Router
from espnet_peft.routing.states import check_layers, fingerprint_of, read_states
from espnet_peft.routing.train import describe, train_classifier
from espnet_peft.scoring.results import git_hash


def train_router(
    base_model: str,
    train_dirs: Sequence[str],
    valid_dirs: Sequence[str],
    out_dir: str | Path,
    languages: Sequence[str],
    config: str | None = None,
    seed: int = 1,
    num_threads: int = 1,
    command: str = "",
    started: float | None = None,
) -> tuple[Router, dict]:
    """Train on directories of `extract_states` and write router, log and curve to out_dir.

    config: a YAML file; command: what was called, for the record; started: time.perf_counter()
    of its start. Returns the router and the facts that its config.json holds. Raises ValueError
    or OSError on faults of the user.
    """
    started = time.perf_counter() if started is None else started
    set_threads(num_threads)
    settings = read_router_config(config) if config else RouterConfig()
    model = load_base(base_model)
    check_layers(model, settings.layers, config or "layers")
    fingerprint = fingerprint_of(model)
    out_dir = Path(out_dir)
    sets = [
        read_states(dirs, languages, settings.layers, fingerprint)
        for dirs in (train_dirs, valid_dirs)
    ]
    out_dir.mkdir(parents=True, exist_ok=True)
    trained = train_classifier(settings, *sets, len(languages), seed)
    router = Router(
        trained.classifier,
        settings,
        languages,
        trained.temperature,
        trained.window_temperature,
        trained.other_threshold,
    )
    plot_training(trained.curve, out_dir / "loss.png")
    log = [describe(values, k, settings.max_epochs) for k, values in enumerate(trained.curve, 1)]
    write_bytes(out_dir / "train.log", ("\n".join(log) + "\n").encode())
    facts = {
        "train_items": len(sets[0].utt_ids),
        "valid_items": len(sets[1].utt_ids),
        "best_epoch": trained.best_epoch,
        "valid_accuracy": trained.curve[trained.best_epoch - 1]["valid_acc"],
        "curve": trained.curve,
        "train_seconds": round(time.perf_counter() - started, 1),
        "seed": seed,
        "git_hash": git_hash(Path(__file__).resolve().parent),
        "command": command,
    }
    router.save(out_dir, fingerprint, facts)
    return router, facts
