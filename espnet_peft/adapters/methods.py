"""All methods: importing one registers it."""

from espnet_peft.adapters import (  # noqa: F401
    adalora,
    bias,
    bottleneck,
    full,
    lora,
    lora_family,
    norm,
    prompt,
)
