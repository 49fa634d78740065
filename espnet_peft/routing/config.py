"""Settings of the language classifier, as they stand in `conf/router.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from espnet_peft.routing.settings import is_int, is_number, make_settings, read_settings

HEAD_NAMES = ("linear", "mlp", "cnn", "lstm", "attention")
POOLINGS = ("mean", "mean_std")


@dataclass(frozen=True)
class RouterConfig:
    """What the classifier is and how it is trained.

    layers: encoder blocks after which the residual stream is read, 0 being the convolutions;
        several are mixed by learned weights.
    head: linear, mlp, cnn, lstm or attention.
    pooling: over time, mean or mean_std (their concatenation); attention has its own.
    hidden_dims: widths of the mlp; channels: of cnn and lstm; kernel_size: of the cnn, odd;
        dropout: before the last layer (in the mlp after each hidden one); input_dropout: of the
        normalised states.
    crop_seconds: shortest and longest random crop; n_crops: crops of the audio stored for each
        utterance beside the whole; crop_share: share of training items that are cropped once
        more, in the encoder's states.
    max_per_language: utterances stored of each language; null is all.
    learning_rate, weight_decay: of AdamW; batch_size: items of a step; epoch_items: items of an
        epoch, as many of each language; max_epochs; patience: epochs without a better loss on
        the validation sets before training stops.
    other_quantile: share of the validation items that may fall below the threshold of "other".
    window_seconds, hop_seconds: sliding windows of the frame posteriors.
    Raises ValueError that lists all faults at once.
    """

    layers: tuple[int, ...] = (0,)
    head: str = "cnn"
    pooling: str = "mean_std"
    hidden_dims: tuple[int, ...] = (256, 128)
    channels: int = 96
    kernel_size: int = 13
    dropout: float = 0.5
    input_dropout: float = 0.4
    crop_seconds: tuple[float, float] = (0.5, 5.0)
    n_crops: int = 1
    crop_share: float = 0.8
    max_per_language: int | None = 1000
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    batch_size: int = 32
    epoch_items: int = 4800
    max_epochs: int = 12
    patience: int = 4
    other_quantile: float = 0.002
    window_seconds: float = 1.0
    hop_seconds: float = 0.1

    def __post_init__(self):
        for name in ("layers", "hidden_dims", "crop_seconds"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        faults = find_faults(self)
        if faults:
            raise ValueError("router settings: " + "; ".join(faults))

    def asdict(self) -> dict:
        """Settings in JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def find_faults(config: RouterConfig) -> list[str]:
    """Name every setting whose value is of the wrong type or out of range."""
    odd = is_int(config.kernel_size, 1) and config.kernel_size % 2 == 1
    checks = {
        "layers": (_rising(config.layers, 0), "rising layer numbers, as [1] or [1, 2]"),
        "head": (config.head in HEAD_NAMES, f"one of {', '.join(HEAD_NAMES)}"),
        "pooling": (config.pooling in POOLINGS, f"one of {', '.join(POOLINGS)}"),
        "hidden_dims": (_ints(config.hidden_dims, 1), "a list of sizes"),
        "kernel_size": (odd, "an odd number"),
        "crop_seconds": (_span(config.crop_seconds), "[shortest, longest] in seconds"),
        "crop_share": (is_number(config.crop_share, 0, 1), "a number from 0 to 1"),
        "max_per_language": (
            config.max_per_language is None or is_int(config.max_per_language, 1),
            "null or an integer of at least 1",
        ),
        "weight_decay": (is_number(config.weight_decay, 0), "a number of at least 0"),
        "other_quantile": (
            is_number(config.other_quantile, 0, 1) and config.other_quantile < 1,
            "a number from 0 to 1",
        ),
    }
    checks["n_crops"] = (is_int(config.n_crops, 0), "an integer of at least 0")
    for name in ("channels", "batch_size", "epoch_items", "max_epochs", "patience"):
        checks[name] = (is_int(getattr(config, name), 1), "an integer of at least 1")
    for name in ("dropout", "input_dropout"):
        value = getattr(config, name)
        checks[name] = (is_number(value, 0, 1) and value < 1, "a number from 0 to below 1")
    for name in ("learning_rate", "window_seconds", "hop_seconds"):
        value = getattr(config, name)
        checks[name] = (is_number(value, 0) and value > 0, "a number above 0")
    return [
        f"{name}: found {getattr(config, name)!r}, expected {wanted}"
        for name, (good, wanted) in checks.items()
        if not good
    ]


def _ints(values: object, least: int) -> bool:
    return isinstance(values, tuple) and bool(values) and all(is_int(v, least) for v in values)


def _rising(values: object, least: int) -> bool:
    return _ints(values, least) and list(values) == sorted(set(values))


def _span(value: object) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2 and all(is_number(v, 0) for v in value)
    return pair and 0 < value[0] <= value[1]


def config_from_dict(values: Mapping, place: str = "router settings") -> RouterConfig:
    """Make settings from a mapping; unknown keys and bad values raise ValueError with `place`."""
    return make_settings(RouterConfig, values, place)


def read_router_config(path: str | Path) -> RouterConfig:
    """Read settings from a flat YAML file; an empty file gives the defaults."""
    return read_settings(RouterConfig, path)
