"""Small trainable parts for a frozen base model: inject, train, save, load, switch, merge."""

from espnet_peft.adapters import methods  # noqa: F401  (registers the methods)
from espnet_peft.adapters.active import (
    active,
    count,
    delete,
    load_trainable_state_dict,
    names,
    set_adapter,
    trainable_state_dict,
)
from espnet_peft.adapters.bank import AdapterBank
from espnet_peft.adapters.inject import Report, inject
from espnet_peft.adapters.merge import merge, unmerge
from espnet_peft.adapters.mix import Mix
from espnet_peft.adapters.registry import AdapterConfig, available, make_config
from espnet_peft.adapters.storage import load, read_config, save
from espnet_peft.adapters.wrap import base_parameters, base_state_dict

__all__ = [
    "AdapterBank",
    "AdapterConfig",
    "Mix",
    "Report",
    "active",
    "available",
    "base_parameters",
    "base_state_dict",
    "count",
    "delete",
    "inject",
    "load",
    "load_trainable_state_dict",
    "make_config",
    "merge",
    "names",
    "read_config",
    "save",
    "set_adapter",
    "trainable_state_dict",
    "unmerge",
]
