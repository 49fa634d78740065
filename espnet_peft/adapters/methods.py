"""All methods: importing one registers it."""

from espnet_peft.adapters import bias, bottleneck, full, lora, norm, prompt  # noqa: F401
