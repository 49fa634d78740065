"""Checkpoints that a full disk or a kill cut off in writing, which ESPnet does in place."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
from pathlib import Path

import torch
from espnet2.train.reporter import Reporter

CHECKPOINT, PREVIOUS = "checkpoint.pth", "checkpoint.previous.pth"


def keep_previous(out_dir: Path) -> None:
    """Copy the finished checkpoint aside: ESPnet writes the next one over it in place."""
    current = out_dir / CHECKPOINT
    if current.exists() and is_readable(current):
        temporary = out_dir / (PREVIOUS + ".tmp")
        shutil.copyfile(current, temporary)
        os.replace(temporary, out_dir / PREVIOUS)


def is_readable(checkpoint: Path) -> bool:
    """Whether the file is a whole checkpoint."""
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=False, mmap=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return False
    return True


def drop_torn(out_dir: Path) -> None:
    """After a failure, remove what was cut off, so that the run goes on from whole files."""
    current, previous = out_dir / CHECKPOINT, out_dir / PREVIOUS
    (out_dir / (PREVIOUS + ".tmp")).unlink(missing_ok=True)
    for path in (current, *out_dir.glob("*epoch.pth")):
        if path.exists() and not is_readable(path):
            path.unlink()
    if previous.exists() and not current.exists():
        os.replace(previous, current)


def complete_epoch(out_dir: Path, criteria: list) -> None:
    """Write what a run that was cut off still owes for the epoch of its checkpoint.

    ESPnet writes the checkpoint first, then the epoch's weights and the links to the latest and
    the best. criteria: `best_model_criterion`.
    """
    whole = (out_dir / name for name in (CHECKPOINT, PREVIOUS) if is_readable(out_dir / name))
    checkpoint = next(whole, None)
    if checkpoint is None:
        return
    states = torch.load(checkpoint, map_location="cpu", weights_only=False)
    reporter = Reporter()
    reporter.load_state_dict(states["reporter"])
    epoch = reporter.get_epoch()
    weights = out_dir / f"{epoch}epoch.pth"
    if not is_readable(weights):
        logging.warning(f"{weights}: missing or cut off; writing it from {checkpoint}")
        torch.save(states["model"], weights)
    links = ["latest.pth"]
    for phase, name, mode in criteria:
        if reporter.has(phase, name) and reporter.get_best_epoch(phase, name, mode) == epoch:
            links.append(f"{phase}.{name}.best.pth")
    for link in links:
        (out_dir / link).unlink(missing_ok=True)
        (out_dir / link).symlink_to(weights.name)
