"""A base model with its loaded adapters and search options: speech in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from espnet_peft.decode.beam import beam
from espnet_peft.decode.greedy import greedy
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.options import SearchOptions

BASE = "base"  # the name that stands for no adapter
SAMPLES_PER_SECOND = 16000
FRAMES_PER_SECOND = 100


class Recogniser:
    """Decodes batches whose utterances may differ in language and adapter.

    model: a base model in eval mode; adapters: names of the adapters loaded into it.
    """

    def __init__(
        self, model, options: SearchOptions | None = None, adapters: Sequence[str] = ()
    ) -> None:
        self.model = model.eval()
        self.options = options or SearchOptions()
        self.adapters = tuple(adapters)
        self._active: str | None = None
        if self.adapters:
            self._set_adapter(None)

    @classmethod
    def load(
        cls,
        base: str | Path,
        adapters: Mapping[str, str | Path] | None = None,
        options: SearchOptions | None = None,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Recogniser:
        """Load a base model (path or official name) and adapter directories by name.

        Raises ValueError where an adapter was made for another base or is called `base`.
        """
        from espnet_peft.models import load_base

        if BASE in (adapters or {}):
            raise ValueError(f"adapter name {BASE}: stands for no adapter; choose another name")
        model = load_base(str(base), device=device, dtype=dtype)
        for name, directory in (adapters or {}).items():
            from espnet_peft.adapters import load  # costs seconds, and the base needs none

            load(model, directory, name=name)
        return cls(model, options, tuple(adapters or {}))

    def activate(self, name: str | None) -> None:
        """Switch the model to one adapter, or to the bare base by None or `base`."""
        name = None if name == BASE else name
        if name == self._active:
            return
        if name is not None and name not in self.adapters:
            loaded = ", ".join(self.adapters) or "none"
            raise ValueError(f"adapter {name}: not loaded; loaded: {loaded}")
        self._set_adapter(name)

    def _set_adapter(self, name: str | None) -> None:
        from espnet_peft.adapters import set_adapter

        set_adapter(self.model, name)
        self._active = name

    @torch.inference_mode()
    def decode_batch(
        self,
        speech: torch.Tensor,
        lengths: torch.Tensor,
        languages: Sequence[str | None],
        adapter_names: Sequence[str | None] | None = None,
    ) -> list[Hypothesis]:
        """Transcribe a batch; the result of an utterance does not depend on the others.

        speech: (B, T, n_mels) features or (B, n) samples at 16 kHz, padded; lengths: (B,);
        languages: of the prompts (None for models that know none); adapter_names: None or
        `base` stands for no adapter. Raises ValueError on unknown languages or adapters.
        """
        tokenizer, task = self.model.tokenizer, self.options.task
        prompts = [tokenizer.prompt(language, task=task) for language in languages]
        names = list(adapter_names) if adapter_names is not None else [None] * len(prompts)
        groups: dict[tuple[str | None, int], list[int]] = {}
        for row, (name, prompt) in enumerate(zip(names, prompts, strict=True)):
            groups.setdefault((None if name == BASE else name, len(prompt)), []).append(row)
        results: list[Hypothesis | None] = [None] * len(prompts)
        for (name, _), rows in groups.items():
            self.activate(name)
            part = torch.tensor([prompts[row] for row in rows], device=self.model.device)
            for row, result in zip(rows, self._search(speech, lengths, rows, part), strict=True):
                results[row] = self._readable(result)
        return results

    def _search(self, speech, lengths, rows: list[int], prompts) -> list[Hypothesis]:
        """Encode and search the given rows with the active adapter."""
        if len(rows) < len(lengths):
            lengths = lengths[rows]
            speech = speech[rows, : int(lengths.max())]
        lengths = lengths.to(self.model.device)
        rate = SAMPLES_PER_SECOND if speech.dim() == 2 else FRAMES_PER_SECOND
        enc, enc_lengths = self.model.encode(speech.to(self.model.device), lengths)
        search = greedy if self.options.beam_size == 1 else beam
        return search(self.model, enc, enc_lengths, prompts, self.options, lengths / rate)

    def _readable(self, result: Hypothesis) -> Hypothesis:
        """Fill in the text and a readable piece for every token."""
        tokenizer = self.model.tokenizer
        # A byte token may be a line separator, which would break the output files.
        text = " ".join(tokenizer.decode(result.tokens).split())
        pieces = [tokenizer.decode([token]) for token in result.tokens]
        pieces = ["".join(piece.replace(" ", "▁").split()) or "▁" for piece in pieces]
        return replace(result, text=text, pieces=pieces)
