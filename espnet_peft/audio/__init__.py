"""Reading, resampling and log-mel features of audio."""

from espnet_peft.audio.log_mel import log_mel
from espnet_peft.audio.read_audio import read_audio
from espnet_peft.audio.resample import resample

__all__ = ["log_mel", "read_audio", "resample"]
