"""What a search may produce: forbidden tokens and length limits."""

from __future__ import annotations

import torch

from espnet_peft.decode.options import SearchOptions

ENCODER_FRAMES_PER_SECOND = 50
LEAST_LIMIT = 8  # a short answer to a fraction of a second is no loop


def token_bias(model, options: SearchOptions) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors (V,) of 0 and -inf to add to the logits: for the first step, and for all others."""
    tokenizer = model.tokenizer
    suppress = tokenizer.suppress if options.suppress is None else options.suppress
    size = model.dims.n_vocab
    wrong = [token for token in suppress if not 0 <= token < size]
    if wrong:
        raise ValueError(f"suppress: found ids {wrong}, expected 0 to {size - 1}")
    bias = torch.zeros(size)
    bias[list(suppress)] = -torch.inf
    first = bias.clone()
    if options.suppress_blank:
        first[list(tokenizer.suppress_blank)] = -torch.inf
    return first.to(model.device), bias.to(model.device)


def length_limits(
    model,
    prompt_length: int,
    enc_lengths: torch.Tensor,
    options: SearchOptions,
    durations: torch.Tensor | None = None,
) -> torch.Tensor:
    """Most tokens (B,), end-of-text included, that each row may produce.

    durations: seconds of audio (B,); by default those of the encoder's output, which is wrong
    only where the audio is padded to 30 s. Raises ValueError where the prompt leaves no room.
    """
    room = model.dims.n_text_ctx - prompt_length
    if room < 1:
        raise ValueError(
            f"prompt of {prompt_length} tokens: expected fewer than the decoder's"
            f" {model.dims.n_text_ctx} positions"
        )
    if options.max_length is not None:
        room = min(room, options.max_length)
    limits = torch.full_like(enc_lengths, room)
    if options.max_tokens_per_second is None:
        return limits
    if durations is None:
        durations = enc_lengths / ENCODER_FRAMES_PER_SECOND
    allowed = torch.ceil(durations.to(enc_lengths.device) * options.max_tokens_per_second)
    return torch.minimum(limits, allowed.long().clamp(min=LEAST_LIMIT))
