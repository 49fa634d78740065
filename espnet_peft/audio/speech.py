"""One utterance as models take it, features or samples: read and checked."""

from __future__ import annotations

import struct

import numpy as np
from torch import Tensor

from espnet_peft.audio.log_mel import HOP
from espnet_peft.audio.read_audio import read_audio
from espnet_peft.audio.resample import RATE, resample
from espnet_peft.audio.utterances import MAX_SECONDS

FRAME_RATE = RATE // HOP  # feature frames in a second
# What kaldiio raises on damaged archives, besides OSError.
UNREADABLE = (OSError, ValueError, EOFError, AssertionError, struct.error)


def rate_of(raw: bool) -> int:
    """Samples, or frames of features, in a second."""
    return RATE if raw else FRAME_RATE


def rate_of_batch(speech: Tensor) -> int:
    """Samples of audio (B, n), or frames of features (B, T, n_mels), in a second."""
    return rate_of(raw=speech.dim() == 2)


def read_speech(spec: str, raw: bool, n_mels: int, place: str) -> np.ndarray:
    """Read one utterance: features (T, n_mels) or samples (n,) at 16 kHz, float32.

    spec: of feats.scp or wav.scp. Raises ValueError that begins with `place` where it cannot be
    read, has the wrong shape, holds NaN or infinity, or is empty or over 30 s.
    """
    try:
        speech = read_samples(spec) if raw else read_features(spec)
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        reason = reason or "nothing can be read at that place of the archive"
        raise ValueError(f"{place}: cannot read {spec}: {reason}; run stage 2 again") from None
    if not raw and (speech.ndim != 2 or speech.shape[1] != n_mels):
        raise ValueError(
            f"{place}: {spec}: found features of shape {speech.shape}, expected (T, {n_mels});"
            " extract them for this base model"
        )
    if len(speech) == 0:
        raise ValueError(f"{place}: {spec}: found no samples or frames; remove the utterance")
    if len(speech) > MAX_SECONDS * rate_of(raw):
        raise ValueError(f"{place}: {spec}: over {MAX_SECONDS:.0f} s; cut it by segments")
    if not np.isfinite(speech).all():
        raise ValueError(f"{place}: {spec}: found NaN or infinity; check the audio, run stage 2")
    return speech


def read_features(spec: str) -> np.ndarray:
    """Read a Kaldi matrix."""
    import kaldiio

    return np.asarray(kaldiio.load_mat(spec), dtype=np.float32)


def read_samples(spec: str) -> np.ndarray:
    """Read audio at 16 kHz."""
    samples, rate = read_audio(spec)
    return resample(samples, rate)
