"""Identity of a base model's weights."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from espnet_peft.models.whisper import Whisper

# sinusoids, not weights: files may hold them in another precision or not at all
CONSTANT = frozenset({"encoder.positional_embedding"})


def base_state(model: Whisper) -> dict[str, Tensor]:
    """The base's own tensors under their own names, whatever adapters wrap them."""
    state = {}
    for name, tensor in model.state_dict().items():
        name = re.sub(r"(\.base_layer)+\.", ".", name)  # wraps may be nested
        if name in model.base_names:
            state[name] = tensor
    return state


def fingerprint(model: Whisper) -> str:
    """SHA-256 over names, shapes and float32 values of the base's weights, in hexadecimal."""
    digest = hashlib.sha256()
    for name, tensor in sorted(base_state(model).items()):
        if name in CONSTANT:
            continue
        digest.update(f"{name}{list(tensor.shape)}".encode())
        values = tensor.detach().to("cpu", torch.float32).contiguous()
        digest.update(memoryview(values.numpy()).cast("B"))
    return digest.hexdigest()
