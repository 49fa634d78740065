"""Perturbations of log-mel features that make other speakers and recordings of the same speech.

With few training speakers this is what carries an adapter over to a new one. Scaling the frequency
axis imitates another vocal tract (Jaitly & Hinton 2013, "Vocal tract length perturbation"),
stretching the time axis another rate of speech (Ko et al. 2015, "Audio augmentation for speech
recognition"), a smooth curve over frequency another channel, a floor under the spectrum noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from espnet_peft.train.specaug import from_conf

WINDOW = 3000  # frames: 30 s, for which Whisper's encoder has positions
DECIBEL = 1 / 40  # in Whisper's features, which are a quarter of log10 of the power
WAVES = 3  # cosines in a channel's curve: it changes slowly from band to band


@dataclass(frozen=True)
class Perturb:
    """How far; every utterance draws its own values, evenly.

    freq, time: the axes are scaled by 1 - limit to 1 + limit, limits of 0 to 0.5.
    gain: limit of the change of level in dB. channel: largest height of the curve in dB.
    noise: it lies below the loudest cell by `noise` dB at the closest, by 80 dB (where Whisper's
        features end) at the farthest; 0 is no noise.
    """

    freq: float = 0.0
    time: float = 0.0
    gain: float = 0.0
    channel: float = 0.0
    noise: float = 0.0

    def __call__(
        self, feats: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Perturbed copy of `feats` (B, T, F) with `lengths` (B,) in frames, and its new lengths.

        The draws come from torch's CPU generator: the same seed gives the same values everywhere.
        """
        draws = 2 * torch.rand(3, len(feats)) - 1
        scale, rate = 1 + self.freq * draws[0], 1 + self.time * draws[1]
        feats, new_lengths = warp(feats, lengths.to("cpu"), scale, rate)
        feats = feats + (self.gain * DECIBEL * draws[2]).to(feats)[:, None, None]
        if self.channel:
            feats = feats + self._curves(feats).to(feats)[:, None]
        if self.noise:
            loudest = feats.amax(dim=(1, 2), keepdim=True)
            below = self.noise + (80 - self.noise) * torch.rand(len(feats), 1, 1)
            floor = loudest - (below * DECIBEL).to(feats)
            # Powers add up; features are a quarter of their log10.
            unit = 4 * math.log(10)
            feats = torch.logaddexp(feats * unit, (floor * unit).expand_as(feats)) / unit
        return feats, new_lengths.to(lengths.device)

    def _curves(self, feats: torch.Tensor) -> torch.Tensor:
        """A smooth curve over the mel bands for each utterance (B, F)."""
        place = torch.linspace(0, math.pi, feats.shape[2])
        waves = torch.cos(torch.arange(1, WAVES + 1)[:, None] * place)
        heights = 2 * torch.rand(len(feats), WAVES) - 1
        return self.channel * DECIBEL / WAVES * heights @ waves


def warp(
    feats: torch.Tensor, lengths: torch.Tensor, scale: torch.Tensor, rate: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale frequency by `scale` (B,) and time by `rate` (B,), by linear interpolation.

    Returns features (B, T', F) and their lengths (B,); both lengths are on the CPU.
    """
    _, frames, bins = feats.shape
    new = (lengths * rate).round().long().clamp(min=1, max=WINDOW)
    rows = torch.arange(int(new.max())) * (lengths / new)[:, None]
    columns = torch.arange(bins) / scale[:, None]
    across = (2 * columns / (bins - 1) - 1)[:, None].expand(-1, rows.shape[1], -1)
    along = (2 * rows / max(frames - 1, 1) - 1)[:, :, None].expand(-1, -1, bins)
    grid = torch.stack([across, along], dim=-1).to(feats.device, feats.dtype)
    warped = functional.grid_sample(
        feats[:, None], grid, padding_mode="border", align_corners=True
    )
    return warped[:, 0], new


def make_perturb(conf: dict[str, Any] | None) -> Perturb | None:
    """`Perturb` from `perturb_conf`; None for an empty one. Raises `ValueError` on other keys."""
    made = from_conf(Perturb, "perturb_conf", conf)
    if made is None:
        return None
    if not (0 <= made.freq <= 0.5 and 0 <= made.time <= 0.5 and min(made.gain, made.channel) >= 0):
        raise ValueError(f"perturb_conf: {conf}, expected freq, time 0 to 0.5, the others >= 0")
    if not 0 <= made.noise < 80:
        raise ValueError(f"perturb_conf: noise {made.noise}, expected 0 (none) to below 80 dB")
    return made
