"""Settings of the routing strategies, as they stand in `conf/routing.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from espnet_peft.routing.settings import is_int, is_number, read_settings


@dataclass(frozen=True)
class RoutingOptions:
    """How probabilities of languages become adapters.

    threshold: `threshold` takes one adapter where the highest probability is at least this.
    top_k: most languages that `threshold` (below its threshold) and `soft_decoders` mix.
    min_weight: languages whose share is smaller are left out of a mixture.
    smooth_seconds: length of the moving average over frame posteriors; 0 is none.
    min_dwell_seconds: no language span is shorter, except where the audio is.
    switch_penalty: what a change of language must gain in log probability times seconds.
    loud_penalty: what it must gain besides where the speech is loud; in a pause nothing.
    families: family -> its languages; a language in no family is a family of its own.
    Raises ValueError that lists all faults at once.
    """

    threshold: float = 0.8
    top_k: int = 2
    min_weight: float = 0.05
    smooth_seconds: float = 0.3
    min_dwell_seconds: float = 0.8
    switch_penalty: float = 0.3
    loud_penalty: float = 2.0
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self):
        if isinstance(self.families, Mapping):
            families = {
                name: tuple(members) if isinstance(members, (list, tuple)) else members
                for name, members in self.families.items()
            }
            object.__setattr__(self, "families", families)
        faults = find_faults(self)
        if faults:
            raise ValueError("routing options: " + "; ".join(faults))


def find_faults(options: RoutingOptions) -> list[str]:
    """Name every option whose value is of the wrong type or out of range."""
    checks = {
        "threshold": (is_number(options.threshold, 0, 1), "a number from 0 to 1"),
        "top_k": (is_int(options.top_k, 1), "an integer of at least 1"),
        "min_weight": (
            is_number(options.min_weight, 0, 1) and options.min_weight < 1,
            "a number from 0 to less than 1",
        ),
        "smooth_seconds": (is_number(options.smooth_seconds, 0), "a number of at least 0"),
        "min_dwell_seconds": (is_number(options.min_dwell_seconds, 0), "a number of at least 0"),
        "switch_penalty": (is_number(options.switch_penalty, 0), "a number of at least 0"),
        "loud_penalty": (is_number(options.loud_penalty, 0), "a number of at least 0"),
        "families": (
            isinstance(options.families, Mapping)
            and all(isinstance(name, str) for name in options.families)
            and all(_is_names(members) for members in options.families.values()),
            "`family: [language, ...]` with quoted names where YAML reads a word as true or false",
        ),
    }
    faults = [
        f"{name}: found {getattr(options, name)!r}, expected {wanted}"
        for name, (good, wanted) in checks.items()
        if not good
    ]
    return faults or _shared_members(options.families)


def _shared_members(families: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Languages that stand in more than one family, or twice in one."""
    first: dict[str, str] = {}
    faults = []
    for family, members in families.items():
        for language in members:
            if language in first:
                faults.append(
                    f"families: {language} in {first[language]} and again in {family},"
                    " expected it in one"
                )
            first.setdefault(language, family)
    return faults


def _is_names(members: object) -> bool:
    return (
        isinstance(members, tuple)
        and bool(members)
        and all(isinstance(name, str) and name for name in members)
    )


def read_routing_options(path: str | Path) -> RoutingOptions:
    """Read a YAML file of `key: value` lines; an empty file gives the defaults.

    Raises ValueError for unknown keys and bad values, with the file's name.
    """
    return read_settings(RoutingOptions, path)
