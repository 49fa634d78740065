"""transformers' Whisper directories: config.json and safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from espnet_peft.models.base_dir import load_strictly, read_safetensors
from espnet_peft.models.build import check_dims
from espnet_peft.models.fingerprint import fingerprint
from espnet_peft.models.layout import from_hf
from espnet_peft.models.openai_file import read_pickle
from espnet_peft.models.tokenizer import MODEL_FILE, SentencePieceTokenizer
from espnet_peft.models.whisper import Whisper
from espnet_peft.models.whisper_tokenizer import tokenizer_of_size

DIMS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}


def load_hf_dir(directory: str | Path, config: dict) -> Whisper:
    """Whisper of a WhisperForConditionalGeneration directory whose config.json has been read.

    The tokenizer is Whisper's of that vocabulary size, or the directory's `tokenizer.model`.

    Raises:
        ValueError, FileNotFoundError: another architecture, or weights that do not fit it.
    """
    directory = Path(directory)
    place = directory / "config.json"
    _check_config(config, place)
    if (directory / MODEL_FILE).is_file():
        tokenizer = SentencePieceTokenizer(directory)
    else:
        tokenizer = tokenizer_of_size(config["vocab_size"], place)
    try:
        dims = check_dims({ours: config[theirs] for ours, theirs in DIMS.items()}, tokenizer)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    model = Whisper(dims, tokenizer)
    path, state = _read_weights(directory)
    load_strictly(model, _rename(state, path), path)
    model.base_fingerprint = fingerprint(model)
    return model


def _check_config(config: dict, place: Path) -> None:
    if config.get("model_type") != "whisper":
        raise ValueError(f"{place}: model_type {config.get('model_type')!r}, expected 'whisper'")
    faults = [f"lacks {key}" for key in sorted(set(DIMS.values())) if key not in config]
    width = 4 * config.get("d_model", 0)
    for key, expected in {
        "encoder_ffn_dim": width,
        "decoder_ffn_dim": width,
        "activation_function": "gelu",
        "scale_embedding": False,
    }.items():
        if config.get(key, expected) != expected:
            faults.append(f"{key} is {config[key]!r}, expected {expected!r}")
    if faults:
        raise ValueError(f"{place}: not OpenAI's architecture: {'; '.join(faults)}")


def _read_weights(directory: Path) -> tuple[Path, dict[str, Tensor]]:
    """The directory's tensors, of one file or of shards, and the file to name in errors."""
    whole = directory / "model.safetensors"
    index = directory / "model.safetensors.index.json"
    pickled = directory / "pytorch_model.bin"
    if whole.is_file():
        return whole, read_safetensors(whole)
    if index.is_file():
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        state: dict[str, Tensor] = {}
        for shard in shards:
            state |= read_safetensors(directory / Path(shard).name)
        return index, state
    if pickled.is_file():
        held = read_pickle(pickled)
        if not isinstance(held, dict):
            raise ValueError(f"{pickled}: {type(held).__name__}, expected names and tensors")
        return pickled, held
    raise FileNotFoundError(f"{whole}: no such file, expected the model's weights")


def _rename(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Tensors under our names; an output layer of its own must be the embedding's twin."""
    named = {}
    for name, tensor in state.items():
        if name.startswith(("encoder.", "decoder.")):  # saved from WhisperModel
            name = "model." + name
        named[from_hf(name)] = tensor
    output, tied = state.get("proj_out.weight"), state.get("model.decoder.embed_tokens.weight")
    if output is not None and tied is not None and not torch.equal(output, tied):
        raise ValueError(f"{path}: proj_out differs from embed_tokens, expected tied weights")
    return named
