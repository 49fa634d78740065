"""A base model with its loaded adapters and search options: speech in, text out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from espnet_peft.decode.beam import beam
from espnet_peft.decode.greedy import greedy
from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.decode.options import SearchOptions

logger = logging.getLogger(__name__)

BASE = "base"  # the name that stands for no adapter
SAMPLES_PER_SECOND = 16000
FRAMES_PER_SECOND = 100


class Recogniser:
    """Decodes batches whose utterances may differ in language and adapter.

    model: a base model; adapters: names of the adapters loaded into it; merge: put the active
    adapter into the base's weights where its method allows that, which makes decoding faster and
    switching slower, and changes results by rounding.
    """

    def __init__(
        self,
        model,
        options: SearchOptions | None = None,
        adapters: Sequence[str] = (),
        merge: bool = False,
    ) -> None:
        self.model = model.eval()
        self.options = options or SearchOptions()
        self.adapters = tuple(adapters)
        self.merge = merge
        self._active: str | None = None
        self._merged = False
        self._pieces: dict[tuple[int | None, int], str] = {}
        if self.adapters:
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
        return cls(model, options, tuple(adapters or {}), merge)

    def activate(self, name: str | None) -> None:
        """Switch the model to one adapter, or to the bare base by None or `base`."""
        name = None if name == BASE else name
        if name == self._active:
            return
        if name is not None and name not in self.adapters:
            loaded = ", ".join(self.adapters) or "none"
            raise ValueError(f"adapter {name}: not loaded; loaded: {loaded}")
        self._switch(name)

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
        # A byte token may be a line separator, which would break the output files.
        text = " ".join(self.model.tokenizer.decode(result.tokens).split())
        pairs = zip([None, *result.tokens], result.tokens, strict=False)
        return replace(result, text=text, pieces=[self._piece(*pair) for pair in pairs])

    def _piece(self, previous: int | None, token: int) -> str:
        """What a token adds to the text after the previous one; `▁` is a space."""
        if (previous, token) not in self._pieces:
            decode = self.model.tokenizer.decode
            context = [] if previous is None else [previous]
            before, both = decode(context), decode([*context, token])
            # Tokenizers may drop a space at the start, so that only the pair shows it.
            piece = both[len(before) :] if both.startswith(before) else decode([token])
            self._pieces[previous, token] = "".join(piece.replace(" ", "▁").split()) or "▁"
        return self._pieces[previous, token]
