"""Tiny Whispers with random weights whose outputs are far from uniform, and which do end."""

from dataclasses import dataclass, field

import pytest
import torch

from espnet_peft.models import build_whisper


@dataclass
class StubTokenizer:
    """Tokens are numbers; the last is end-of-text, the two before are the prompt's."""

    vocab_size: int = 8
    languages: tuple = ("aa", "bb")
    suppress: list = field(default_factory=list)
    suppress_blank: list = field(default_factory=list)

    @property
    def eot(self):
        return self.vocab_size - 1

    def prompt(self, language, task="transcribe", timestamps=False):
        return [self.vocab_size - 2, self.languages.index(language)]

    def decode(self, ids):
        return " ".join(map(str, ids))


def make_tiny(n_vocab=8, seed=0, state=32, n_text_ctx=24, peak=3.0, eot_bonus=0.0, n_audio_layer=1):
    """A random Whisper of `state` channels; a higher peak makes surer predictions.

    eot_bonus is added to the end-of-text logit, by way of the last norm's bias.
    """
    torch.manual_seed(seed)
    dims = dict(
        n_audio_state=state,
        n_audio_head=2,
        n_audio_layer=n_audio_layer,
        n_text_state=state,
        n_text_head=2,
        n_text_layer=2,
        n_text_ctx=n_text_ctx,
    )
    model = build_whisper(dims, StubTokenizer(n_vocab)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "blocks" in name:
                parameter.mul_(3.0)
        model.decoder.positional_embedding.normal_()
        model.decoder.blocks[0].cross_attn.out.weight.mul_(10.0)
        torch.nn.init.orthogonal_(model.decoder.token_embedding.weight).mul_(peak)
        direction = model.decoder.token_embedding.weight[-1]
        model.decoder.ln.bias.add_(eot_bonus * direction / direction.square().sum())
    return model


@pytest.fixture
def tiny():
    """The factory of tiny models."""
    return make_tiny


@pytest.fixture
def speech():
    """A factory of encoder inputs: padded features (B, T, 80) and lengths (B,)."""

    def make(n_rows, seed=0, shortest=20, longest=90):
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(shortest, longest, (n_rows,), generator=generator)
        features = torch.randn(n_rows, int(lengths.max()), 80, generator=generator)
        for row, length in enumerate(lengths):
            features[row, length:] = 0
        return features, lengths

    return make
