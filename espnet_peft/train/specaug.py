"""SpecAugment's masks on log-mel features (Park et al. 2019, https://arxiv.org/abs/1904.08779)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch


@dataclass(frozen=True)
class SpecAugment:
    """How many masks, and how wide.

    Widths are drawn evenly from 0 to the limit. A time mask is never wider than `time_limit`
    (frames) nor than `time_ratio` of its utterance, so short utterances keep most of their speech.
    """

    freq_masks: int = 2
    freq_width: int = 15
    time_masks: int = 2
    time_limit: int = 40
    time_ratio: float = 0.1
    start_step: int = 0

    def __call__(self, feats: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Masked copy of `feats` (B, T, F); `lengths` (B,) in frames.

        Masked cells get the mean of their utterance. The draws come from torch's CPU generator
        whatever the device is: the same seed gives the same masks everywhere.
        """
        batch, frames, bins = feats.shape
        lengths = lengths.to("cpu")
        widest = torch.clamp((lengths * self.time_ratio).long(), max=self.time_limit)
        time_mask = _draw(self.time_masks, frames, lengths, widest)
        full = torch.full((batch,), bins)
        freq_mask = _draw(self.freq_masks, bins, full, torch.full((batch,), self.freq_width))
        valid = (torch.arange(frames)[None] < lengths[:, None]).to(feats.device)
        total = (feats * valid[:, :, None]).sum(dim=(1, 2))
        mean = total / (valid.sum(dim=1) * bins).clamp(min=1)
        mask = time_mask[:, :, None] | freq_mask[:, None, :]
        mask = mask.to(feats.device) & valid[:, :, None]
        return torch.where(mask, mean[:, None, None].to(feats.dtype), feats)


def make_specaug(conf: dict[str, Any] | None) -> SpecAugment | None:
    """`SpecAugment` from `specaug_conf`; None for an empty one. Unknown keys are errors."""
    return from_conf(SpecAugment, "specaug_conf", conf)


def from_conf(kind: type, option: str, conf: dict[str, Any] | None) -> Any:
    """A dataclass from the settings of an option; None for none, `ValueError` on unknown keys."""
    if not conf:
        return None
    known = [field.name for field in fields(kind)]
    unknown = sorted(set(conf) - set(known))
    if unknown:
        raise ValueError(f"{option}: unknown {', '.join(unknown)}; there are {' '.join(known)}")
    return kind(**conf)


def _draw(count: int, size: int, lengths: torch.Tensor, widest: torch.Tensor) -> torch.Tensor:
    """Union of `count` masks a row (B, size): inside `lengths`, at most `widest` wide (both B)."""
    rows = len(lengths)
    widest = torch.minimum(widest, lengths)
    width = (torch.rand(rows, count) * (widest[:, None] + 1)).long()
    start = (torch.rand(rows, count) * (lengths[:, None] - width + 1)).long()
    place = torch.arange(size)[None, None]
    inside = (place >= start[..., None]) & (place < (start + width)[..., None])
    return inside.any(dim=1)
