"""Small adapters for big speech recognisers, with ESPnet and Kaldi recipes."""

from espnet_peft.version import __version__

__all__ = ["__version__"]
