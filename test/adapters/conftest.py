"""Small bases with random weights."""

import pytest
import torch

from espnet_peft import adapters
from espnet_peft.models import build_whisper

DIMS = {
    "n_audio_state": 32,
    "n_audio_head": 2,
    "n_audio_layer": 3,
    "n_text_state": 32,
    "n_text_head": 2,
    "n_text_layer": 2,
    "n_mels": 80,
    "n_audio_ctx": 100,
    "n_text_ctx": 48,
    "n_vocab": 40,
}


class Letters:
    """As much of a tokenizer as a base needs."""

    vocab_size, eot, languages = 40, 0, ("hi", "pa")
    suppress, suppress_blank = [1, 2, 3], [0]


def make_base(seed=1, **dims):
    torch.manual_seed(seed)
    model = build_whisper({**DIMS, **dims}, Letters(), ctc=True).eval()
    # Biases and norms of a trained model are neither 0 nor 1.
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "ln" in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.fixture
def base():
    return make_base()


@pytest.fixture
def make():
    return make_base


@pytest.fixture
def run():
    """Return a function from a model to its logits on a fixed batch of two."""
    generator = torch.Generator().manual_seed(7)
    speech = torch.randn(2, 40, 80, generator=generator)
    tokens = torch.randint(4, 40, (2, 6), generator=generator)

    def run(model):
        with torch.no_grad():
            enc, lengths = model.encode(speech, torch.tensor([40, 31]))
            return model.decoder(tokens, enc, lengths)

    return run


@pytest.fixture
def train():
    """Return a function that trains a model for two rounds of train() and eval()."""
    generator = torch.Generator().manual_seed(8)
    speech = torch.randn(2, 40, 80, generator=generator)
    tokens = torch.randint(4, 40, (2, 6), generator=generator)
    batch = (speech, torch.tensor([40, 40]), tokens, torch.tensor([6, 6]), 2)

    def train(model, lr=0.02):
        trainable = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trainable, lr=lr, weight_decay=0.1)
        for _ in range(2):
            model.train()
            for _ in range(2):
                loss, _ = model.loss(*batch, ctc_weight=0.3)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                model.loss(*batch)

    return train


# (method, options, can be merged) of adapters that can share a batch
SHARING = {
    "wide": ("lora", {"r": 6, "lora_alpha": 9}, True),
    "qv": ("lora", {"r": 2, "target": "qv", "side": "decoder", "use_rslora": True}, True),
    "ears": ("lora", {"r": 3, "side": "encoder", "layers": "1-2", "target": "ffn"}, True),
    "cross": ("lora", {"r": 5, "target": r"decoder\..*\.cross_attn\.(key|value)"}, True),
    "start": ("lora", {"r": 4, "init_lora_weights": "pissa"}, True),
    "houlsby": ("adapter", {"bottleneck": 8}, False),
    "pfeiffer": ("adapter", {"bottleneck": 12, "kind": "pfeiffer", "activation": "relu"}, False),
    "parallel": ("adapter", {"bottleneck": 8, "kind": "parallel", "scale": 3.0}, False),
    "set": ("lora+adapter", {"lora": {"r": 2}, "adapter": {"bottleneck": 8}}, False),
}


def write_adapter(base, directory, method, conf, seed):
    """Save an adapter with random weights."""
    adapters.inject(base, adapters.make_config(method, conf), "new")
    generator = torch.Generator().manual_seed(seed)
    for parameter in adapters.trainable_state_dict(base).values():
        parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    adapters.save(base, directory, "new")
    adapters.delete(base, "new")
    return directory


@pytest.fixture(scope="session")
def shelf(tmp_path_factory):
    """Directories, by name, of adapters of the mini base that differ in all that may differ."""
    root, base = tmp_path_factory.mktemp("shelf"), make_base()
    return {
        name: write_adapter(base, root / name, method, conf, seed)
        for seed, (name, (method, conf, _)) in enumerate(SHARING.items())
    }


@pytest.fixture
def write():
    return write_adapter


@pytest.fixture
def alone(shelf):
    """Return a function that makes a base with one adapter merged, or loaded, or with none."""

    def alone(name):
        model = make_base()
        if name is not None:
            adapters.load(model, shelf[name], name)
            if SHARING[name][2]:
                adapters.merge(model, name)
        return model

    return alone
