"""What stays when training is done: the best weights in a form to use, and its statistics."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import torch

from espnet_peft.kaldi.table import write_bytes


def export_results(model, stats: dict, options, out_dir: Path) -> None:
    """Write `adapter/` (or `base/` after pretraining) from the best weights, `train_stats.json`.

    The best weights are those of the best epoch, or with `keep_nbest_models` n > 1 the mean over
    the n best. model: `PEFTModel`, which holds them afterwards. stats: ESPnet's reporter
    statistics. Raises `ValueError` where no epoch has finished.
    """
    phase, name, mode = options.best_model_criterion[0]
    kind = "ave" if averaged(options) > 1 else "best"
    best = out_dir / f"{phase}.{name}.{kind}.pth"
    if not stats or not best.exists():
        raise ValueError(
            f"{best}: does not exist: no epoch gave {phase} {name}; check best_model_criterion"
        )
    device = next(model.parameters()).device
    model.load_state_dict(torch.load(best, map_location=device, weights_only=True))
    model.eval()
    summary = summarise(model, stats, options)
    if options.method in (None, "none"):
        from espnet_peft.models import save_base

        save_base(model.base, out_dir / "base")
    else:
        from espnet_peft import adapters

        language = options.languages[0] if len(options.languages) == 1 else None
        adapters.save(model.base, out_dir / "adapter", language=language, extra=summary)
    write_json(summary, out_dir / "train_stats.json")


def averaged(options) -> int:
    """How many epochs the final weights are the mean of."""
    keep = options.keep_nbest_models
    return keep if isinstance(keep, int) else max(keep, default=1)


def summarise(model, stats: dict, options) -> dict:
    """Counts, times and the best epoch of a finished training; error rates in percent."""
    phase, name, mode = options.best_model_criterion[0]
    scores = {epoch: values[phase][name] for epoch, values in stats.items()}
    pick = min if mode == "min" else max
    best_epoch = pick(scores, key=lambda epoch: scores[epoch])
    best = stats[best_epoch].get("valid", {})
    seconds = sum(
        values[part]["time"].total_seconds()
        for values in stats.values()
        for part in ("train", "valid")
        if part in values
    )
    return {
        "method": options.method or "none",
        "languages": list(options.languages),
        "trainable": sum(p.numel() for p in model.trainable().values()),
        "total": sum(p.numel() for p in model.parameters()),
        "train_seconds": round(seconds, 1),
        "epochs": len(stats),
        "steps": stats[max(stats)]["train"]["total_count"],
        "best_epoch": best_epoch,
        "averaged_epochs": min(averaged(options), len(stats)),
        "best_wer": best.get("wer"),
        "best_cer": best.get("cer"),
        "best_loss": best.get("loss"),
        "seed": options.seed,
        "git_hash": git_hash(),
    }


def git_hash() -> str:
    """Commit of this package's sources, or `unknown` outside a repository."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return result.stdout.strip()


def write_json(values: dict, path: Path) -> None:
    """Write `values` under a temporary name, then rename."""
    write_bytes(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
