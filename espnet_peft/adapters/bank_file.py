"""Read an adapter for a batch that it shares with others, and leave the model as it is."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from espnet_peft.adapters.active import copy_strictly
from espnet_peft.adapters.piece import Piece
from espnet_peft.adapters.registry import AdapterConfig, available, get_method
from espnet_peft.adapters.storage import WEIGHTS_FILE, file_keys, read_weights

Pieces = dict[str, list[Piece]]
"""An adapter's pieces by module."""


def why_not(config: AdapterConfig) -> str | None:
    """Return why an adapter of this configuration cannot share a batch with others, or None."""
    for part in config.parts:
        if part.method.sharing is None:
            able = [name for name in available() if get_method(name).sharing is not None]
            return (
                f"method {part.method.name!r} changes what all rows of a batch share, "
                f"expected {' or '.join(able)}"
            )
        reason = part.method.sharing.refusal(part.options)
        if reason is not None:
            return f"method {part.method.name!r}: {reason}"
    return None


def touched(model: nn.Module, config: AdapterConfig) -> list[str]:
    """Return the names of the modules that an adapter of this configuration changes."""
    keys = [key for part in config.parts for key in part.method.sharing.shapes(model, part.options)]
    return list(dict.fromkeys(module for module, _ in keys))


@torch.inference_mode(False)  # what is read in that mode could not be used outside it
@torch.no_grad()
def read_pieces(
    model: nn.Module, config: AdapterConfig, directory: str | os.PathLike[str]
) -> Pieces:
    """Return the pieces of the adapter in `directory`, on the model's device and in its dtype.

    Errors: `OSError` or `ValueError` for damaged files, NaN, missing or unexpected keys and
    wrong shapes.
    """
    named: dict[str, torch.Tensor] = {}
    planned = []
    for part in config.parts:
        shapes = part.method.sharing.shapes(model, part.options)
        tensors = {key: torch.empty(shape, dtype=torch.float32) for key, shape in shapes.items()}
        named |= file_keys(model, part, tensors)
        planned.append((part, tensors))
    copy_strictly(named, read_weights(directory), str(Path(directory) / WEIGHTS_FILE))
    weight = next(model.parameters())
    found: Pieces = {}
    for part, tensors in planned:
        for module, piece in part.method.sharing.pieces(part.options, tensors).items():
            found.setdefault(module, []).append(piece.to(weight.device, weight.dtype))
    return found
