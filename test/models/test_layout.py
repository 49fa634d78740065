"""Names of layers, and what transformers calls them."""

import torch
from torch import nn

TINY_KEYS = {
    "encoder.conv1.bias": "model.encoder.conv1.bias",
    "encoder.positional_embedding": "model.encoder.embed_positions.weight",
    "encoder.blocks.3.attn.query": "model.encoder.layers.3.self_attn.q_proj",
    "encoder.blocks.0.attn_ln.weight": "model.encoder.layers.0.self_attn_layer_norm.weight",
    "encoder.ln_post.weight": "model.encoder.layer_norm.weight",
    "decoder.token_embedding.weight": "model.decoder.embed_tokens.weight",
    "decoder.positional_embedding": "model.decoder.embed_positions.weight",
    "decoder.blocks.12.cross_attn.out.bias": "model.decoder.layers.12.encoder_attn.out_proj.bias",
    "decoder.blocks.1.cross_attn_ln": "model.decoder.layers.1.encoder_attn_layer_norm",
    "decoder.blocks.1.mlp_ln.bias": "model.decoder.layers.1.final_layer_norm.bias",
    "decoder.blocks.1.mlp.0.lora_A.weight": "model.decoder.layers.1.fc1.lora_A.weight",
    "decoder.blocks.1.mlp.2": "model.decoder.layers.1.fc2",
    "decoder.blocks.1.mlp": "model.decoder.layers.1.mlp",
    "decoder.prompt.vectors": "model.decoder.prompt.vectors",
    "decoder.ln.weight": "model.decoder.layer_norm.weight",
    "ctc.weight": "ctc.weight",
}


def test_names_map_to_transformers_and_back(miniature):
    for ours, theirs in TINY_KEYS.items():
        assert miniature.hf_name(ours) == theirs
        assert miniature.from_hf_name(theirs) == ours
    names = [name for name, _ in miniature.named_modules() if name]
    names += [name for name, _ in miniature.named_parameters()]
    assert all(miniature.from_hf_name(miniature.hf_name(name)) == name for name in names)
    assert len({miniature.hf_name(name) for name in names}) == len(names)


def test_layers_name_every_linear_and_norm(miniature):
    modules = dict(miniature.named_modules())
    layers = miniature.layers()
    assert [(spec.side, spec.index) for spec in layers] == [
        ("encoder", 0),
        ("encoder", 1),
        ("decoder", 0),
        ("decoder", 1),
    ]
    roles = {"q", "k", "v", "o", "attn_out", "ffn_in", "ffn_out", "ffn"}
    linear, norms = set(), set()
    for spec in layers:
        assert set(spec.modules) == roles
        assert spec.modules["o"] == spec.modules["attn_out"]
        reads = {name for role in "kv" for name in spec.modules[role] if ".cross_attn." in name}
        assert set(spec.source) == reads and bool(reads) == (spec.side == "decoder")
        assert len(spec.modules["q"]) == (2 if spec.side == "decoder" else 1)
        for role in roles - {"ffn"}:
            linear |= set(spec.modules[role])
        norms |= set(spec.norms)
    norms |= {name for _, name in miniature.final_norms()}
    assert linear == {n for n, m in modules.items() if isinstance(m, nn.Linear)} - {"ctc"}
    assert norms == {n for n, m in modules.items() if isinstance(m, nn.LayerNorm)}


def test_fingerprint_ignores_what_wraps_the_base(miniature):
    class Wrapped(nn.Module):
        def __init__(self, base_layer):
            super().__init__()
            self.base_layer = base_layer
            self.extra = nn.Linear(2, 2)

    before = miniature.fingerprint()
    attention = miniature.decoder.blocks[0].attn
    attention.out = Wrapped(Wrapped(attention.out))
    miniature.encoder.prompt = nn.Linear(3, 3)
    assert miniature.fingerprint() == before
    with torch.no_grad():
        attention.out.base_layer.base_layer.bias[0] += 1e-3
    assert miniature.fingerprint() != before
