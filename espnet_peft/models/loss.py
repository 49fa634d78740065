"""Attention and CTC losses over padded token batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_loss(
    logits: Tensor,
    tokens: Tensor,
    token_lengths: Tensor,
    prompt_length: int,
    label_smoothing: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy per token after the prompt, and the share of those predicted right.

    logits (B, L-1, V) follow tokens[:, :-1]; tokens (B, L) hold prompt, text, end, then -1.
    """
    first = max(prompt_length - 1, 0)
    logits, targets = logits[:, first:], tokens[:, first + 1 :]
    position = torch.arange(first + 1, tokens.shape[1], device=tokens.device)
    targets = targets.masked_fill(position >= token_lengths[:, None], -1)
    loss = F.cross_entropy(
        logits.flatten(0, 1).float(),
        targets.flatten(),
        ignore_index=-1,
        label_smoothing=label_smoothing,
    )
    with torch.no_grad():
        counted = targets >= 0
        right = (logits.argmax(-1) == targets) & counted
        accuracy = right.sum() / counted.sum().clamp(min=1)
    return loss, accuracy


def ctc_loss(
    logits: Tensor,
    lengths: Tensor,
    tokens: Tensor,
    token_lengths: Tensor,
    prompt_length: int,
    blank: int,
) -> Tensor:
    """CTC loss per text token, mean over utterances (Graves et al., 2006).

    logits (B, T', V) of `lengths` frames; the text is tokens (B, L) without prompt and end.
    An utterance with more text than frames counts as zero.
    """
    text_lengths = (token_lengths - prompt_length - 1).clamp(min=0)
    text = tokens[:, prompt_length : prompt_length + max(int(text_lengths.max()), 1)]
    return F.ctc_loss(
        logits.float().log_softmax(-1).transpose(0, 1),
        text.masked_fill(text < 0, 0),
        lengths,
        text_lengths,
        blank=blank,
        zero_infinity=True,
    )
