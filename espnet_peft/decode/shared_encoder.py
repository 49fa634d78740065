"""The encoder as a router runs it: what decoding can go on from is kept, all time is counted."""

from __future__ import annotations

import time

import torch

from espnet_peft.models import Prefix


class SharedEncoder:
    """A model whose encoder notes how long it ran, and how much of that decoding needs anyway.

    It stands for the model wherever a router wants one. free: encoder layers that no adapter
    changes, so that their work serves decoding as it is; None: nothing does.

    kept: the last prefix within those layers; kept_seconds: what it cost; further_seconds: what
    deeper layers cost, which is lost where an adapter changes the layers below.
    """

    def __init__(self, model, free: int | None) -> None:
        self._model = model
        self._free = free
        self.kept: Prefix | None = None
        self.kept_seconds = 0.0
        self.further_seconds = 0.0

    def __getattr__(self, name: str):
        return getattr(self._model, name)

    def encode_prefix(self, speech, lengths, layer: int = 0) -> Prefix:
        """As the model's."""
        start = self._now()
        if self._free is None:
            prefix = self._model.encode_prefix(speech, lengths, layer)
            self.further_seconds += self._now() - start
            return prefix
        self.kept = self._model.encode_prefix(speech, lengths, min(layer, self._free))
        self.kept_seconds += self._now() - start
        return self.encode_on(self.kept, layer)

    def encode_on(self, prefix: Prefix, layer: int) -> Prefix:
        """As the model's."""
        start = self._now()
        if prefix is self.kept and prefix.layer < min(layer, self._free):
            self.kept = prefix = self._model.encode_on(prefix, min(layer, self._free))
            self.kept_seconds += self._now() - start
            start = self._now()
        prefix = self._model.encode_on(prefix, layer)
        self.further_seconds += self._now() - start
        return prefix

    def _now(self) -> float:
        return seconds_now(self._model.device)


def seconds_now(device: torch.device) -> float:
    """A clock that waits for what the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
