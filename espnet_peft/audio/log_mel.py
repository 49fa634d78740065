"""Whisper's log-mel features."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from espnet_peft.audio.resample import RATE

N_FFT = 400
HOP = 160
WINDOW_FRAMES = 3000  # Whisper's 30 s; it drops the frame that would be centred on the end


def log_mel(x: Tensor, n_mels: int = 80, lengths: Tensor | None = None) -> Tensor:
    """Log-mel features as Whisper computes them inside its zero-padded window of 30 s.

    Args:
        x: 16 kHz audio in [-1, 1], (n,) or (B, n).
        n_mels: mel bands, 80, or 128 in large-v3.
        lengths: samples (B,) of each row; what follows counts as silence.

    Returns:
        (T, n_mels) or (B, T, n_mels) in float32, T = n // 160; rows beyond their own
        `lengths // 160` hold what follows in the window. Each row is scaled by its own maximum.
    """
    if x.dim() == 1:
        return log_mel(x[None], n_mels)[0]
    x = x.float()
    if lengths is not None:
        after = torch.arange(x.shape[1], device=x.device) >= lengths.to(x.device)[:, None]
        x = x.masked_fill(after, 0.0)
    frames = x.shape[1] // HOP
    # Up to three more frames reach back into the audio. They are dropped, but Whisper's
    # maximum, from which the floor is taken, sees them.
    reaching = max(min(frames + 3, WINDOW_FRAMES), frames)
    power = _power(x, reaching)
    mel = mel_filters(n_mels, x.device) @ power
    log = mel.clamp(min=1e-10).log10()
    floor = log.amax(dim=(1, 2), keepdim=True) - 8.0
    log = torch.maximum(log[:, :, :frames], floor)
    return ((log + 4.0) / 4.0).transpose(1, 2)


def _power(x: Tensor, frames: int) -> Tensor:
    """Power spectra (B, 201, frames): the start is reflected, the end padded by zeros."""
    half = N_FFT // 2
    needed = max((frames - 1) * HOP + half, half + 1)
    x = F.pad(x, (0, max(0, needed - x.shape[1])))[:, :needed]
    x = torch.cat([x[:, 1 : half + 1].flip(1), x], dim=1)
    window = torch.hann_window(N_FFT, device=x.device)
    spectrum = torch.stft(x, N_FFT, HOP, window=window, center=False, return_complex=True)
    return torch.view_as_real(spectrum).square().sum(-1)


@lru_cache(maxsize=8)
def mel_filters(n_mels: int, device: torch.device | str = "cpu") -> Tensor:
    """Slaney's triangular filters (n_mels, 201), each of unit area, over 0 to 8 kHz.

    The mel scale is linear below 1 kHz and logarithmic above (M. Slaney, "Auditory Toolbox",
    1998), as in librosa, from which Whisper took its filters.
    """
    double = {"dtype": torch.float64}
    bins = torch.linspace(0, RATE / 2, N_FFT // 2 + 1, **double)
    top = _hz_to_mel(torch.tensor(RATE / 2, **double))
    edges = _mel_to_hz(torch.linspace(0, 1, n_mels + 2, **double) * top)
    widths = edges.diff()
    distance = edges[:, None] - bins[None, :]
    rising = -distance[:-2] / widths[:-1, None]
    falling = distance[2:] / widths[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    area = 2.0 / (edges[2:] - edges[:-2])
    return (triangles * area[:, None]).float().to(device)


_LINEAR = 200.0 / 3  # Hz per mel below 1 kHz
_KNEE = 1000.0 / _LINEAR  # mel at 1 kHz
_STEP = float(torch.tensor(6.4, dtype=torch.float64).log() / 27)  # log Hz per mel above


def _hz_to_mel(hz: Tensor) -> Tensor:
    return torch.where(hz < 1000, hz / _LINEAR, _KNEE + (hz.clamp(min=1) / 1000).log() / _STEP)


def _mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < _KNEE, mel * _LINEAR, 1000 * ((mel - _KNEE) * _STEP).exp())
