"""Where a model runs: the device, and threads of the CPU."""

from __future__ import annotations

import torch


def check_device(device: str) -> None:
    """Raise ValueError where torch has no such device."""
    try:
        wanted = torch.device(device)
    except RuntimeError:
        raise ValueError(f"--device {device}: expected cpu, cuda or cuda:<number>") from None
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise ValueError(f"--device {device}: found {found} usable GPUs; use --device cpu")


def set_threads(count: int) -> None:
    """Let torch use so many threads on the CPU; ValueError below 1."""
    if count < 1:
        raise ValueError(f"--num_threads: found {count}, expected at least 1")
    torch.set_num_threads(count)
