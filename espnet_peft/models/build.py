"""A Whisper with random weights, to be trained from scratch."""

from __future__ import annotations

import torch
from torch import nn

from espnet_peft.models.dims import Dims
from espnet_peft.models.fingerprint import fingerprint
from espnet_peft.models.tokenizer import Tokenizer
from espnet_peft.models.whisper import Whisper

STEM_GAIN = 2.0  # the stem's default gain loses loudness that the positions then outshout
RESIDUAL_GAIN = 0.3  # blocks begin near identity, so that small models need little warm-up
DEFAULTS = {"n_mels": 80, "n_audio_ctx": 1500, "n_text_ctx": 224}


def build_whisper(dims: dict | Dims, tokenizer: Tokenizer, ctc: bool = False) -> Whisper:
    """Whisper of the given sizes, with weights from torch's random generator.

    `dims` are OpenAI's `ModelDimensions`; n_mels, n_audio_ctx, n_text_ctx and n_vocab (the
    tokenizer's) may be left out. Layers start as torch's own, but for twice the gain in the
    convolutions, 0.3 of it in the outputs of attention and feed-forward, and embeddings of
    small deviation (the output layer is tied to them).

    Raises:
        ValueError: a size is missing, unknown or wrong for the tokenizer.
    """
    model = Whisper(check_dims(dims, tokenizer), tokenizer, ctc)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv1d):
                module.weight.mul_(STEM_GAIN)
            elif name.endswith(("attn.out", "mlp.2")):
                module.weight.mul_(RESIDUAL_GAIN)
                module.bias.zero_()
        nn.init.normal_(model.decoder.token_embedding.weight, std=model.dims.n_text_state**-0.5)
        nn.init.normal_(model.decoder.positional_embedding, std=0.02)
    model.base_fingerprint = fingerprint(model)
    return model


def check_dims(dims: dict | Dims, tokenizer: Tokenizer) -> Dims:
    """Complete and check sizes; all faults are reported together."""
    known = list(Dims.__dataclass_fields__)
    given = dims.asdict() if isinstance(dims, Dims) else dims
    if not isinstance(given, dict):
        raise ValueError(f"dims: found {given!r}, expected sizes: {' '.join(known)}")
    full = {**DEFAULTS, "n_vocab": tokenizer.vocab_size, **given}
    faults = [f"{key} is unknown" for key in full if key not in known]
    faults += [f"{key} is missing" for key in known if key not in full]
    faults += [f"{k} is {v!r}" for k, v in full.items() if not isinstance(v, int) or v < 1]
    if not faults and full["n_vocab"] != tokenizer.vocab_size:
        faults.append(f"n_vocab is {full['n_vocab']}, the tokenizer's is {tokenizer.vocab_size}")
    if not faults and full["n_audio_state"] != full["n_text_state"]:
        faults.append("n_audio_state and n_text_state differ")
    for side in ("audio", "text"):
        if not faults and full[f"n_{side}_state"] % full[f"n_{side}_head"]:
            faults.append(f"n_{side}_state is not a multiple of n_{side}_head")
    if faults:
        raise ValueError(f"dims: {'; '.join(faults)}; give positive integers: {' '.join(known)}")
    return Dims(**full)
