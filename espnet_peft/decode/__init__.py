"""Batched, cached decoding with per-utterance adapters."""

from espnet_peft.decode.beam import beam
from espnet_peft.decode.greedy import greedy
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.options import SearchOptions, options_from_dict, read_options
from espnet_peft.decode.recogniser import Recogniser
from espnet_peft.decode.streams import Streams

__all__ = [
    "Hypothesis",
    "Recogniser",
    "SearchOptions",
    "Streams",
    "beam",
    "greedy",
    "options_from_dict",
    "read_options",
]
