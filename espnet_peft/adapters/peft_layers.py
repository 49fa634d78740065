"""What all methods that come from Hugging Face peft share: inject, find, switch, merge."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from peft import inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from espnet_peft.adapters.piece import Sharing
from espnet_peft.adapters.registry import Key, Method
from espnet_peft.adapters.targets import resolve
from espnet_peft.adapters.wrap import (
    AdapterLayer,
    cached,
    forget,
    replace,
    slot_name,
    wrappers,
)

START = ":start"
"""What a slot's name ends in that takes out again what an adapter started with."""


def method_of_peft(
    name: str,
    options: type,
    config: Callable[..., Any],
    add: Callable[..., int] | None = None,
    export: Callable[..., tuple[Any, dict[Key, torch.Tensor]]] | None = None,
    sharing: Sharing | None = None,
) -> Method:
    """Return the method whose peft configuration is `config(options, target_modules=...)`."""

    def check(model: nn.Module, options: Any) -> list[str]:
        targets = resolve(model, options.target, options.side, options.layers)
        config(options, target_modules=targets)
        return targets

    def add_plain(model: nn.Module, options: Any, adapter: str, targets: list[str]) -> int:
        return add_peft(model, config(options), slot_name(adapter), targets)

    return Method(
        name=name,
        options=options,
        check=check,
        add=add or add_plain,
        export=export,
        sharing=sharing,
        tensors=peft_tensors,
        parameters=peft_parameters,
        activate=activate_peft,
        remove=remove_peft,
        fold=fold_peft,
        to_hf=lambda options, targets: hf_config(config(options, target_modules=targets)),
    )


def add_peft(model: nn.Module, config: Any, slot: str, targets: list[str]) -> int:
    """Inject peft's adapter `slot` at `targets` and return at how many."""
    paths = [_peft_path(model, target) for target in targets]
    # A pattern, since peft shortens a long list to suffixes, which may match other modules.
    config.target_modules = "|".join(re.escape(path) for path in paths)
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        inject_adapter_in_model(config, model, slot)
    finally:
        # peft keeps its configuration on the model, where the next injection would read it.
        model.__dict__.pop("peft_config", None)
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
        forget(model)
    return len(peft_layers(model, slot, targets))


def _peft_path(model: nn.Module, target: str) -> str:
    """Return the path of what is below our own wrappers: ours stay outermost."""
    return next(
        path for path, module in wrappers(model, target) if not isinstance(module, AdapterLayer)
    )


def peft_layers(
    model: nn.Module, slot: str, targets: list[str]
) -> list[tuple[str, BaseTunerLayer]]:
    """Return (target, peft layer) wherever peft's adapter `slot` has weights."""
    return cached(
        model,
        ("peft", slot, *targets),
        lambda: [
            (target, module)
            for target in targets
            for _, module in wrappers(model, target)
            if isinstance(module, BaseTunerLayer) and any(_own(module, slot))
        ],
    )


def _own(layer: BaseTunerLayer, slot: str) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield (name on disk, parameter) of one adapter in one layer, as peft names them."""
    for attribute in layer.adapter_layer_names:
        container = getattr(layer, attribute, None)
        if not isinstance(container, nn.ModuleDict | nn.ParameterDict) or slot not in container:
            continue
        part = container[slot]
        if isinstance(part, nn.Parameter):
            yield attribute, part
            continue
        for key, parameter in part.named_parameters():
            # peft's files keep DoRA's magnitude under the name of the dictionary itself.
            alone = attribute == "lora_magnitude_vector"
            yield attribute if alone else f"{attribute}.{key}", parameter


def peft_tensors(model: nn.Module, options: Any, name: str) -> dict[Key, torch.Tensor]:
    """Return the adapter's tensors by (target, peft's name)."""
    slot = slot_name(name)
    return {
        (target, key): parameter.data
        for target, layer in peft_layers(model, slot, _targets(model, options))
        for key, parameter in _own(layer, slot)
    }


def peft_parameters(model: nn.Module, options: Any, name: str) -> list[nn.Parameter]:
    """Return the adapter's parameters."""
    slot = slot_name(name)
    layers = peft_layers(model, slot, _targets(model, options))
    return [parameter for _, layer in layers for _, parameter in _own(layer, slot)]


def _targets(model: nn.Module, options: Any) -> list[str]:
    where = options.target, options.side, options.layers
    return cached(model, ("targets", repr(where)), lambda: resolve(model, *where))


def activate_peft(model: nn.Module, options: Any, name: str, on: bool) -> None:
    """Let the adapter's layers use it alone, or nothing."""
    slot = slot_name(name)
    for _, layer in peft_layers(model, slot, _targets(model, options)):
        # Without inference_mode peft makes the weights trainable, which is not its business here.
        layer.set_adapter(_slots(layer, slot) if on else [], inference_mode=True)


def _slots(layer: BaseTunerLayer, slot: str) -> list[str]:
    """Return the slots in `layer` that make up one adapter."""
    return [one for one in (slot, slot + START) if any(_own(layer, one))]


def remove_peft(model: nn.Module, options: Any, name: str) -> None:
    """Delete the adapter's weights; a layer that holds no other becomes the wrapped one again."""
    slot, targets = slot_name(name), _targets(model, options)
    for _, layer in peft_layers(model, slot, targets):
        layer.set_adapter([], inference_mode=True)
        for one in _slots(layer, slot):
            layer.delete_adapter(one)
    for target in targets:
        for path, module in reversed(wrappers(model, target)):
            if isinstance(module, BaseTunerLayer) and not _any_adapter(module):
                replace(model, path, module.base_layer)


def _any_adapter(layer: BaseTunerLayer) -> bool:
    return any(len(getattr(layer, attribute, ())) for attribute in layer.adapter_layer_names)


def fold_peft(model: nn.Module, options: Any, name: str) -> Callable[[], None]:
    """Add the update to the base's weights; the undo puts the very same tensors back."""
    slot, kept = slot_name(name), []

    def undo() -> None:
        for layer, base, tensors in kept:
            if layer.merged:
                layer.unmerge()
            for key, tensor in tensors.items():
                getattr(base, key).data = tensor

    for _, layer in peft_layers(model, slot, _targets(model, options)):
        base = layer.get_base_layer()
        kept.append((layer, base, {key: p.data for key, p in base.named_parameters(recurse=False)}))
        try:
            # safe_merge writes to a copy, so that the tensors kept above stay as they are.
            layer.merge(safe_merge=True, adapter_names=_slots(layer, slot))
        except Exception:
            undo()
            raise
    return undo


def hf_config(config: Any) -> dict[str, Any]:
    """Return peft's own configuration file for `config`, in JSON types."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conf = config.to_dict()
    conf["inference_mode"] = True
    return {key: sorted(v) if isinstance(v, set) else v for key, v in conf.items()}
