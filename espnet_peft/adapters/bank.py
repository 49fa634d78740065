"""Adapters side by side: loaded and unloaded while running, mixed by row or frame in one batch."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from espnet_peft.adapters.bank_file import Pieces, read_pieces, touched, why_not
from espnet_peft.adapters.mix import Mix, Plan, check_frames, check_rows
from espnet_peft.adapters.registry import AdapterConfig
from espnet_peft.adapters.storage import checked_config
from espnet_peft.adapters.wrap import wrappers
from espnet_peft.kaldi.layout import BASE

KEPT_PLANS = 128  # sets of adapters for which the next batch finds all prepared


@dataclass(frozen=True)
class Known:
    """An adapter that the bank can load."""

    directory: Path
    config: AdapterConfig
    language: str
    modules: tuple[str, ...]


class AdapterBank:
    """Adapters of one base model, by name, of which the last used are in memory.

    directories: of the adapters, which are checked at once and read when they are needed;
    size: how many stay in memory, None for all. The model itself is changed only while a mix is
    entered; it must have no adapter of its own at work then.
    Errors: `OSError` or `ValueError` for damaged directories, adapters of another base, methods
    that cannot share a batch.
    """

    def __init__(
        self,
        model: nn.Module,
        directories: Mapping[str, str | os.PathLike[str]],
        size: int | None = None,
    ) -> None:
        if size is not None and size < 1:
            raise ValueError(f"size is {size}, expected 1 or more, or None for all")
        self.model = model
        self._size = size
        self._known: dict[str, Known] = {}
        self._modules: dict[str, nn.Module] = {}
        self._loaded: OrderedDict[str, Pieces] = OrderedDict()
        self._plans: OrderedDict[tuple[tuple[str, ...], bool], Plan] = OrderedDict()
        self._running: Mix | None = None
        self._place = self._here()
        if model.base_fingerprint is None:
            model.base_fingerprint = model.fingerprint()
        for name, directory in directories.items():
            self.add(name, directory)

    @staticmethod
    def refusal(model: nn.Module, directory: str | os.PathLike[str]) -> str | None:
        """Return why the adapter in `directory` cannot share a batch with others, or None.

        Errors: `OSError` or `ValueError` where it is no adapter of this base.
        """
        return why_not(checked_config(model, directory)[0])

    @property
    def known(self) -> tuple[str, ...]:
        """Names of all adapters, in the order in which they were added."""
        return tuple(self._known)

    @property
    def resident(self) -> tuple[str, ...]:
        """Names of the adapters in memory, the least recently used first."""
        return tuple(self._loaded)

    def add(self, name: str, directory: str | os.PathLike[str]) -> None:
        """Make one more adapter known, or give the name to another directory.

        Errors: as at the start; the bank is then as before.
        """
        if name == BASE:
            raise ValueError(f"adapter name {BASE!r}: stands for no adapter; choose another name")
        self._require_idle(name)
        config, block = checked_config(self.model, directory)
        reason = why_not(config)
        if reason is not None:
            raise ValueError(
                f"{directory}: {reason}; give each of its utterances a batch of its own adapter"
            )
        modules = {one: wrappers(self.model, one)[-1][1] for one in touched(self.model, config)}
        language = block.get("language") or name
        self.unload(name)
        self._modules |= modules
        self._known[name] = Known(Path(directory), config, language, tuple(modules))

    def load(self, name: str) -> None:
        """Read an adapter into memory, if it is not there, as the most recently used one.

        Errors: `ValueError` for an unknown name, `OSError` or `ValueError` for damaged files.
        """
        self._load(name, {name})

    def unload(self, name: str) -> None:
        """Free an adapter's memory; it stays known.

        Errors: `ValueError` where the running batch uses it.
        """
        self._require_idle(name)
        self._loaded.pop(name, None)
        for key in [key for key in self._plans if name in key[0]]:
            del self._plans[key]

    def language(self, name: str) -> str:
        """Return the language in the adapter's configuration, or its name where there is none."""
        return self._require(name).language

    def modules(self, name: str) -> tuple[str, ...]:
        """Return the names of the modules that an adapter changes."""
        return self._require(name).modules

    def free_layers(self, names: Iterable[str] | None = None) -> int:
        """Return how many of the first encoder layers none of the adapters (None: all) changes."""
        names = self.known if names is None else names
        found = {one for name in names if name != BASE for one in self.modules(name)}
        specs = sorted(
            (spec for spec in self.model.layers() if spec.side == "encoder"),
            key=lambda spec: spec.index,
        )
        for free, spec in enumerate(specs):
            if found & {one for some in spec.modules.values() for one in some}:
                return free
        return len(specs)

    def mix(
        self,
        rows: Sequence[Mapping[str, float]],
        frames: Tensor | None = None,
        frame_names: Sequence[str] | None = None,
    ) -> Mix:
        """Return a mix for a batch; what it needs is loaded.

        rows: the weight of each adapter in each row; what is missing from 1 is the base's.
        frames: (B, T', K) the same for each frame of the encoder and each of K `frame_names`, used
        by all modules that read speech or the encoder's states; the others use `rows`.
        Errors: `ValueError` for unknown names, weights that are no shares, more adapters than
        `size`; those of `load`.
        """
        check_rows(rows, self._known, BASE)
        used = {name for row in rows for name, share in row.items() if share and name != BASE}
        if frames is not None:
            frame_names = list(frame_names or ())
            check_rows([dict.fromkeys(frame_names, 0.0)], self._known, BASE)
            check_frames(frames, len(rows), len(frame_names))
            used.update(name for name in frame_names if name != BASE)
        names = tuple(name for name in self._known if name in used)
        if self._size is not None and len(names) > self._size:
            raise ValueError(
                f"the batch uses {len(names)} adapters, expected at most the {self._size} that "
                f"stay in memory; raise size or make smaller batches"
            )
        self._forget_moved()
        for name in names:
            self._load(name, set(names))
        device, dtype = self._place
        weights = torch.tensor([[row.get(name, 0.0) for name in names] for row in rows])
        weights = weights.view(len(rows), len(names))
        if frames is not None:
            chosen = frames.new_zeros(*frames.shape[:2], len(names))
            for number, name in enumerate(frame_names):
                if name != BASE:
                    chosen[:, :, names.index(name)] += frames[:, :, number]
            frames = chosen.to(device, dtype)
        return Mix(self._plan(names, frames is not None), weights, frames, self._entered)

    def _entered(self, mix: Mix | None) -> None:
        self._running = mix

    def _plan(self, names: tuple[str, ...], by_frame: bool) -> Plan:
        key = names, by_frame
        if key not in self._plans:
            pieces = {name: self._loaded[name] for name in names}
            self._plans[key] = Plan(self.model, self._modules, pieces, by_frame)
            while len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]

    def _load(self, name: str, needed: set[str]) -> None:
        """Load `name`; what is thrown out for it is none of `needed` or of the running batch."""
        known = self._require(name)
        if name not in self._loaded:
            pieces = read_pieces(self.model, known.config, known.directory)
            self._loaded[name] = pieces
            in_use = needed | set(self._running.names if self._running is not None else ())
            spare = [one for one in self._loaded if one not in in_use]
            while self._size is not None and len(self._loaded) > self._size and spare:
                self.unload(spare.pop(0))
            self._plan((name,), False)  # most batches use one adapter, and the next one may at once
        self._loaded.move_to_end(name)

    def _require(self, name: str) -> Known:
        if name not in self._known:
            there = ", ".join(self._known) or "none"
            raise ValueError(f"adapter {name!r} is not known, expected one of: {there}")
        return self._known[name]

    def _require_idle(self, name: str) -> None:
        if self._running is not None and name in self._running.names:
            raise ValueError(
                f"adapter {name!r} is in use by the running batch; leave its mix first"
            )

    def _here(self) -> tuple[torch.device, torch.dtype]:
        weight = next(self.model.parameters())
        return weight.device, weight.dtype

    def _forget_moved(self) -> None:
        """Drop what was loaded for another device or dtype than the model has now."""
        if self._place != self._here():
            self._loaded.clear()
            self._plans.clear()
            self._place = self._here()
