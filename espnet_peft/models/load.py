"""One entrance for every kind of base model."""

from __future__ import annotations

from pathlib import Path

import torch

from espnet_peft.models.base_dir import load_base_dir, read_config
from espnet_peft.models.whisper import Whisper


def load_base(
    spec: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Whisper:
    """Build a base model strictly from a checkpoint; returned in eval mode.

    Args:
        spec: our base directory, a transformers Whisper directory, an OpenAI `.pt` file, or
            an official Whisper name such as "small" (found by the whisper package).
        device: where to put it.
        dtype: of its weights; the fingerprint is taken before the cast.

    Raises:
        ValueError, FileNotFoundError: nothing is there, or it is not a Whisper.
    """
    path = Path(spec)
    if path.is_dir():
        config = read_config(path)
        if "dims" in config:
            model = load_base_dir(path, config)
        else:
            from espnet_peft.models.hf_dir import load_hf_dir

            model = load_hf_dir(path, config)
    else:
        from espnet_peft.models.openai_file import find_official, load_openai_file

        model = load_openai_file(path if path.is_file() else find_official(str(spec)))
    return model.to(device=device, dtype=dtype).eval()
