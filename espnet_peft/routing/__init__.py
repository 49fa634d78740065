"""Choice of the adapter for each utterance."""

from espnet_peft.routing.frames import Timeline, follow
from espnet_peft.routing.loudness import measure_loudness
from espnet_peft.routing.options import RoutingOptions, read_routing_options
from espnet_peft.routing.strategies import STRATEGIES, Choice, decide

__all__ = [
    "STRATEGIES",
    "Choice",
    "RoutingOptions",
    "Timeline",
    "decide",
    "follow",
    "measure_loudness",
    "read_routing_options",
]
