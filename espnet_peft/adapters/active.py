"""Which adapters a model has, which one works, and what trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from espnet_peft.adapters.registry import AdapterConfig, Key
from espnet_peft.adapters.wrap import base_parameters, forget


@dataclass
class Installed:
    """One adapter in a model."""

    config: AdapterConfig
    trainable: bool


@dataclass
class AdapterState:
    """What a model remembers about its adapters.

    merged: the name of the adapter inside the base's weights; undo: what takes it out again;
    mixed: whether a batch runs at the moment whose rows bring adapters of their own
    """

    installed: dict[str, Installed] = field(default_factory=dict)
    active: str | None = None
    merged: str | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    mixed: bool = False


def state_of(model: nn.Module) -> AdapterState:
    """Return the model's state, made at first use."""
    if not hasattr(model, "adapter_state"):
        model.adapter_state = AdapterState()
    return model.adapter_state


def names(model: nn.Module) -> list[str]:
    """Return the names of the loaded adapters."""
    return list(state_of(model).installed)


def active(model: nn.Module) -> str | None:
    """Return the name of the adapter that works, or None for the bare base."""
    return state_of(model).active


def require(model: nn.Module, name: str) -> Installed:
    """Return adapter `name`.

    Errors: `ValueError` that lists what there is.
    """
    installed = state_of(model).installed
    if name not in installed:
        there = ", ".join(installed) or "none"
        raise ValueError(f"adapter {name!r} is not loaded, expected one of: {there}")
    return installed[name]


def require_unmerged(model: nn.Module, verb: str) -> None:
    """Raise `ValueError` where an adapter is merged into the base, or a mixed batch runs."""
    state = state_of(model)
    if state.merged is not None:
        raise ValueError(f"cannot {verb}: adapter {state.merged!r} is merged; call unmerge first")
    if state.mixed:
        raise ValueError(f"cannot {verb}: a batch with mixed adapters runs; leave its mix first")


def begin_mix(model: nn.Module) -> None:
    """Note that a batch starts whose rows bring adapters of their own.

    Errors: `ValueError` where another such batch runs, or an adapter of the model itself works.
    """
    require_unmerged(model, "mix adapters")
    state = state_of(model)
    if state.active is not None:
        raise ValueError(
            f"cannot mix adapters: adapter {state.active!r} is at work; call set_adapter(None)"
        )
    state.mixed = True


def end_mix(model: nn.Module) -> None:
    """Note that the batch is over."""
    state_of(model).mixed = False


def set_adapter(model: nn.Module, name: str | None) -> None:
    """Let adapter `name` work, and no other; None gives the bare base, to the last bit."""
    require_unmerged(model, "switch adapters")
    state = state_of(model)
    if name is not None:
        require(model, name)
    if name == state.active:
        return
    if state.active is not None:
        set_trainable(model, False)
        for part in state.installed[state.active].config.parts:
            part.method.activate(model, part.options, state.active, False)
    state.active = name
    if name is not None:
        for part in state.installed[name].config.parts:
            part.method.activate(model, part.options, name, True)
        set_trainable(model, True)


def freeze(model: nn.Module) -> None:
    """Let no parameter train, of the base or of any adapter."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def set_trainable(model: nn.Module, on: bool) -> None:
    """Let the parameters of the active adapter train, if it is one that trains, or freeze them."""
    state = state_of(model)
    if state.active is None or not state.installed[state.active].trainable:
        return
    for part in state.installed[state.active].config.parts:
        for parameter in part.method.parameters(model, part.options, state.active):
            parameter.requires_grad_(on)


def delete(model: nn.Module, name: str) -> None:
    """Take adapter `name` out; after the last one the model is as it was before the first."""
    require_unmerged(model, "delete an adapter")
    state = state_of(model)
    installed = require(model, name)
    if state.active == name:
        set_adapter(model, None)
    for part in installed.config.parts:
        part.method.remove(model, part.options, name)
        forget(model)
    del state.installed[name]


def tensors(model: nn.Module, name: str) -> dict[Key, torch.Tensor]:
    """Return all tensors of adapter `name`, live."""
    found: dict[Key, torch.Tensor] = {}
    for part in require(model, name).config.parts:
        found |= part.method.tensors(model, part.options, name)
    return found


def trainable_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters that train, and nothing else, under their present names."""
    return {key: p.detach() for key, p in model.named_parameters() if p.requires_grad}


def load_trainable_state_dict(model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Copy what `trainable_state_dict` gave into the same model, adapted in the same way.

    Errors: `ValueError` for missing or unexpected names and for wrong shapes.
    """
    there = {key: p for key, p in model.named_parameters() if p.requires_grad}
    copy_strictly(there, state, "checkpoint")


def copy_strictly(
    there: dict[str, torch.Tensor], state: dict[str, torch.Tensor], place: str
) -> None:
    """Copy `state` into `there`; nothing is written unless names and shapes all agree.

    Errors: `ValueError` with all missing and unexpected names and wrong shapes.
    """
    faults = []
    if there.keys() - state.keys():
        faults.append(f"missing {_some(there.keys() - state.keys())}")
    if state.keys() - there.keys():
        faults.append(f"unexpected {_some(state.keys() - there.keys())}")
    for key in sorted(there.keys() & state.keys()):
        if there[key].shape != state[key].shape:
            found, wanted = tuple(state[key].shape), tuple(there[key].shape)
            faults.append(f"{key} has shape {found}, expected {wanted}")
    if faults:
        raise ValueError(f"{place}: {'; '.join(faults)}; was it made for another configuration?")
    with torch.no_grad():
        for key, tensor in state.items():
            there[key].copy_(tensor)


def _some(keys: set[str]) -> str:
    few = sorted(keys)[:3]
    more = f" and {len(keys) - len(few)} more" if len(keys) > len(few) else ""
    return ", ".join(few) + more


def count(model: nn.Module) -> tuple[int, int]:
    """Return (trainable, total) numbers of parameters: of the base and the active adapter."""
    base = base_parameters(model)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    own = 0
    name = state_of(model).active
    if name is not None:
        own = sum(t.numel() for (_, key), t in tensors(model, name).items() if key)
    return trainable, own + sum(p.numel() for p in base.values())
