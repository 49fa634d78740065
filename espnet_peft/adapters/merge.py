"""Put an adapter into the base's own weights, and take it out again."""

from __future__ import annotations

from torch import nn

from espnet_peft.adapters.active import (
    require,
    require_unmerged,
    set_adapter,
    set_trainable,
    state_of,
)


def merge(model: nn.Module, name: str) -> None:
    """Add adapter `name` to the base's weights, so that it costs nothing at decoding.

    The base's own tensors are kept for `unmerge`.
    Errors: `ValueError` where the method cannot be merged, or another adapter is merged.
    """
    require_unmerged(model, f"merge {name!r}")
    parts = require(model, name).config.parts
    rigid = [part.method.name for part in parts if part.method.fold is None]
    if rigid:
        raise ValueError(
            f"adapter {name!r}: method {', '.join(rigid)} is no change of the base's weights and "
            f"cannot be merged; decode with the adapter loaded"
        )
    set_adapter(model, name)
    state = state_of(model)
    try:
        for part in parts:
            state.undo.append(part.method.fold(model, part.options, name))
    except Exception:
        _undo(model)
        raise
    state.merged = name
    set_trainable(model, False)


def unmerge(model: nn.Module) -> None:
    """Take the merged adapter out again; the base's weights are the very same as before."""
    state = state_of(model)
    if state.merged is None:
        raise ValueError("no adapter is merged, so there is none to unmerge")
    _undo(model)
    state.merged = None
    set_trainable(model, True)


def _undo(model: nn.Module) -> None:
    state = state_of(model)
    while state.undo:
        state.undo.pop()()
