"""Choice of the adapter for each utterance."""

from espnet_peft.routing.frames import Timeline, follow
from espnet_peft.routing.options import RoutingOptions, read_routing_options
from espnet_peft.routing.oracle import ROUTERS, route_base, route_oracle
from espnet_peft.routing.strategies import STRATEGIES, Choice, decide

__all__ = [
    "ROUTERS",
    "STRATEGIES",
    "Choice",
    "RoutingOptions",
    "Timeline",
    "decide",
    "follow",
    "read_routing_options",
    "route_base",
    "route_oracle",
]
