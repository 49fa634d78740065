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

from espnet_peft.adapters.registry import Key, Method
from espnet_peft.adapters.targets import resolve
from espnet_peft.adapters.wrap import AdapterLayer, replace, slot_name, wrappers


def method_of_peft(name: str, options: type, config: Callable[..., Any]) -> Method:
    """Return the method whose peft configuration is `config(options, target_modules=...)`."""

    def check(model: nn.Module, options: Any) -> list[str]:
        targets = resolve(model, options.target, options.side, options.layers)
        config(options, target_modules=targets)
        return targets

    def add(model: nn.Module, options: Any, adapter: str, targets: list[str]) -> int:
        return add_peft(model, config(options), adapter, targets)

    return Method(
        name=name,
        options=options,
        check=check,
        add=add,
        tensors=lambda model, options, adapter: peft_tensors(model, options, adapter),
        parameters=lambda model, options, adapter: peft_parameters(model, options, adapter),
        activate=activate_peft,
        remove=remove_peft,
        fold=fold_peft,
        to_hf=lambda options, targets: hf_config(config(options, target_modules=targets)),
    )


def add_peft(model: nn.Module, config: Any, name: str, targets: list[str]) -> int:
    """Inject peft layers at `targets` and return at how many."""
    paths = [_peft_path(model, target) for target in targets]
    # A pattern, since peft shortens a long list to suffixes, which may match other modules.
    config.target_modules = "|".join(re.escape(path) for path in paths)
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    inject_adapter_in_model(config, model, slot_name(name))
    # peft keeps its configuration on the model, where the next injection would read it.
    del model.peft_config
    for parameter, flag in flags.items():
        parameter.requires_grad_(flag)
    return sum(1 for _, layer in peft_layers(model, name, targets))


def _peft_path(model: nn.Module, target: str) -> str:
    """Return the path of what is below our own wrappers: ours stay outermost."""
    return next(
        path for path, module in wrappers(model, target) if not isinstance(module, AdapterLayer)
    )


def peft_layers(
    model: nn.Module, name: str, targets: list[str]
) -> Iterator[tuple[str, BaseTunerLayer]]:
    """Yield (target, peft layer) wherever adapter `name` has weights."""
    slot = slot_name(name)
    for target in targets:
        for _, module in wrappers(model, target):
            if isinstance(module, BaseTunerLayer) and any(_own(module, slot)):
                yield target, module


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
        for target, layer in peft_layers(model, name, _targets(model, options))
        for key, parameter in _own(layer, slot)
    }


def peft_parameters(model: nn.Module, options: Any, name: str) -> list[nn.Parameter]:
    """Return the adapter's parameters."""
    slot = slot_name(name)
    layers = peft_layers(model, name, _targets(model, options))
    return [parameter for _, layer in layers for _, parameter in _own(layer, slot)]


def _targets(model: nn.Module, options: Any) -> list[str]:
    return resolve(model, options.target, options.side, options.layers)


def activate_peft(model: nn.Module, options: Any, name: str, on: bool) -> None:
    """Let the adapter's layers use it alone, or nothing."""
    slot = slot_name(name)
    for _, layer in peft_layers(model, name, _targets(model, options)):
        layer.set_adapter([slot] if on else [])


def remove_peft(model: nn.Module, options: Any, name: str) -> None:
    """Delete the adapter's weights; a layer that holds no other becomes the wrapped one again."""
    slot, targets = slot_name(name), _targets(model, options)
    for _, layer in list(peft_layers(model, name, targets)):
        layer.set_adapter([])
        layer.delete_adapter(slot)
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

    for _, layer in peft_layers(model, name, _targets(model, options)):
        base = layer.get_base_layer()
        kept.append((layer, base, {key: p.data for key, p in base.named_parameters(recurse=False)}))
        try:
            # safe_merge writes to a copy, so that the tensors kept above stay as they are.
            layer.merge(safe_merge=True, adapter_names=[slot])
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
