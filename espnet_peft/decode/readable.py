"""Tokens as people read them."""

from __future__ import annotations

from dataclasses import replace

from espnet_peft.decode.hypothesis import Hypothesis
from espnet_peft.models.tokenizer import Tokenizer


class Readable:
    """Fills in text and pieces of hypotheses; what a token looks like is worked out once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._pieces: dict[tuple[int | None, int], str] = {}

    def __call__(self, result: Hypothesis) -> Hypothesis:
        """The same with its text, and a readable piece for every token."""
        # A byte token may be a line separator, which would break the output files.
        text = " ".join(self.tokenizer.decode(result.tokens).split())
        pairs = zip([None, *result.tokens], result.tokens, strict=False)
        return replace(result, text=text, pieces=[self._piece(*pair) for pair in pairs])

    def _piece(self, previous: int | None, token: int) -> str:
        """What a token adds to the text after the previous one; `▁` is a space."""
        if (previous, token) not in self._pieces:
            decode = self.tokenizer.decode
            context = [] if previous is None else [previous]
            before, both = decode(context), decode([*context, token])
            # Tokenizers may drop a space at the start, so that only the pair shows it.
            piece = both[len(before) :] if both.startswith(before) else decode([token])
            self._pieces[previous, token] = "".join(piece.replace(" ", "▁").split()) or "▁"
        return self._pieces[previous, token]
