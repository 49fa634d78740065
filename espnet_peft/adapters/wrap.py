"""Find, wrap and walk the modules of a base model, adapted or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


class AdapterLayer(nn.Module):
    """A module of ours that stands in place of `base_layer` and keeps it untouched."""

    base_layer: nn.Module


class AdapterSlot(nn.Module):
    """A module of ours that hangs in an empty place of the base (a soft prompt, say)."""


def is_wrapper(module: nn.Module) -> bool:
    """Say whether `module` wraps a layer of the base, ours or peft's."""
    return isinstance(module, AdapterLayer | BaseTunerLayer)


def locate(model: nn.Module, name: str) -> str:
    """Return the path at which the base's module `name` (or what wraps it) now stands.

    Errors: `AttributeError` where the base has no such module.
    """
    path: list[str] = []
    module = model
    for part in name.split("."):
        while is_wrapper(module):
            module = module.base_layer
            path.append("base_layer")
        module = getattr(module, part)
        path.append(part)
    return ".".join(path)


def wrappers(model: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    """Return (path, module) from the outermost wrapper of `name` down to the base's own module."""
    path = locate(model, name)
    module = model.get_submodule(path)
    chain = [(path, module)]
    while is_wrapper(module):
        path, module = f"{path}.base_layer", module.base_layer
        chain.append((path, module))
    return chain


def replace(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put `new` at `path`."""
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)


def base_modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield (name, module) of the base alone, under the names that it had before any adapter."""

    def walk(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
        while is_wrapper(module):
            module = module.base_layer
        if isinstance(module, AdapterSlot):
            return
        yield name, module
        for key, child in module.named_children():
            yield from walk(child, f"{name}.{key}" if name else key)

    yield from walk(model, "")


def cached(model: nn.Module, key: tuple, make: Callable[[], Any]) -> Any:
    """Return `make()`, computed once for each `key` until adapters come or go.

    Switching adapters between batches has to find hundreds of layers each time.
    """
    cache = model.__dict__.setdefault("adapter_cache", {})
    if key not in cache:
        cache[key] = make()
    return cache[key]


def forget(model: nn.Module) -> None:
    """Drop what `cached` keeps, since the model's modules have changed."""
    model.__dict__.get("adapter_cache", {}).clear()


def base_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the base's own parameters by original name; a tied one appears once."""
    return dict(cached(model, ("base_parameters",), lambda: _base_parameters(model)))


def _base_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    found: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for name, module in base_modules(model):
        for key, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                found[f"{name}.{key}" if name else key] = parameter
    return found


def base_state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the base's parameters and buffers as they are now, under their original names.

    After `merge` this is the state of a plain model that has the adapter inside.
    """
    state: dict[str, torch.Tensor] = {}
    for name, module in base_modules(model):
        own = module.state_dict(keep_vars=False)
        for key in own:
            if "." not in key:
                state[f"{name}.{key}" if name else key] = own[key]
    return state


def like(module: nn.Module) -> dict[str, object]:
    """Return the device and dtype that a new part beside `module` must have."""
    parameter = next(module.parameters())
    return {"device": parameter.device, "dtype": parameter.dtype}


def slot_name(name: str) -> str:
    """Return the key that stands for adapter `name` in a `ModuleDict`.

    A key may not be an attribute of the container: Tongan, "to", is.
    """
    taken = hasattr(nn.ModuleDict, name) or hasattr(nn.ParameterDict, name) or name == "training"
    return f"{name}-adapter" if taken else name
