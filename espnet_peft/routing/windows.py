"""Sliding windows over encoder states, and frames between their centres."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FRAME_SECONDS = 0.02  # of the encoder
AT_ONCE = 512  # windows in memory together


def window_logits(
    classify: Callable[[Tensor, Tensor], Tensor],
    states: Tensor,
    lengths: Tensor,
    window: int,
    hop: int,
) -> tuple[Tensor, list[int]]:
    """Logits (N, C) of windows along each row of states (B, T, D), and their number by row.

    `classify` takes states (N, window, D) and lengths (N,). Window k of a row is centred on
    frame k * hop; it is cut at the row's ends, so it has half its frames there.
    """
    rows, starts, sizes, counts = [], [], [], []
    for row, length in enumerate(lengths.tolist()):
        centres = torch.arange(0, max(length, 1), hop)
        start = (centres - window // 2).clamp(min=0)
        end = (centres + (window + 1) // 2).clamp(max=length)
        rows.append(torch.full_like(centres, row))
        starts.append(start)
        sizes.append(end - start)
        counts.append(len(centres))
    device = states.device
    row, start, size = (torch.cat(found).to(device) for found in (rows, starts, sizes))
    span = torch.arange(window, device=device)
    logits = []
    for part in torch.arange(len(row), device=device).split(AT_ONCE):
        frames = (start[part][:, None] + span).clamp(max=states.shape[1] - 1)
        logits.append(classify(states[row[part][:, None], frames], size[part]))
    return torch.cat(logits), counts


def spread(values: Tensor, counts: list[int], hop: int, size: int) -> Tensor:
    """Frames (B, size, C) by linear interpolation between windows (N, C) that are `hop` apart.

    `counts` are the windows of each row; after a row's last centre its value stays.
    """
    position = torch.arange(size, device=values.device) / hop
    rows = []
    for own in values.split(counts):
        left = position.floor().long().clamp(max=len(own) - 1)
        right = (left + 1).clamp(max=len(own) - 1)
        share = (position - left).clamp(max=1.0)[:, None].to(own.dtype)
        rows.append(own[left] * (1 - share) + own[right] * share)
    return torch.stack(rows)
