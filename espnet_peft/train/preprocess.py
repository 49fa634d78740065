"""What one utterance becomes before it is batched: features, and tokens to teach with."""

from __future__ import annotations

import numpy as np

INT16_SCALE = 1.0 / 32768.0


class Preprocessor:
    """Join `text` and `lang` into `prompt + tokens + eot`, and check the speech.

    In: `speech` (T, n_mels) features or (n,) samples, `text` and `lang` strings.
    Out: `speech` float32, `text` int64 (U,). `int16` says that samples come as 16-bit integers.
    """

    def __init__(self, tokenizer, int16: bool = False) -> None:
        self.tokenizer = tokenizer
        self.int16 = int16

    def __call__(self, utt_id: str, data: dict) -> dict[str, np.ndarray]:
        speech = np.asarray(data["speech"], dtype=np.float32)
        if speech.ndim == 1 and self.int16:
            speech = speech * np.float32(INT16_SCALE)
        if not np.isfinite(speech).all():
            raise ValueError(
                f"{utt_id}: speech holds NaN or inf; extract the features again, or remove it"
            )
        tokens = target_tokens(self.tokenizer, data["text"], data["lang"])
        return {"speech": speech, "text": np.array(tokens, dtype=np.int64)}

    def __repr__(self) -> str:
        return f"Preprocessor(vocab_size={self.tokenizer.vocab_size}, int16={self.int16})"


def target_tokens(tokenizer, text: str, language: str) -> list[int]:
    """Token ids of the prompt for `language`, of `text`, and the end."""
    return [*tokenizer.prompt(language), *tokenizer.encode(text), tokenizer.eot]
