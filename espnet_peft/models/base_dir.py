"""Our own directory for a base model: config.json, model.safetensors, tokenizer files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import Tensor

from espnet_peft.kaldi.table import write_bytes
from espnet_peft.models.build import check_dims
from espnet_peft.models.fingerprint import base_state, fingerprint
from espnet_peft.models.tokenizer import MODEL_FILE, SentencePieceTokenizer, Tokenizer
from espnet_peft.models.whisper import Whisper


def save_base(model: Whisper, directory: str | Path) -> None:
    """Write a base model's directory; adapters around its layers are left out.

    config.json comes last, so a directory that has one is complete.
    """
    from safetensors.torch import save_file

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.cpu().contiguous() for name, tensor in base_state(model).items()}
    temporary = directory / "model.safetensors.tmp"
    try:
        save_file(state, temporary)
    except Exception:  # a full disk: leave the old base, and nothing of the new one
        temporary.unlink(missing_ok=True)
        raise
    (directory / "config.json").unlink(missing_ok=True)
    os.replace(temporary, directory / "model.safetensors")
    model.tokenizer.save(directory)
    config = {
        "model_type": "whisper",
        "format": "espnet_peft",
        "dims": model.dims.asdict(),
        "tokenizer": model.tokenizer.config(),
        "ctc": model.ctc is not None,
        "pad_to": model.pad_to,
        "fingerprint": fingerprint(model),
    }
    text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    write_bytes(directory / "config.json", text.encode())


def read_config(directory: str | Path) -> dict:
    """config.json of a model directory; ValueError or FileNotFoundError where there is none."""
    path = Path(directory) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file, expected a base model's directory; see prepare_base"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not JSON ({error}); make the base again") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path}: not a JSON object; make the base again")
    return config


def load_base_dir(directory: str | Path, config: dict) -> Whisper:
    """Whisper of our own directory whose config.json has been read."""
    directory = Path(directory)
    tokenizer = load_tokenizer(directory, config.get("tokenizer"))
    model = Whisper(
        check_dims(config.get("dims", {}), tokenizer), tokenizer, bool(config.get("ctc"))
    )
    path = directory / "model.safetensors"
    load_strictly(model, read_safetensors(path), path)
    model.pad_to = config.get("pad_to")
    model.base_fingerprint = fingerprint(model)
    if config.get("fingerprint") not in (None, model.base_fingerprint):
        raise ValueError(
            f"{path}: weights are not those of {directory / 'config.json'} (fingerprint"
            f" {model.base_fingerprint[:12]}, expected {config['fingerprint'][:12]});"
            " make the base again"
        )
    return model


def load_tokenizer(directory: str | Path, config: dict | None = None) -> Tokenizer:
    """Tokenizer of a directory: that of its config.json, or its `tokenizer.model`.

    Raises:
        ValueError, FileNotFoundError: there is no tokenizer of a known type.
    """
    directory = Path(directory)
    if config is None and not (directory / MODEL_FILE).is_file() and directory.is_dir():
        config = read_config(directory).get("tokenizer")
    kind = (config or {"type": "sentencepiece"}).get("type")
    if kind == "sentencepiece":
        return SentencePieceTokenizer(directory)
    if kind == "whisper":
        from espnet_peft.models.whisper_tokenizer import WhisperTokenizer

        return WhisperTokenizer(config["multilingual"], config["num_languages"])
    raise ValueError(
        f"{directory}: tokenizer of type {kind!r}, expected sentencepiece or whisper"
    )


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; ValueError where it is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a model's weights")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error}); get it again") from error


def load_strictly(model: Whisper, state: dict[str, Tensor], path: Path) -> None:
    """Load tensors with exactly the model's names and shapes, and no NaN; ValueError otherwise."""
    wanted = model.state_dict()
    faults = [f"lacks {name}" for name in wanted if name not in state]
    faults += [f"has unknown {name}" for name in state if name not in wanted]
    faults += [
        f"{name} is {list(state[name].shape)}, expected {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    faults += [
        f"{name} holds NaN or inf"
        for name, tensor in state.items()
        if name in wanted and not torch.isfinite(tensor).all()
    ]
    if faults:
        shown = "; ".join(faults[:4]) + (f"; and {len(faults) - 4} more" if faults[4:] else "")
        raise ValueError(f"{path}: not the weights of this model: {shown}")
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in state.items()})
