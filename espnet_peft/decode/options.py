"""Options of the search and of batching, as they stand in `conf/decode.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_peft.routing.settings import is_int, is_number, make_settings, read_settings


@dataclass(frozen=True)
class SearchOptions:
    """Settings of greedy and beam search.

    beam_size: 1 is greedy search.
    length_penalty: hypotheses are ranked by score / length ** length_penalty, where length
        counts the produced tokens and end-of-text (as in HF transformers). 0 ranks by score.
        It has no effect on greedy search.
    max_length: most tokens to produce, end-of-text included; None is what the decoder's
        positions allow.
    max_tokens_per_second: the same limit relative to the audio's length, against hallucinated
        loops on short utterances; None is no limit. At least 8 tokens are always allowed.
    suppress: token ids that are never produced; None takes the tokenizer's list.
    suppress_blank: forbid the tokenizer's blank tokens at the first step.
    task: `transcribe` or `translate`.
    batch_seconds: seconds of audio in a batch, padding included.
    Raises ValueError that lists all faults at once.
    """

    beam_size: int = 1
    length_penalty: float = 1.0
    max_length: int | None = None
    max_tokens_per_second: float | None = None
    suppress: tuple[int, ...] | None = None
    suppress_blank: bool = True
    task: str = "transcribe"
    batch_seconds: float = 80.0

    def __post_init__(self):
        if isinstance(self.suppress, list):
            object.__setattr__(self, "suppress", tuple(self.suppress))
        faults = find_faults(self)
        if faults:
            raise ValueError("search options: " + "; ".join(faults))


def find_faults(options: SearchOptions) -> list[str]:
    """Name every option whose value is of the wrong type or out of range."""
    checks = {
        "beam_size": (is_int(options.beam_size, 1), "an integer of at least 1"),
        "length_penalty": (is_number(options.length_penalty, 0), "a number of at least 0"),
        "max_length": (
            options.max_length is None or is_int(options.max_length, 1),
            "null or an integer of at least 1",
        ),
        "max_tokens_per_second": (
            options.max_tokens_per_second is None
            or (is_number(options.max_tokens_per_second, 0) and options.max_tokens_per_second > 0),
            "null or a number above 0",
        ),
        "suppress": (
            options.suppress is None
            or (
                isinstance(options.suppress, tuple)
                and all(is_int(token, 0) for token in options.suppress)
            ),
            "null or a list of token ids",
        ),
        "suppress_blank": (isinstance(options.suppress_blank, bool), "true or false"),
        "task": (options.task in ("transcribe", "translate"), "transcribe or translate"),
        "batch_seconds": (
            is_number(options.batch_seconds, 0) and options.batch_seconds > 0,
            "a number above 0",
        ),
    }
    return [
        f"{name}: found {getattr(options, name)!r}, expected {wanted}"
        for name, (good, wanted) in checks.items()
        if not good
    ]


def options_from_dict(values: Mapping, place: str = "search options") -> SearchOptions:
    """Make options from a mapping; unknown keys and bad values raise ValueError naming `place`."""
    return make_settings(SearchOptions, values, place)


def read_options(path: str | Path) -> SearchOptions:
    """Read options from a flat YAML file; an empty file gives the defaults."""
    return read_settings(SearchOptions, path)
