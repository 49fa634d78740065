"""Base recognisers behind one interface."""

from espnet_peft.models.base_dir import load_tokenizer, save_base
from espnet_peft.models.build import build_whisper
from espnet_peft.models.cache import Cache
from espnet_peft.models.dims import Dims
from espnet_peft.models.encoder import Prefix
from espnet_peft.models.load import load_base
from espnet_peft.models.whisper import Whisper

__all__ = [
    "Cache",
    "Dims",
    "Prefix",
    "Whisper",
    "build_whisper",
    "load_base",
    "load_tokenizer",
    "save_base",
]
