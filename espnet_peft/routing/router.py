"""The language classifier in use, and on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from espnet_peft.kaldi.table import write_bytes
from espnet_peft.models import Prefix, Whisper
from espnet_peft.routing.config import RouterConfig, config_from_dict
from espnet_peft.routing.frames import FRAME_SECONDS
from espnet_peft.routing.heads import Classifier
from espnet_peft.routing.states import check_layers, collect_states, encode_states, fingerprint_of
from espnet_peft.routing.windows import (
    lone_window_logits,
    places,
    spread,
)

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
NUMBERS = ("temperature", "window_temperature", "other_threshold")
FORMAT = 1


@dataclass(frozen=True)
class Routed:
    """What a router says of a batch.

    probabilities: (B, C) calibrated, in the order of the router's languages.
    frames: (B, T', C) the same for each encoder frame (20 ms); those after an utterance's end
        repeat its last. None where they were not asked for.
    prefix: the encoder's work at the router's layer, to be continued.
    logits: (B, C) from which the probabilities come.
    """

    probabilities: Tensor
    frames: Tensor | None
    prefix: Prefix
    logits: Tensor


class Router:
    """A trained classifier of languages on one base's encoder states.

    languages: of the classes; layers: encoder blocks after which it reads; layer: the deepest of
    them; other_threshold: below this largest probability the language is none of these.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: RouterConfig,
        languages: Sequence[str],
        temperature: float,
        window_temperature: float,
        other_threshold: float,
    ) -> None:
        self.classifier = classifier.eval()
        self.config = config
        self.languages = tuple(languages)
        self.layers = config.layers
        self.layer = config.layers[-1]
        self.temperature = temperature
        self.window_temperature = window_temperature
        self.other_threshold = other_threshold

    @torch.no_grad()
    def __call__(
        self, model: Whisper, speech: Tensor, lengths: Tensor, frames: bool = False
    ) -> Routed:
        """Route a batch; arguments and errors as of `model.encode`.

        With `frames`, sliding windows give the language of each encoder frame as well.
        Raises ValueError where probabilities are not finite.
        """
        states, prefix = encode_states(model, speech, lengths, self.layers)
        logits = self.classifier(states, prefix.spoken)
        probabilities = check_finite((logits / self.temperature).softmax(1))
        found = self._frames(model, speech, lengths, states, prefix.spoken) if frames else None
        return Routed(probabilities, found, prefix, logits)

    def _frames(
        self, model: Whisper, speech: Tensor, lengths: Tensor, states: Tensor, spoken: Tensor
    ) -> Tensor:
        """Calibrated probabilities (B, T', C) of each frame of states (B, T', L * D)."""
        window = max(1, round(self.config.window_seconds / FRAME_SECONDS))
        hop = max(1, round(self.config.hop_seconds / FRAME_SECONDS))
        if self.layer == 0:  # the convolutions look at the next frames alone
            found = places(spoken, self.classifier.pooled_frames(window), hop)
            row, start, size, numbers = (x.to(states.device) for x in found)
            logits = self.classifier.windows(states, spoken, row, start, size)
            counts = numbers.tolist()
        else:

            def hear(features: Tensor, sizes: Tensor) -> Tensor:
                encoder = model.encoder
                begun = encoder.start(features.to(model.device), sizes.to(model.device))
                own, prefix = collect_states(model, begun, self.layers, encoder.advance)
                return self.classifier(own, prefix.spoken)

            logits, counts = lone_window_logits(
                hear, speech, lengths, window, hop, model.dims.n_mels
            )
        probabilities = check_finite((logits / self.window_temperature).softmax(1))
        return spread(probabilities, counts, hop, states.shape[1])

    def save(self, directory: str | Path, fingerprint: str, facts: dict | None = None) -> None:
        """Write config.json and model.safetensors; config.json comes last and vouches for both.

        facts: more for config.json, in JSON types.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        state = {name: tensor.contiguous() for name, tensor in self.classifier.state_dict().items()}
        temporary = directory / f"{WEIGHTS_FILE}.tmp"
        try:
            save_file(state, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        (directory / CONFIG_FILE).unlink(missing_ok=True)
        os.replace(temporary, directory / WEIGHTS_FILE)
        values = {
            "format": FORMAT,
            "languages": list(self.languages),
            "base_fingerprint": fingerprint,
            "parameters": sum(p.numel() for p in self.classifier.parameters()),
            "temperature": self.temperature,
            "window_temperature": self.window_temperature,
            "other_threshold": self.other_threshold,
            "settings": self.config.asdict(),
            **(facts or {}),
        }
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        write_bytes(directory / CONFIG_FILE, text.encode())

    @classmethod
    def load(cls, directory: str | Path, model: Whisper) -> Router:
        """Load a router for this base.

        Raises:
            FileNotFoundError, ValueError: nothing is there, it belongs to another base, or its
                weights are damaged, incomplete or not finite.
        """
        directory = Path(directory)
        path = directory / CONFIG_FILE
        values = read_config(path)
        here = fingerprint_of(model)
        if values["base_fingerprint"] != here:
            raise ValueError(
                f"{path}: made for the base with fingerprint {values['base_fingerprint'][:12]},"
                f" found {here[:12]}; train a router on this base"
            )
        config = config_from_dict(values["settings"], str(path))
        check_layers(model, config.layers, str(path))
        classifier = Classifier(config, model.dims.n_audio_state, len(values["languages"]))
        load_strictly(classifier, directory / WEIGHTS_FILE)
        numbers = {name: values[name] for name in NUMBERS}
        return cls(classifier.to(model.device), config, values["languages"], **numbers)


def check_finite(probabilities: Tensor) -> Tensor:
    """The probabilities themselves; ValueError where one is not finite."""
    if not torch.isfinite(probabilities).all():
        raise ValueError(
            "router: probabilities are not finite; the base's or router's weights are broken or"
            " --dtype is too narrow"
        )
    return probabilities


def read_config(path: Path) -> dict:
    """config.json of a router; ValueError or FileNotFoundError where it is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a router; run train_router")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error}); train the router again") from error
    wanted = {
        "format": int,
        "languages": list,
        "base_fingerprint": str,
        "settings": dict,
        **dict.fromkeys(NUMBERS, float),
    }
    found = values if isinstance(values, dict) else {}
    bad = [key for key, kind in wanted.items() if not isinstance(found.get(key), kind)]
    bad += [key for key in NUMBERS if key not in bad and not 0 <= found[key] < float("inf")]
    if bad:
        raise ValueError(f"{path}: no usable {', '.join(bad)}, expected a router's; train it again")
    if values["format"] != FORMAT:
        raise ValueError(f"{path}: format {values['format']}, expected {FORMAT}; train it again")
    return values


def load_strictly(classifier: Classifier, path: Path) -> None:
    """Load tensors with exactly the classifier's names and shapes, all finite; else ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected the router's weights")
    try:
        state = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: no safetensors file ({error}); train it again") from error
    wanted = classifier.state_dict()
    faults = [f"lacks {name}" for name in wanted if name not in state]
    faults += [f"has unknown {name}" for name in state if name not in wanted]
    for name in wanted.keys() & state.keys():
        if state[name].shape != wanted[name].shape:
            shapes = list(state[name].shape), list(wanted[name].shape)
            faults.append(f"{name} is {shapes[0]}, expected {shapes[1]}")
        elif not torch.isfinite(state[name]).all():
            faults.append(f"{name} holds NaN or inf")
    if faults:
        shown = "; ".join(sorted(faults)[:4])
        raise ValueError(f"{path}: not the weights of this router: {shown}; train it again")
    classifier.load_state_dict(state)
