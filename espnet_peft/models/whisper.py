"""Whisper with right masks, any length up to 30 s, and cached decoding.

The architecture is that of Radford et al., "Robust Speech Recognition via Large-Scale Weak
Supervision", 2022 (https://arxiv.org/abs/2212.04356); parameter names are those of
https://github.com/openai/whisper, so that its checkpoints load as they are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from espnet_peft.audio.log_mel import log_mel
from espnet_peft.models import layout
from espnet_peft.models.attention import ResidualBlock, key_mask
from espnet_peft.models.cache import Cache
from espnet_peft.models.fingerprint import fingerprint
from espnet_peft.models.loss import attention_loss, ctc_loss
from espnet_peft.models.tokenizer import Tokenizer

WINDOW_FRAMES = 3000  # 30 s at 100 frames a second
WINDOW_SAMPLES = 480_000


@dataclass(frozen=True)
class Dims:
    """Sizes of a Whisper; the fields are those of OpenAI's `ModelDimensions`."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    def asdict(self) -> dict[str, int]:
        """Fields as a dict, for configs."""
        return asdict(self)


class Encoder(nn.Module):
    """Two convolutions and a stack of self-attention blocks over log-mel frames."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        state = dims.n_audio_state
        self.conv1 = nn.Conv1d(dims.n_mels, state, 3, padding=1)
        self.conv2 = nn.Conv1d(state, state, 3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(dims.n_audio_ctx, state))
        self.blocks = nn.ModuleList(
            ResidualBlock(state, dims.n_audio_head, False, i) for i in range(dims.n_audio_layer)
        )
        self.ln_post = nn.LayerNorm(state)
        self.prompt: nn.Module | None = None
        self.gradient_checkpointing = False

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode features (B, T, n_mels) of `lengths` (B,) frames.

        Returns states (B, ceil(T/2), D) and their lengths. Frames after an utterance's end are
        zero before each convolution, as a convolution pads it when the utterance is alone.
        """
        size = features.shape[1]
        x = features.to(self.conv1.weight.dtype).transpose(1, 2)
        inside = key_mask(lengths, size)
        padded = None if inside is None else ~inside[:, 0]  # (B, 1, T)
        if padded is not None:
            x = x.masked_fill(padded, 0.0)
        x = F.gelu(self.conv1(x))
        if padded is not None:
            x = x.masked_fill(padded, 0.0)
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        x = x + self.positional_embedding[: x.shape[1]].to(x.dtype)

        x, n_prompt = _prepend(self.prompt, x)
        mask = key_mask(lengths + n_prompt, x.shape[1])
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, None, mask, use_reentrant=False)
            else:
                x = block(x, None, mask)
        return self.ln_post(x[:, n_prompt:]), lengths


class Decoder(nn.Module):
    """Causal blocks over tokens with attention to the encoder; output tied to the embedding."""

    def __init__(self, dims: Dims) -> None:
        super().__init__()
        state = dims.n_text_state
        self.token_embedding = nn.Embedding(dims.n_vocab, state)
        self.positional_embedding = nn.Parameter(torch.zeros(dims.n_text_ctx, state))
        self.blocks = nn.ModuleList(
            ResidualBlock(state, dims.n_text_head, True, i) for i in range(dims.n_text_layer)
        )
        self.ln = nn.LayerNorm(state)
        self.prompt: nn.Module | None = None
        self.gradient_checkpointing = False

    def forward(
        self,
        tokens: Tensor,
        enc: Tensor | None,
        enc_lengths: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Logits (B, U, V) in float32 that follow each of tokens (B, U).

        With a cache, `tokens` are the new ones only, and the encoder's states are read at the
        first call alone (None will do later). A soft prompt stands before the first token,
        without positions; attention is causal over both together.

        Raises:
            ValueError: more tokens than there are positions.
        """
        past = cache.length if cache is not None else 0
        end = past + tokens.shape[1]
        if end > len(self.positional_embedding):
            limit = len(self.positional_embedding)
            raise ValueError(f"decoder: {end} tokens, expected at most {limit}; shorten the text")
        x = self.token_embedding(tokens) + self.positional_embedding[past:end]
        n_prompt = 0
        if past == 0:
            x, n_prompt = _prepend(self.prompt, x)
        source_mask = self._source_mask(enc, enc_lengths, cache, tokens)
        mask, causal = _causal_mask(x, past + (cache.prefix if cache is not None else 0))
        for block in self.blocks:
            if self.gradient_checkpointing and self.training and cache is None:
                x = checkpoint(block, x, enc, mask, source_mask, causal, use_reentrant=False)
            else:
                x = block(x, enc, mask, source_mask, causal, cache)
        if cache is not None:
            cache.length = end
            cache.prefix += n_prompt
        x = self.ln(x[:, n_prompt:])
        return F.linear(x, self.token_embedding.weight.to(x.dtype)).float()

    @staticmethod
    def _source_mask(
        enc: Tensor | None, enc_lengths: Tensor | None, cache: Cache | None, tokens: Tensor
    ) -> Tensor | None:
        if cache is not None and cache.rows is not None:
            return cache.cross_mask
        mask = key_mask(enc_lengths.to(enc.device), enc.shape[1])
        if cache is not None:
            cache.rows = torch.arange(len(tokens), device=tokens.device)
            cache.cross_mask = mask
        return mask


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
        others in its batch. With `pad_to` = 30 each is padded to 30 s and all of that is
        attended to, as Whisper was trained.

        Raises:
            ValueError: longer than 30 s, or another number of mel bands than the model's.
        """
        speech, lengths = speech.to(self.device), lengths.to(self.device)
        if speech.dim() == 2:
            speech, lengths = self._features(speech, lengths)
        self._check(speech, lengths)
        if self.pad_to is not None and speech.shape[1] < WINDOW_FRAMES:
            speech, lengths = pad_window(speech, lengths)
        elif self.pad_to is not None:
            speech, lengths = pad_window(speech[:, :WINDOW_FRAMES], lengths)
        return self.encoder(speech, lengths)

    def _features(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel of audio (B, n); with `pad_to`, over the zero-padded 30 s, as Whisper does."""
        if self.pad_to is None:
            return log_mel(audio, self.dims.n_mels, lengths), lengths // 160
        outside = torch.arange(audio.shape[1], device=audio.device) >= lengths[:, None]
        audio = audio.masked_fill(outside, 0.0)
        audio = F.pad(audio, (0, max(0, WINDOW_SAMPLES - audio.shape[1])))
        return log_mel(audio, self.dims.n_mels), torch.full_like(lengths, audio.shape[1] // 160)

    def _check(self, features: Tensor, lengths: Tensor) -> None:
        if features.dim() != 3 or features.shape[2] != self.dims.n_mels:
            raise ValueError(
                f"encode: input of shape {tuple(features.shape)}, expected"
                f" (batch, frames, {self.dims.n_mels}) or (batch, samples);"
                f" extract features with --n_mels {self.dims.n_mels}"
            )
        shortest, longest = int(lengths.min()), int(lengths.max())
        limit = 2 * self.dims.n_audio_ctx
        if longest > limit or (self.pad_to is None and features.shape[1] > limit):
            found = max(longest, features.shape[1]) / 100
            raise ValueError(
                f"encode: {found:.1f} s of audio, expected at most {limit / 100:.0f} s; segment it"
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


def pad_window(features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Pad features (B, T, n_mels) to 3000 frames by the value that silence has in each utterance.

    Whisper cuts its log-mel at 8 decades below the maximum, which is 2.0 after its scaling.
    Returns the features and lengths of 3000 frames.
    """
    size = features.shape[1]
    outside = (torch.arange(size, device=features.device) >= lengths[:, None])[:, :, None]
    top = features.masked_fill(outside, -math.inf).amax(dim=(1, 2))
    window = (top - 2.0)[:, None, None].repeat(1, WINDOW_FRAMES, features.shape[2])
    window[:, :size] = torch.where(outside, window[:, :size], features)
    return window, torch.full_like(lengths, WINDOW_FRAMES)


def sinusoids(length: int, channels: int, longest: float = 10_000.0) -> Tensor:
    """Encoder positions (length, channels): sines, then cosines, of geometric wavelengths."""
    steps = channels // 2
    rates = torch.exp(-math.log(longest) / (steps - 1) * torch.arange(steps))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _prepend(prompt: nn.Module | None, x: Tensor) -> tuple[Tensor, int]:
    """Put a soft prompt before x (B, T, D); returns that and the prompt's length."""
    if prompt is None:
        return x, 0
    virtual = prompt(x.shape[0], x.dtype, x.device)
    if virtual.shape[1] == 0:
        return x, 0
    return torch.cat([virtual, x], dim=1), virtual.shape[1]


def _causal_mask(x: Tensor, past: int) -> tuple[Tensor | None, bool]:
    """Mask of new positions over `past` and themselves, and whether the kernel's own will do."""
    new = x.shape[1]
    if new == 1:
        return None, False
    if past == 0:
        return None, True
    ones = torch.ones(new, past + new, dtype=torch.bool, device=x.device)
    return ones.tril(past), False
