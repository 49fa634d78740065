"""Choice of the adapter for each utterance."""

from espnet_peft.routing.oracle import ROUTERS, route_base, route_oracle

__all__ = ["ROUTERS", "route_base", "route_oracle"]
