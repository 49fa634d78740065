"""OpenAI's Whisper checkpoints: a `.pt` file, or the name of an official one."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

from espnet_peft.models.base_dir import load_strictly
from espnet_peft.models.build import check_dims
from espnet_peft.models.fingerprint import fingerprint
from espnet_peft.models.whisper import Whisper
from espnet_peft.models.whisper_tokenizer import tokenizer_of_size


def load_openai_file(path: str | Path) -> Whisper:
    """Whisper of a checkpoint {"dims": {...}, "model_state_dict": {...}}, in float32.

    Raises:
        ValueError: the file is no such checkpoint; names and shapes must fit exactly.
    """
    path = Path(path)
    held = read_pickle(path)
    if not isinstance(held, dict) or not {"dims", "model_state_dict"} <= held.keys():
        raise ValueError(
            f"{path}: not an OpenAI Whisper checkpoint, expected dims and model_state_dict;"
            " give a .pt of openai/whisper, or a base directory"
        )
    dims, state = held["dims"], held["model_state_dict"]
    if not isinstance(dims, dict) or not isinstance(state, dict):
        raise ValueError(
            f"{path}: dims is {type(dims).__name__} and model_state_dict {type(state).__name__},"
            " expected two dicts; get the file again"
        )
    tokenizer = tokenizer_of_size(dims.get("n_vocab", 0), path)
    try:
        model = Whisper(check_dims(dims, tokenizer), tokenizer)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    load_strictly(model, state, path)
    model.base_fingerprint = fingerprint(model)
    return model


def read_pickle(path: Path) -> object:
    """What torch.save wrote, tensors and plain containers only; ValueError on anything else."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles of other protocols than torch's
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # the unpickler raises whatever a foreign file makes it
        called = re.search(r"GLOBAL (\S+)", str(error))
        reason = (
            f"loading it would run {called[1]}, which was not done"
            if called
            else "it is damaged, or no file of torch.save"
        )
        raise ValueError(
            f"{path}: not a checkpoint of tensors: {reason}; get the file again"
        ) from error


def find_official(name: str) -> Path:
    """Path of an official Whisper by its name, fetched and kept by the whisper package.

    Raises:
        ValueError: no such name.
        FileNotFoundError: it is not in whisper's cache and cannot be fetched.
    """
    import whisper

    urls = whisper._MODELS
    if name not in urls:
        raise ValueError(
            f"{name}: no such file or directory, nor an official Whisper name; expected a path"
            f" or one of: {' '.join(urls)}"
        )
    cache = os.getenv("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    folder = os.path.join(cache, "whisper")
    target = os.path.join(folder, os.path.basename(urls[name]))
    try:
        return Path(whisper._download(urls[name], folder, in_memory=False))
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{name}: not at {target}, and not to be fetched ({error});"
            " put the file there, or give the path of a checkpoint"
        ) from error
