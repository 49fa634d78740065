"""Put a new adapter into a model, and freeze the rest."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from torch import nn

from espnet_peft.adapters.active import (
    Installed,
    count,
    delete,
    freeze,
    require_unmerged,
    set_adapter,
    state_of,
)
from espnet_peft.adapters.registry import AdapterConfig
from espnet_peft.adapters.wrap import forget


@dataclass(frozen=True)
class Report:
    """What `inject` did, in numbers."""

    name: str
    method: str
    injected: int
    targets: int
    trainable: int
    total: int

    def __str__(self) -> str:
        percent = 100 * self.trainable / self.total
        digits = f"{percent:.1f}" if percent >= 1 else f"{percent:.2g}"
        return (
            f"injected {self.injected} of {self.targets} targets; {short(self.trainable)} of "
            f"{short(self.total)} parameters trainable ({digits} %)"
        )


def short(number: int) -> str:
    """Return a number as people say it: 39 M, 1.2 M, 256."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            value = number / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return str(number)


def inject(
    model: nn.Module, config: AdapterConfig, name: str = "default", trainable: bool = True
) -> Report:
    """Add adapter `name`, let it work, and freeze all but it.

    Everything is checked before anything changes; with `trainable` false it is frozen, too.
    Errors: `ValueError` for a name in use, targets that are not there, a merged model.
    """
    check_name(model, name)
    require_unmerged(model, "inject an adapter")
    planned = [part.method.check(model, part.options) for part in config.parts]
    state = state_of(model)
    before = state.active
    if model.base_fingerprint is None:
        model.base_fingerprint = model.fingerprint()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    set_adapter(model, None)
    freeze(model)
    state.installed[name] = Installed(config, trainable)
    try:
        injected = 0
        for part, part_targets in zip(config.parts, planned, strict=True):
            injected += part.method.add(model, part.options, name, part_targets)
            forget(model)
        freeze(model)
        targets = sum(map(len, planned))
        if injected != targets:
            raise ValueError(f"method {config.method!r}: injected {injected} of {targets} targets")
        set_adapter(model, name)
    except Exception:
        forget(model)
        delete(model, name)
        set_adapter(model, before)
        for parameter in trained:
            parameter.requires_grad_(True)
        raise
    report = Report(name, config.method, injected, targets, *count(model))
    if trainable:
        logging.getLogger(__name__).info("%s", report)
    return report


def check_name(model: nn.Module, name: str) -> None:
    """Raise `ValueError` for a name that is in use or that cannot be a part of a key."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"adapter name {name!r}: expected letters, digits, '_' and '-'")
    if name in state_of(model).installed:
        raise ValueError(f"adapter {name!r} is already loaded; delete it or choose another name")
