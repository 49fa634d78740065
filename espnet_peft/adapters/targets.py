"""Which modules of a base model to adapt: presets, sides, layers, or a regular expression."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch import nn

from espnet_peft.adapters.wrap import base_modules

PRESETS: dict[str, tuple[str, ...]] = {
    "qv": ("q", "v"),
    "qkv": ("q", "k", "v"),
    "qkvo": ("q", "k", "v", "o"),
    "attn": ("q", "k", "v", "o"),
    "ffn": ("ffn_in", "ffn_out"),
    "all": ("q", "k", "v", "o", "ffn_in", "ffn_out"),
}
SIDES = ("encoder", "decoder")
Layers = str | int | list[int] | None


def parse_layers(layers: Layers) -> set[int] | None:
    """Return the layer numbers meant by "0-5", "0,2,4-5", 3 or [0, 1]; None means all.

    Errors: `ValueError` for anything else.
    """
    if layers is None:
        return None
    if isinstance(layers, int):
        return {layers}
    if isinstance(layers, list):
        chosen = set(layers)
    else:
        chosen = set()
        for part in layers.split(","):
            match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
            if not match or (match[2] and int(match[2]) < int(match[1])):
                raise ValueError(f"layers is {layers!r}, expected like 0-5, or 0,2,4-5")
            chosen |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    if not chosen:
        raise ValueError(f"layers is {layers!r}, expected at least one layer")
    return chosen


def sides_of(side: str) -> tuple[str, ...]:
    """Return the sides meant by encoder, decoder or both.

    Errors: `ValueError` for another word.
    """
    if side == "both":
        return SIDES
    if side not in SIDES:
        raise ValueError(f"side is {side!r}, expected encoder, decoder or both")
    return (side,)


def select_layers(model: nn.Module, side: str = "both", layers: Layers = None) -> list:
    """Return the `LayerSpec`s of `model` on `side` with numbers in `layers`.

    Errors: `ValueError` naming the layers that there are, where one asked for is missing.
    """
    wanted = parse_layers(layers)
    specs = list(model.layers())
    chosen, faults = [], []
    for one in sides_of(side):
        there = {spec.index: spec for spec in specs if spec.side == one}
        if not there:
            faults.append(f"the model has no {one} layers")
            continue
        missing = sorted((wanted or set()) - set(there))
        if missing:
            faults.append(
                f"layers {layers!r}: the {one} has layers {min(there)}-{max(there)}, "
                f"not {_numbers(missing)}"
            )
        chosen += [there[i] for i in sorted(there) if wanted is None or i in wanted]
    if faults:
        raise ValueError("; ".join(faults) + "; choose layers that exist, or one side")
    return chosen


def select_roles(
    model: nn.Module, roles: Sequence[str], side: str = "both", layers: Layers = None
) -> list[str]:
    """Return the module names that have one of `roles` in the chosen layers.

    Errors: `ValueError` where a chosen layer has none of a role.
    """
    names, faults = [], []
    for spec in select_layers(model, side, layers):
        for role in roles:
            found = spec.modules.get(role, [])
            if not found:
                has = ", ".join(key for key, value in spec.modules.items() if value)
                faults.append(f"{spec.side} layer {spec.index} has no {role!r} (it has {has})")
            names += found
    if faults:
        raise ValueError("; ".join(faults))
    return list(dict.fromkeys(names))


def select_norms(model: nn.Module, side: str = "both", layers: Layers = None) -> list[str]:
    """Return the names of the normalisation modules of the chosen layers.

    Where all layers are meant, the side's final norm is one of them.
    """
    names = [name for spec in select_layers(model, side, layers) for name in spec.norms]
    if layers is None:
        names += [name for one, name in model.final_norms() if one in sides_of(side)]
    if not names:
        raise ValueError(f"side {side!r}, layers {layers!r}: the model has no norms there")
    return list(dict.fromkeys(names))


def resolve(
    model: nn.Module, target: str | list[str], side: str = "both", layers: Layers = None
) -> list[str]:
    """Return the names of the Linear modules meant by a preset or by regular expressions.

    A regular expression has to match a whole module name; of a list each has to match something.
    Errors: `ValueError` that lists what there is, where a target matches nothing or only in part.
    """
    if isinstance(target, str) and target in PRESETS:
        return select_roles(model, PRESETS[target], side, layers)
    if side != "both" or layers is not None:
        raise ValueError(
            f"target {target!r} is no preset ({', '.join(PRESETS)}), so it is a regular "
            f"expression, which says itself which side and layers it means; remove side and layers"
        )
    linear = [name for name, module in base_modules(model) if isinstance(module, nn.Linear)]
    names: list[str] = []
    for pattern in [target] if isinstance(target, str) else target:
        names += _match(pattern, linear)
    return list(dict.fromkeys(names))


def _match(pattern: str, names: Iterable[str]) -> list[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"target {pattern!r}: no regular expression: {error}") from error
    found = [name for name in names if compiled.fullmatch(name)]
    if not found:
        raise ValueError(
            f"target {pattern!r} matches nothing, expected a preset ({', '.join(PRESETS)}) or a "
            f"regular expression for whole module names; there are {summary(names)}"
        )
    return found


def summary(names: Iterable[str]) -> str:
    """Return module names with their layer numbers folded: `blocks.0-3.attn.query`."""
    numbers: dict[str, list[int]] = {}
    for name in names:
        match = re.search(r"\.(\d+)\.", name)
        key = f"{name[: match.start(1)]}*{name[match.end(1) :]}" if match else name
        numbers.setdefault(key, []).extend([int(match[1])] if match else [])
    return ", ".join(key.replace("*", _numbers(found)) for key, found in numbers.items())


def _numbers(found: Sequence[int]) -> str:
    if len(found) > 1 and found[-1] - found[0] == len(found) - 1:
        return f"{found[0]}-{found[-1]}"
    return ",".join(map(str, found))
