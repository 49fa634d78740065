"""A base model with its loaded adapters, router and search options: speech in, text out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from espnet_peft.audio.speech import rate_of_batch
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.options import SearchOptions
from espnet_peft.decode.readable import Readable
from espnet_peft.decode.route import RouteClock, RoutingTable
from espnet_peft.decode.routed import decode_routed
from espnet_peft.decode.rows import FrameWeights, Part, search, search_rows
from espnet_peft.kaldi.layout import BASE
from espnet_peft.models import Prefix
from espnet_peft.routing import RoutingOptions

if TYPE_CHECKING:  # its import costs seconds, which the bare base need not pay
    from espnet_peft.adapters import AdapterBank

logger = logging.getLogger(__name__)


class Recogniser:
    """Decodes batches whose utterances may differ in language and adapter.

    model: a base model. bank: its adapters, which mix freely in a batch. Without a bank, adapters:
    names of those loaded into the model itself, of which one works at a time, and unmixable: why
    they have no bank; merge: put the active one into the base's weights where its method allows
    that, which makes decoding faster and switching slower, and changes results by rounding.
    table: what routing chooses from. most: adapters that the bank keeps in memory, None for all.

    clock: the time that routing has taken so far; set a new one to begin again.
    """

    def __init__(
        self,
        model,
        options: SearchOptions | None = None,
        adapters: Sequence[str] = (),
        merge: bool = False,
        bank: AdapterBank | None = None,
        table: RoutingTable | None = None,
        most: int | None = None,
        unmixable: str = "they are loaded into the model",
    ) -> None:
        self.model = model.eval()
        self.options = options or SearchOptions()
        self.bank = bank
        self.adapters = tuple(adapters) if bank is None else bank.known
        self.merge = merge
        self.table = table or RoutingTable(adapters={name: name for name in self.adapters})
        self.most = most
        self.unmixable = unmixable
        self.clock = RouteClock()
        self._active: str | None = None
        self._merged = False
        self._readable = Readable(model.tokenizer)
        if self.adapters and bank is None:
            self._switch(None)

    @classmethod
    def load(
        cls,
        base: str | Path,
        adapters: Mapping[str, str | Path] | None = None,
        options: SearchOptions | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        merge: bool = False,
        router=None,
        routing: RoutingOptions | None = None,
        base_languages: Sequence[str] = (),
        max_adapters: int | None = None,
    ) -> Recogniser:
        """Load a base model (path or official name) and adapter directories by name.

        router: a `Router`, its directory, or `token` for the base's own language token; routing:
        settings of the strategies, given where `decode_routed` is to be used; base_languages:
        those that the base serves without an adapter; max_adapters: most in memory at a time.
        Raises ValueError where an adapter or the router was made for another base, for two
        adapters of one language where there is routing, and for an adapter called `base`.
        """
        from espnet_peft.decode.load import load_recogniser

        return load_recogniser(
            cls,
            base,
            adapters=adapters or {},
            options=options,
            device=device,
            dtype=dtype,
            merge=merge,
            router=router,
            routing=routing,
            base_languages=base_languages,
            max_adapters=max_adapters,
        )

    def activate(self, name: str | None) -> None:
        """Switch the model to one adapter, or to the bare base by None or `base`.

        With a bank the model always is the bare base, and each row of a batch has its adapters.
        """
        name = None if name == BASE else name
        if name == self._active:
            return
        self._check_adapters([name])
        if self.bank is None:
            self._switch(name)

    def _check_adapters(self, names: Sequence[str | None]) -> None:
        """Raise ValueError for a name that is not loaded."""
        unknown = sorted(set(names) - {None, BASE, *self.adapters})
        if unknown:
            loaded = ", ".join(self.adapters) or "none"
            raise ValueError(f"adapter {', '.join(unknown)}: not loaded; loaded: {loaded}")

    @torch.inference_mode(False)  # weights merged in that mode could never be unmerged outside
    @torch.no_grad()
    def _switch(self, name: str | None) -> None:
        from espnet_peft import adapters

        if self._merged:
            adapters.unmerge(self.model)
            self._merged = False
        adapters.set_adapter(self.model, name)
        if self.merge and name is not None:
            try:
                adapters.merge(self.model, name)
                self._merged = True
            except ValueError as error:  # its method is no change of the base's weights
                logger.info("%s", error)
        self._active = name

    def prompt(self, language: str | None) -> list[int]:
        """Tokens that start the decoder; a base whose tokenizer knows no language needs none."""
        tokenizer = self.model.tokenizer
        return tokenizer.prompt(language if tokenizer.languages else None, task=self.options.task)

    @torch.inference_mode()
    def decode_batch(
        self,
        speech: torch.Tensor,
        lengths: torch.Tensor,
        languages: Sequence[str | None] | None = None,
        adapter_names: Sequence[str | None] | None = None,
    ) -> list[Hypothesis]:
        """Transcribe a batch; the result of an utterance does not depend on the others.

        speech: (B, T, n_mels) features or (B, n) samples at 16 kHz, padded; lengths: (B,);
        languages: of the prompts (None for models that know none); adapter_names: None or
        `base` stands for no adapter. Raises ValueError on unknown languages or adapters.
        """
        languages = list(languages) if languages is not None else [None] * len(lengths)
        names = list(adapter_names) if adapter_names is not None else [None] * len(languages)
        self._check_adapters(names)
        plan = [
            [Part(self.prompt(language), {} if name in (None, BASE) else {name: 1.0})]
            for language, name in zip(languages, names, strict=True)
        ]
        return [
            replace(result, language=language, shares={name or BASE: 1.0})
            for result, language, name in zip(
                self.search(speech, lengths, plan), languages, names, strict=True
            )
        ]

    @torch.inference_mode()
    def decode_routed(
        self,
        speech: torch.Tensor,
        lengths: torch.Tensor,
        strategy: str,
        languages: Sequence[str] | None = None,
    ) -> list[Hypothesis]:
        """Find out languages and adapters by `strategy`, then transcribe.

        speech, lengths: as of `decode_batch`; languages: the true ones, for `oracle`, and for
        `base` instead of a router. The time of the former is added to `clock`. Raises ValueError
        where the strategy needs what is not there: a router, true languages, adapters that mix,
        an adapter for each of the router's languages.
        """
        return decode_routed(self, speech, lengths, strategy, languages)

    @torch.inference_mode()
    def search(
        self,
        speech: torch.Tensor,
        lengths: torch.Tensor,
        plan: Sequence[Sequence[Part]],
        prefix: Prefix | None = None,
        frames: FrameWeights | None = None,
    ) -> list[Hypothesis]:
        """Encode and search a batch with the decoders that `plan` has for each utterance.

        prefix: the encoder's work on it so far; frames: adapters of the encoder over time.
        """
        speech, lengths = speech.to(self.model.device), lengths.to(self.model.device)
        durations = lengths / rate_of_batch(speech)
        if self.adapters and self.bank is None:
            results = self._search_switching(speech, lengths, durations, plan)
        else:
            if prefix is None:
                prefix = self.model.encode_prefix(speech, lengths)
            results = search_rows(
                self.model, self.bank, prefix, durations, plan, self.options, frames, self.most
            )
        return [self._readable(result) for result in results]

    def _search_switching(self, speech, lengths, durations, plan) -> list[Hypothesis]:
        """Search one adapter after the other; each utterance has one decoder and one adapter."""
        groups: dict[tuple[str | None, int], list[int]] = {}
        for row, (part,) in enumerate(plan):
            name = next(iter(part.weights), None)
            groups.setdefault((name, len(part.prompt)), []).append(row)
        results: list[Hypothesis | None] = [None] * len(plan)
        for (name, _), rows in groups.items():
            self.activate(name)
            own, sizes = speech, lengths
            if len(rows) < len(lengths):
                sizes = lengths[rows]
                own = speech[rows, : int(sizes.max())]
            prompts = torch.tensor([plan[row][0].prompt for row in rows], device=own.device)
            enc, enc_lengths = self.model.encode(own, sizes)
            found = search(self.model, enc, enc_lengths, prompts, self.options, durations[rows])
            for row, result in zip(rows, found, strict=True):
                results[row] = result
        return results
