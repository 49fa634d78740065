"""Methods that change the base's own parameters: each adapter keeps values of its own for them.

The `Parameter` objects stay where they are; switching an adapter points their `.data` at its
tensors, and back at the base's own, which nobody else ever writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from espnet_peft.adapters.registry import Key, Method
from espnet_peft.adapters.wrap import base_parameters, cached


@dataclass
class ValueStore:
    """Tensors that are not in the model at the moment, by parameter name.

    base: the base's own values of all parameters that an adapter holds now
    own: {adapter: its values}; stale for the adapter that is in the model
    inside: the adapter whose values are in the model, for each such parameter
    """

    base: dict[str, torch.Tensor] = field(default_factory=dict)
    own: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)


def store_of(model: nn.Module) -> ValueStore:
    """Return the model's store, made at first use."""
    if not hasattr(model, "adapter_values"):
        model.adapter_values = ValueStore()
    return model.adapter_values


def add_values(model: nn.Module, name: str, parameters: list[str]) -> None:
    """Give adapter `name` values of its own for `parameters`, equal to the base's."""
    store, there = store_of(model), base_parameters(model)
    own = store.own.setdefault(name, {})
    for key in parameters:
        if key not in own:
            own[key] = store.base.get(key, there[key].data).clone()


def read_values(model: nn.Module, name: str, parameters: list[str]) -> dict[str, torch.Tensor]:
    """Return the live tensors of adapter `name` for `parameters`."""
    store, there = store_of(model), base_parameters(model)
    return {
        key: there[key].data if store.inside.get(key) == name else store.own[name][key]
        for key in parameters
    }


def swap_in(model: nn.Module, name: str, parameters: list[str]) -> None:
    """Put the values of adapter `name` into the model."""
    store, there = store_of(model), base_parameters(model)
    for key in parameters:
        if store.inside.get(key) == name:
            continue
        if key in store.inside:
            raise RuntimeError(f"{key}: adapter {store.inside[key]!r} is still inside")
        parameter = there[key]
        store.base[key] = parameter.data
        parameter.data = store.own[name][key].to(parameter.device, parameter.dtype)
        store.inside[key] = name


def swap_out(model: nn.Module, name: str, parameters: list[str]) -> None:
    """Put the base's own values back where adapter `name` is inside."""
    store, there = store_of(model), base_parameters(model)
    for key in parameters:
        if store.inside.get(key) == name:
            parameter = there[key]
            store.own[name][key] = parameter.data
            parameter.data = store.base.pop(key).to(parameter.device, parameter.dtype)
            del store.inside[key]


def drop_values(model: nn.Module, name: str, parameters: list[str]) -> None:
    """Forget the values of adapter `name`."""
    swap_out(model, name, parameters)
    store = store_of(model)
    for key in parameters:
        store.own.get(name, {}).pop(key, None)
    if not store.own.get(name):
        store.own.pop(name, None)


def value_parameters(model: nn.Module, parameters: list[str]) -> list[nn.Parameter]:
    """Return the `Parameter` objects of these names."""
    there = base_parameters(model)
    return [there[key] for key in parameters]


def values_method(
    name: str, options: type, choose: Callable[[nn.Module, Any], list[str]]
) -> Method:
    """Return the method that trains the parameters which `choose(model, options)` names."""

    def select(model: nn.Module, options: Any) -> list[str]:
        return cached(model, (name, repr(options)), lambda: choose(model, options))

    def add(model: nn.Module, options: Any, adapter: str, targets: list[str]) -> int:
        add_values(model, adapter, targets)
        return len(targets)

    def tensors(model: nn.Module, options: Any, adapter: str) -> dict[Key, torch.Tensor]:
        own = read_values(model, adapter, select(model, options))
        return {(key, ""): value for key, value in own.items()}

    def activate(model: nn.Module, options: Any, adapter: str, on: bool) -> None:
        (swap_in if on else swap_out)(model, adapter, select(model, options))

    def fold(model: nn.Module, options: Any, adapter: str) -> Callable[[], None]:
        # An active adapter's values already are the base's weights.
        return lambda: None

    return Method(
        name=name,
        options=options,
        check=select,
        add=add,
        tensors=tensors,
        parameters=lambda model, options, adapter: value_parameters(model, select(model, options)),
        activate=activate,
        remove=lambda model, options, adapter: drop_values(model, adapter, select(model, options)),
        fold=fold,
    )
