"""Whisper with right masks, any length up to 30 s, and cached decoding.

The architecture is that of Radford et al., "Robust Speech Recognition via Large-Scale Weak
Supervision", 2022 (https://arxiv.org/abs/2212.04356); parameter names are those of
https://github.com/openai/whisper, so that its checkpoints load as they are.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espnet_peft.audio.log_mel import HOP, log_mel
from espnet_peft.models import layout
from espnet_peft.models.decoder import Decoder
from espnet_peft.models.dims import Dims
from espnet_peft.models.encoder import Encoder, Prefix
from espnet_peft.models.fingerprint import fingerprint
from espnet_peft.models.loss import attention_loss, ctc_loss
from espnet_peft.models.tokenizer import Tokenizer


class Whisper(nn.Module):
    """A speech recogniser: audio encoder, text decoder, tokenizer, and optionally a CTC head."""

    def __init__(self, dims: Dims, tokenizer: Tokenizer, ctc: bool = False) -> None:
        super().__init__()
        self.dims = dims
        self.tokenizer = tokenizer
        self.encoder = Encoder(dims)
        self.decoder = Decoder(dims)
        self.ctc = nn.Linear(dims.n_audio_state, dims.n_vocab) if ctc else None
        self.pad_to: float | None = None
        self.base_names = frozenset(self.state_dict())
        self.base_fingerprint: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.decoder.token_embedding.weight.device

    @property
    def n_encoder_layers(self) -> int:
        """Number of the encoder's blocks."""
        return self.dims.n_audio_layer

    @property
    def gradient_checkpointing(self) -> bool:
        """Whether training recomputes each block's activations in the backward pass."""
        return self.encoder.gradient_checkpointing

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, value: bool) -> None:
        self.encoder.gradient_checkpointing = self.decoder.gradient_checkpointing = value

    def encode(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a batch; returns states (B, T', D) and their lengths (B,), T' = ceil(frames / 2).

        `speech` is features (B, T, n_mels) with lengths in frames, or 16 kHz audio
        (B, n_samples) with lengths in samples. An utterance's result does not depend on the
        others in its batch. With `pad_to` = 30 each is padded to the model's whole window and
        all of that is attended to, as Whisper was trained.

        Raises:
            ValueError: longer than 30 s, or another number of mel bands than the model's.
        """
        return self.encode_rest(self.encode_prefix(speech, lengths))

    def encode_prefix(self, speech: Tensor, lengths: Tensor, layer: int = 0) -> Prefix:
        """The residual stream after the first `layer` blocks; arguments and errors of `encode`."""
        speech, lengths = speech.to(self.device), lengths.to(self.device)
        spoken = lengths
        if speech.dim() == 2:
            spoken = lengths // HOP
            speech, lengths = self._features(speech, lengths)
        self._check(speech, lengths)
        if self.pad_to is not None:
            speech, lengths = pad_window(speech, lengths, 2 * self.dims.n_audio_ctx)
        return self.encode_on(self.encoder.start(speech, lengths, spoken), layer)

    def encode_on(self, prefix: Prefix, layer: int) -> Prefix:
        """Continue a prefix up to block `layer`; the given one stays as it is.

        Raises:
            ValueError: the prefix is already past that layer, or there is no such layer.
        """
        if not prefix.layer <= layer <= self.n_encoder_layers:
            raise ValueError(
                f"encode: layer {layer}, expected {prefix.layer} to {self.n_encoder_layers}"
            )
        return self.encoder.advance(prefix, layer) if layer > prefix.layer else prefix

    def encode_rest(self, prefix: Prefix) -> tuple[Tensor, Tensor]:
        """Finish a prefix: states (B, T', D) and lengths (B,), as `encode` returns them."""
        return self.encoder.finish(prefix)

    def _features(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel of audio (B, n); with `pad_to`, over the zero-padded 30 s, as Whisper does."""
        if self.pad_to is None:
            return log_mel(audio, self.dims.n_mels, lengths), lengths // HOP
        outside = torch.arange(audio.shape[1], device=audio.device) >= lengths[:, None]
        audio = audio.masked_fill(outside, 0.0)
        window = 2 * HOP * self.dims.n_audio_ctx
        audio = F.pad(audio, (0, max(0, window - audio.shape[1])))
        return log_mel(audio, self.dims.n_mels), torch.full_like(lengths, audio.shape[1] // HOP)

    def _check(self, features: Tensor, lengths: Tensor) -> None:
        if features.dim() != 3 or features.shape[2] != self.dims.n_mels:
            raise ValueError(
                f"encode: input of shape {tuple(features.shape)}, expected"
                f" (batch, frames, {self.dims.n_mels}) or (batch, samples);"
                f" extract features with --n_mels {self.dims.n_mels}"
            )
        shortest, longest = int(lengths.min()), int(lengths.max())
        limit = 2 * self.dims.n_audio_ctx
        if features.shape[1] > limit:
            raise ValueError(
                f"encode: {features.shape[1] / 100:.1f} s of audio, expected at most"
                f" {limit / 100:.0f} s; segment it"
            )
        if shortest < 1 or longest > features.shape[1]:
            raise ValueError(
                f"encode: lengths from {shortest} to {longest},"
                f" expected 1 to {features.shape[1]} frames; drop empty utterances"
            )

    def loss(
        self,
        speech: Tensor,
        lengths: Tensor,
        tokens: Tensor,
        token_lengths: Tensor,
        prompt_length: int,
        label_smoothing: float = 0.0,
        ctc_weight: float = 0.0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Training loss, a scalar, and statistics: loss, loss_att, acc, and loss_ctc where used.

        `tokens` (B, L) hold prompt, text and end of text, then -1; `token_lengths` (B,) count
        all but the -1. Cross-entropy counts the tokens after the prompt. CTC sees the text alone.
        """
        if ctc_weight > 0 and self.ctc is None:
            raise ValueError("ctc_weight: base has no CTC head, expected ctc_weight 0; set it to 0")
        tokens, token_lengths = tokens.to(self.device), token_lengths.to(self.device)
        enc, enc_lengths = self.encode(speech, lengths)
        inputs = tokens[:, :-1].masked_fill(tokens[:, :-1] < 0, self.tokenizer.eot)
        logits = self.decoder(inputs, enc, enc_lengths)
        loss, accuracy = attention_loss(
            logits, tokens, token_lengths, prompt_length, label_smoothing
        )
        stats = {"loss_att": loss.detach(), "acc": accuracy}
        if ctc_weight > 0:
            ctc = ctc_loss(
                self.ctc(enc), enc_lengths, tokens, token_lengths, prompt_length, self.tokenizer.eot
            )
            stats["loss_ctc"] = ctc.detach()
            loss = (1 - ctc_weight) * loss + ctc_weight * ctc
        stats["loss"] = loss.detach()
        return loss, stats

    def layers(self) -> list[layout.LayerSpec]:
        """Where adapters may go, block by block."""
        return layout.layers(self.dims.n_audio_layer, self.dims.n_text_layer)

    def final_norms(self) -> list[tuple[str, str]]:
        """(side, module path) of the norms that belong to no block."""
        return [("encoder", "encoder.ln_post"), ("decoder", "decoder.ln")]

    def hf_name(self, name: str) -> str:
        """Path of a module or parameter in transformers' WhisperForConditionalGeneration."""
        return layout.to_hf(name)

    def from_hf_name(self, name: str) -> str:
        """Path here of a path in transformers' WhisperForConditionalGeneration."""
        return layout.from_hf(name)

    def fingerprint(self) -> str:
        """Hash of the base's weights as they are now; adapters around them do not count."""
        return fingerprint(self)


def pad_window(features: Tensor, lengths: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Pad features (B, T, n_mels) to `frames` by the value that silence has in each utterance.

    Whisper cuts its log-mel at 8 decades below the maximum, which is 2.0 after its scaling.
    Returns (B, frames, n_mels), and lengths that are all `frames`.
    """
    size = features.shape[1]
    outside = (torch.arange(size, device=features.device) >= lengths[:, None])[:, :, None]
    top = features.masked_fill(outside, -math.inf).amax(dim=(1, 2))
    window = (top - 2.0)[:, None, None].repeat(1, frames, features.shape[2])
    window[:, :size] = torch.where(outside, window[:, :size], features)
    return window, torch.full_like(lengths, frames)
