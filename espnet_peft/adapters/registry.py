"""Methods by name, and configurations made from plain dictionaries.

A method is one file in `methods/` that ends in `register(Method(...))`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from espnet_peft.adapters.piece import Sharing

Key = tuple[str, str]
"""(name of the base's module or parameter, the adapter's own name below it; "" if it is a value)"""


@dataclass(frozen=True)
class Method:
    """What a method has to offer; every function takes the model and the method's own options.

    check(model, options) -> targets; raises ValueError, changes nothing
    add(model, options, name, targets) -> number of targets that were adapted
    tensors(model, options, name) -> the adapter's own tensors, live, by `Key`
    parameters(model, options, name) -> the parameters to train, while it is active
    activate(model, options, name, on)
    remove(model, options, name)
    fold(model, options, name) -> undo(): put the active adapter into the base; None if impossible
    hf_names: whether the keys on disk carry the names of the Hugging Face twin
    to_hf(options, targets under HF names) -> peft's own configuration, where peft can load the file
    export(model, options, name) -> (options, tensors) to save, where they differ from the live ones
    sharing: how its adapters share a batch with other adapters; None if they cannot
    """

    name: str
    options: type
    check: Callable[..., list[str]]
    add: Callable[..., int]
    tensors: Callable[..., dict[Key, torch.Tensor]]
    parameters: Callable[..., list[nn.Parameter]]
    activate: Callable[..., None]
    remove: Callable[..., None]
    fold: Callable[..., Callable[[], None]] | None = None
    hf_names: bool = True
    to_hf: Callable[..., dict[str, Any]] | None = None
    export: Callable[..., tuple[Any, dict[Key, torch.Tensor]]] | None = None
    sharing: Sharing | None = None

    def __reduce__(self) -> tuple[Callable[[str], Method], tuple[str]]:
        # Functions made inside functions cannot be pickled; the name is enough.
        return get_method, (self.name,)


@dataclass(frozen=True)
class Part:
    """One method with its options."""

    method: Method
    options: Any


@dataclass(frozen=True)
class AdapterConfig:
    """What to inject: one method, or a set of them that trains together."""

    parts: tuple[Part, ...]

    @property
    def method(self) -> str:
        return "+".join(part.method.name for part in self.parts)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return {method: its options} in plain JSON types."""
        return {part.method.name: dataclasses.asdict(part.options) for part in self.parts}


_METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Make `method` known by its name."""
    if method.name in _METHODS:
        raise ValueError(f"adapters: method {method.name!r} is registered twice")
    _METHODS[method.name] = method
    return method


def get_method(name: str) -> Method:
    """Return the method of this name, which has to be there."""
    return _METHODS[name]


def available() -> list[str]:
    """Return the names of all methods."""
    return sorted(_METHODS)


def make_config(method: str, conf: dict[str, Any] | None = None) -> AdapterConfig:
    """Build the configuration of `method`, or of a set such as "lora+norm".

    conf: the method's options; for a set {method: its options}.
    Errors: `ValueError` for an unknown method or option, a wrong type or value.
    """
    names = method.split("+")
    unknown = [name for name in names if name not in _METHODS]
    if unknown:
        raise ValueError(
            f"method {method!r}: unknown {', '.join(map(repr, unknown))}, expected one of "
            f"{', '.join(available())}, or several joined by '+'"
        )
    if len(set(names)) != len(names):
        raise ValueError(f"method {method!r}: a method appears twice; name each once")
    if len(names) > 1 and "full" in names:
        raise ValueError(f"method {method!r}: 'full' already trains everything; use it alone")
    conf = {} if conf is None else conf
    if not isinstance(conf, dict):
        raise ValueError(f"method_conf of {method!r}: found {conf!r}, expected options by name")
    if len(names) == 1:
        nested = set(conf) == {method} and isinstance(conf[method], dict)
        confs = conf if nested else {method: conf}
    else:
        confs = conf
        strangers = sorted(set(conf) - set(names))
        if strangers:
            raise ValueError(
                f"method_conf of {method!r}: unexpected {', '.join(strangers)}, expected one "
                f"block of options each for {', '.join(names)}"
            )
    return AdapterConfig(tuple(_part(_METHODS[name], confs.get(name) or {}) for name in names))


def _part(method: Method, conf: dict[str, Any]) -> Part:
    fields = {f.name: f for f in dataclasses.fields(method.options)}
    hints = typing.get_type_hints(method.options)
    faults = [
        f"unknown option {key!r}, expected one of {', '.join(fields)}"
        for key in conf
        if key not in fields
    ]
    faults += [
        f"{key} is {value!r}, expected {_type_name(hints[key])}"
        for key, value in conf.items()
        if key in fields and not _fits(value, hints[key])
    ]
    if faults:
        raise ValueError(f"method_conf of {method.name!r}: {'; '.join(faults)}")
    try:
        return Part(method, method.options(**conf))
    except ValueError as error:
        raise ValueError(f"method_conf of {method.name!r}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is list:
        return isinstance(value, list) and all(_fits(v, typing.get_args(hint)[0]) for v in value)
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float)
    return isinstance(value, hint)


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("NoneType", "None")


def one_of(label: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raise `ValueError` where `value` is none of `allowed`."""
    if value not in allowed:
        expected = ", ".join(map(str, allowed))
        raise ValueError(f"{label} is {value!r}, expected one of {expected}")


def within(label: str, value: float, low: float, high: float) -> None:
    """Raise `ValueError` where `value` lies outside low..high, both included."""
    if not low <= value <= high:
        raise ValueError(f"{label} is {value}, expected {low} to {high}")
