"""Adapters on disk: a directory of adapter_config.json, adapter_model.safetensors and README.md.

The layout is Hugging Face peft's: `base_model.model.` before every key and the names of the
base's Hugging Face twin, so that peft loads a file of the LoRA family onto that twin. What peft
does not know stands in the block "espnet_peft" of the configuration's "auto_mapping": that one is
a free dictionary, while a key of our own beside it makes peft warn that peft is too old.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from espnet_peft.adapters import card
from espnet_peft.adapters.active import (
    copy_strictly,
    delete,
    require,
    set_adapter,
    state_of,
)
from espnet_peft.adapters.inject import check_name, inject, short
from espnet_peft.adapters.registry import AdapterConfig, Key, Part, make_config

PREFIX = "base_model.model."
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = (
    "adapter_config.json",
    "adapter_model.safetensors",
    "README.md",
)
FORMAT = 1


def fingerprint_of(model: nn.Module) -> str:
    """Return the fingerprint of the model's base, as it was before any adapter."""
    return model.base_fingerprint or model.fingerprint()


def save(
    model: nn.Module,
    dir: str | os.PathLike[str],
    name: str = "default",
    language: str | None = None,
    extra: dict[str, Any] | None = None,
) -> None:
    """Write adapter `name` to `dir`: all of it, or on an error nothing.

    extra: facts for the configuration and the model card, in JSON types.
    Errors: `ValueError` where the adapter is not loaded or `dir` holds something else.
    """
    dir = Path(dir)
    _check_overwritable(dir)
    config, found = exported(model, name)
    state = {key: tensor.detach().to("cpu").contiguous().clone() for key, tensor in found.items()}
    ours = {
        "format": FORMAT,
        "method": config.method,
        "options": config.to_dict(),
        "base_fingerprint": fingerprint_of(model),
        "language": language,
        "parameters": sum(tensor.numel() for tensor in state.values()),
        "extra": extra or {},
    }
    conf = _hf_part(model, config) | {"auto_mapping": {"espnet_peft": ours}}
    text = json.dumps(conf, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    dir.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f"{dir.name}.tmp.", dir=dir.parent))
    try:
        new.chmod(0o777 & ~_umask())
        save_file(state, new / WEIGHTS_FILE, metadata={"format": "pt"})
        (new / WEIGHTS_FILE).chmod(0o666 & ~_umask())
        (new / CONFIG_FILE).write_text(text, encoding="utf-8")
        (new / CARD_FILE).write_text(card.render(ours), encoding="utf-8")
        _swap(new, dir)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check_overwritable(dir: Path) -> None:
    """Refuse to replace what is not an adapter."""
    known = {CONFIG_FILE, WEIGHTS_FILE, CARD_FILE}
    if dir.exists() and not dir.is_dir():
        raise ValueError(f"{dir}: is a file, expected a directory or nothing; choose another name")
    strangers = sorted({x.name for x in dir.iterdir()} - known) if dir.exists() else []
    if strangers:
        raise ValueError(
            f"{dir}: holds {', '.join(strangers[:3])}, expected an adapter or an empty directory; "
            f"choose another name"
        )


def _swap(new: Path, dir: Path) -> None:
    """Put `new` in the place of `dir`; between the two renames, `dir` is not there."""
    if not dir.exists():
        os.replace(new, dir)
        return
    old = Path(tempfile.mkdtemp(prefix=f"{dir.name}.old.", dir=dir.parent))
    os.replace(dir, old)
    try:
        os.replace(new, dir)
    except BaseException:
        os.replace(old, dir)
        raise
    shutil.rmtree(old)


def exported(model: nn.Module, name: str) -> tuple[AdapterConfig, dict[str, torch.Tensor]]:
    """Return configuration and tensors, by their keys in a file, as they are saved."""
    parts, found = [], {}
    for part in require(model, name).config.parts:
        if part.method.export is None:
            parts.append(part)
            found |= file_keys(model, part, part.method.tensors(model, part.options, name))
        else:
            options, tensors = part.method.export(model, part.options, name)
            parts.append(Part(part.method, options))
            found |= file_keys(model, part, tensors)
    return AdapterConfig(tuple(parts)), found


def live(model: nn.Module, name: str) -> dict[str, torch.Tensor]:
    """Return the adapter's live tensors by their keys in a file."""
    found = {}
    for part in require(model, name).config.parts:
        found |= file_keys(model, part, part.method.tensors(model, part.options, name))
    return found


def file_keys(
    model: nn.Module, part: Part, tensors: dict[Key, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return tensors of one method under their names in a file."""
    found = {}
    for (base, own), tensor in tensors.items():
        # A bare parameter is the base's own whatever the method: it has one name in all files.
        named = model.hf_name(base) if part.method.hf_names or not own else base
        found[PREFIX + named + (f".{own}" if own else "")] = tensor
    return found


def _hf_part(model: nn.Module, config: AdapterConfig) -> dict[str, Any]:
    """Return peft's own keys, or a type that peft refuses where it could not load all of it."""
    if len(config.parts) == 1 and config.parts[0].method.to_hf is not None:
        part = config.parts[0]
        targets = part.method.check(model, part.options)
        return part.method.to_hf(part.options, [model.hf_name(target) for target in targets])
    return {"peft_type": f"ESPNET_PEFT_{config.method.upper()}"}


def read_config(dir: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the block "espnet_peft" of an adapter's configuration.

    Errors: `FileNotFoundError`, or `ValueError` where it is no configuration of ours.
    """
    path = Path(dir) / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found, expected a directory with {CONFIG_FILE} and {WEIGHTS_FILE}"
        )
    try:
        conf = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}; fetch or train the adapter again") from error
    mapping = conf.get("auto_mapping") if isinstance(conf, dict) else None
    ours = mapping.get("espnet_peft") if isinstance(mapping, dict) else None
    wanted = ("format", "method", "options", "base_fingerprint")
    if not isinstance(ours, dict) or any(key not in ours for key in wanted):
        raise ValueError(
            f"{path}: no block 'espnet_peft' with {', '.join(wanted)}; expected an adapter that "
            f"was saved here"
        )
    if ours["format"] != FORMAT:
        raise ValueError(
            f"{path}: format {ours['format']}, expected {FORMAT}; it was written by another "
            f"version of espnet_peft"
        )
    return ours


def read_weights(dir: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Return the tensors of an adapter's file.

    Errors: `FileNotFoundError`, or `ValueError` where it is damaged or holds NaN.
    """
    path = Path(dir) / WEIGHTS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found, expected the adapter's weights")
    try:
        state = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: no safetensors file, or a damaged one ({error}); fetch or train it again"
        ) from error
    bad = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise ValueError(f"{path}: NaN or inf in {bad[0]} and {len(bad) - 1} more; train it again")
    return state


def checked_config(
    model: nn.Module, dir: str | os.PathLike[str]
) -> tuple[AdapterConfig, dict[str, Any]]:
    """Return the configuration of the adapter in `dir`, and the block that it stands in.

    Errors: `FileNotFoundError`, or `ValueError` for another base and for what means nothing.
    """
    dir = Path(dir)
    ours, here = read_config(dir), fingerprint_of(model)
    if ours["base_fingerprint"] != here:
        raise ValueError(
            f"{dir / CONFIG_FILE}: made for the base with fingerprint "
            f"{str(ours['base_fingerprint'])[:12]}, found {here[:12]}; load the base that it was "
            f"trained on"
        )
    try:
        return make_config(ours["method"], ours["options"]), ours
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{dir / CONFIG_FILE}: {error}") from error


def load(
    model: nn.Module,
    dir: str | os.PathLike[str],
    name: str | None = None,
    trainable: bool = False,
) -> str:
    """Add the adapter in `dir` to the model, let it work, and return its name.

    name: how to call it; None takes the directory's name.
    Errors: `ValueError` for another base, damaged files, missing or unexpected keys, wrong shapes;
    the model is then as before.
    """
    dir = Path(dir)
    config, _ = checked_config(model, dir)
    name = dir.resolve().name.replace(".", "_") if name is None else name
    check_name(model, name)
    state = read_weights(dir)
    before = state_of(model).active
    inject(model, config, name, trainable=trainable)
    try:
        copy_strictly(live(model, name), state, str(dir / WEIGHTS_FILE))
    except Exception:
        delete(model, name)
        set_adapter(model, before)
        raise
    count = sum(tensor.numel() for tensor in state.values())
    logging.getLogger(__name__).info(
        "loaded %s as %r: %s, %s parameters", dir, name, config.method, short(count)
    )
    return name
