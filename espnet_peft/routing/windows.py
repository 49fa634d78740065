"""Sliding windows over utterances, and frames between their centres."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from espnet_peft.audio.log_mel import HOP, log_mel

AT_ONCE = 512  # windows in memory together


def window_logits(
    classify: Callable[[Tensor, Tensor], Tensor],
    states: Tensor,
    row: Tensor,
    start: Tensor,
    size: Tensor,
) -> Tensor:
    """Logits (N, C) of windows (N,): frames `start` to `start + size` of rows of states (B, T, D).

    `classify` takes the windows' states (N, longest, D) and sizes (N,), as if they were all.
    """
    span = torch.arange(max(1, int(size.max())), device=states.device)
    logits = []
    for part in torch.arange(len(row), device=states.device).split(AT_ONCE):
        frames = (start[part][:, None] + span).clamp(max=states.shape[1] - 1)
        logits.append(classify(states[row[part][:, None], frames], size[part]))
    return torch.cat(logits)


def lone_window_logits(
    hear: Callable[[Tensor, Tensor], Tensor],
    speech: Tensor,
    lengths: Tensor,
    window: int,
    hop: int,
    n_mels: int,
) -> tuple[Tensor, list[int]]:
    """Logits (N, C) of windows of speech that go through the encoder each alone; number by row.

    Attention spreads the languages of an utterance over all its frames, so that states of a
    whole utterance do not tell where a language ends. speech, lengths: as of `model.encode`.
    `hear` takes features (N, 2 * window, n_mels) and lengths (N,) in frames of 10 ms.
    """
    raw = speech.dim() == 2
    unit = 2 * HOP if raw else 2  # samples or feature frames of an encoder frame
    mels = lengths // HOP if raw else lengths
    row, start, size, counts = (x.to(speech.device) for x in places((mels + 1) // 2, window, hop))
    lengths = lengths.to(speech.device)
    span = torch.arange(window * unit, device=speech.device)
    logits = []
    for part in torch.arange(len(row), device=speech.device).split(AT_ONCE):
        first = start[part] * unit
        sizes = (size[part] * unit).minimum(lengths[row[part]] - first)
        index = (first[:, None] + span).clamp(max=speech.shape[1] - 1)
        cut = speech[row[part][:, None], index]
        if raw:
            cut, sizes = log_mel(cut, n_mels, sizes), sizes // HOP
        logits.append(hear(cut, sizes))
    return torch.cat(logits), counts.tolist()


def places(lengths: Tensor, window: int, hop: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row, first frame and size of each window (N,), and how many each row has (B,); on the CPU.

    Window k of a row is centred on frame k * hop; it is cut at the row's ends, so it has half
    its frames there.
    """
    rows, starts, sizes = [], [], []
    for row, length in enumerate(lengths.tolist()):
        centres = torch.arange(0, max(length, 1), hop)
        start = (centres - window // 2).clamp(min=0)
        rows.append(torch.full_like(centres, row))
        starts.append(start)
        sizes.append((centres + (window + 1) // 2).clamp(max=length) - start)
    counts = torch.tensor([len(own) for own in rows])
    return torch.cat(rows), torch.cat(starts), torch.cat(sizes), counts


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
