"""The base's own language token as a router: nothing to train, for comparison."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from espnet_peft.models import Whisper
from espnet_peft.routing.frames import FRAME_SECONDS
from espnet_peft.routing.router import Routed, check_finite
from espnet_peft.routing.windows import lone_window_logits, spread


class TokenRouter:
    """Probabilities of the language tokens after the start token, over the given languages.

    This is what Whisper was trained to predict (A. Radford et al., "Robust Speech Recognition
    via Large-Scale Weak Supervision", 2022, section 2.3). A base that was trained without a loss
    on that token knows nothing of it. There is no answer "other": its threshold is 0.

    Raises:
        ValueError: the tokenizer has no token of a language.
    """

    def __init__(
        self,
        model: Whisper,
        languages: Sequence[str],
        window_seconds: float = 1.0,
        hop_seconds: float = 0.1,
    ) -> None:
        if not languages:
            raise ValueError("token router: no languages, expected some; give --languages")
        tokenizer = model.tokenizer
        prompts = [tokenizer.prompt(language) for language in languages]
        if any(prompt[1] == tokenizer.prompt(None)[1] for prompt in prompts):
            raise ValueError(
                "token router: the base's tokenizer has no language tokens, expected a"
                " multilingual base; train a router"
            )
        self.languages = tuple(languages)
        self.start = prompts[0][0]
        self.tokens = [prompt[1] for prompt in prompts]
        self.layer = model.n_encoder_layers
        self.layers = (self.layer,)
        self.other_threshold = 0.0
        self.window = max(1, round(window_seconds / FRAME_SECONDS))
        self.hop = max(1, round(hop_seconds / FRAME_SECONDS))

    @torch.no_grad()
    def __call__(
        self, model: Whisper, speech: Tensor, lengths: Tensor, frames: bool = False
    ) -> Routed:
        """Route a batch, as `Router` does; the prefix is that of the whole encoder."""
        prefix = model.encode_prefix(speech, lengths, self.layer)
        enc, enc_lengths = model.encode_rest(prefix)

        logits = self._logits(model, enc, enc_lengths)
        found = None
        if frames:

            def hear(features: Tensor, sizes: Tensor) -> Tensor:
                own = model.encoder(features.to(model.device), sizes.to(model.device))
                return self._logits(model, *own)

            windows, counts = lone_window_logits(
                hear, speech, lengths, self.window, self.hop, model.dims.n_mels
            )
            found = spread(check_finite(windows.softmax(1)), counts, self.hop, enc.shape[1])
        return Routed(check_finite(logits.softmax(1)), found, prefix, logits)

    def _logits(self, model: Whisper, enc: Tensor, lengths: Tensor) -> Tensor:
        """Logits (B, C) of the languages' tokens after the start token."""
        start = torch.full((len(enc), 1), self.start, device=enc.device)
        return model.decoder(start, enc, lengths)[:, 0, self.tokens]
