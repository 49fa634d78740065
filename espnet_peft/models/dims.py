"""Sizes of a Whisper."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Dims:
    """Sizes of a Whisper; the fields are those of OpenAI's `ModelDimensions`."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    def asdict(self) -> dict[str, int]:
        """Fields as a dict, for configs."""
        return asdict(self)
