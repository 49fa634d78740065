"""Settings in flat YAML files, as conf/ holds them: one dataclass each, and no other keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

Settings = TypeVar("Settings")


def read_settings(cls: type[Settings], path: str | Path) -> Settings:
    """Read the settings `cls` from lines of `key: value`; an empty file gives the defaults.

    Raises ValueError, with the file's name, for what is no YAML and as `make_settings`.
    """
    import yaml

    with open(path, encoding="utf-8") as stream:
        try:
            values = yaml.safe_load(stream)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ValueError(f"{path}: found {type(values).__name__}, expected lines of `key: value`")
    return make_settings(cls, values, str(path))


def make_settings(cls: type[Settings], values: Mapping, place: str) -> Settings:
    """Settings from a mapping; unknown keys and bad values raise ValueError naming `place`."""
    known = [field.name for field in fields(cls)]
    unknown = [str(key) for key in values if key not in known]
    if unknown:
        raise ValueError(f"{place}: unknown key {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def is_int(value: object, least: int) -> bool:
    """Whether value is an integer (no bool) of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_number(value: object, least: float, most: float = math.inf) -> bool:
    """Whether value is a finite number (no bool) from `least` to `most`."""
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and least <= value <= most and value < math.inf
