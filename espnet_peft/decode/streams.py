"""Several decoders for one utterance, whose probabilities are mixed at every step."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Streams:
    """What K decoders of each of U utterances count for.

    log_weights: (U, K) natural logarithms of weights that sum to 1; -inf is a decoder that counts
    for nothing. The rows of a search are then U*K, the decoders of an utterance side by side, each
    with its own encoder states, prompt and adapter; all of them read the same tokens.
    """

    log_weights: torch.Tensor

    @property
    def count(self) -> int:
        """Decoders of an utterance."""
        return self.log_weights.shape[1]

    def mix(self, logits: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (U*W, V) of logits (U*W*K, V), W beams an utterance.

        log sum_k w_k p_k: an average of the distributions, not of their logarithms, so that a
        decoder that is sure of a token need not be agreed with by all.
        """
        n_utts, count = self.log_weights.shape
        each = logits.log_softmax(dim=-1).view(n_utts, -1, count, logits.size(-1))
        return (each + self.log_weights[:, None, :, None]).logsumexp(dim=2).flatten(0, 1)

    def select(self, index: torch.Tensor) -> Streams:
        """Only the utterances `index`."""
        return Streams(self.log_weights[index])


def rows_of(places: torch.Tensor, count: int) -> torch.Tensor:
    """Rows (P*K,) of the K decoders at each of places (P,)."""
    if count == 1:
        return places
    return (places[:, None] * count + torch.arange(count, device=places.device)).flatten()
