"""Names of Whisper's parts: by role for adapters, and as transformers calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

PROJECTIONS = {"q": "query", "k": "key", "v": "value", "o": "out"}


@dataclass(frozen=True)
class LayerSpec:
    """Module paths of one block.

    Attributes:
        side: "encoder" or "decoder".
        index: number of the block on its side.
        modules: paths by role: q k v o (of self and cross attention together), attn_out (the
            same as o), ffn_in, ffn_out, and ffn (the feed-forward module as a whole).
        norms: paths of the block's layer norms.
        source: paths of those of a decoder block's modules that read the encoder's states.
    """

    side: str
    index: int
    modules: dict[str, list[str]]
    norms: list[str]
    source: list[str] = field(default_factory=list)


def layers(n_encoder: int, n_decoder: int) -> list[LayerSpec]:
    """The blocks of a Whisper with so many layers, encoder first."""
    specs = [_layer("encoder", i, ["attn"]) for i in range(n_encoder)]
    return specs + [_layer("decoder", i, ["attn", "cross_attn"]) for i in range(n_decoder)]


def _layer(side: str, index: int, attentions: list[str]) -> LayerSpec:
    block = f"{side}.blocks.{index}"
    modules = {
        role: [f"{block}.{attention}.{projection}" for attention in attentions]
        for role, projection in PROJECTIONS.items()
    }
    modules["attn_out"] = list(modules["o"])
    modules["ffn_in"] = [f"{block}.mlp.0"]
    modules["ffn_out"] = [f"{block}.mlp.2"]
    modules["ffn"] = [f"{block}.mlp"]
    norms = [f"{block}.{name}_ln" for name in [*attentions, "mlp"]]
    crosses = [name for name in attentions if name == "cross_attn"]
    source = [f"{block}.{cross}.{kind}" for cross in crosses for kind in ("key", "value")]
    return LayerSpec(side, index, modules, norms, source)


# (ours, transformers'), tried in order at the start of a path; \1 is the block's number
_TOP = [
    ("encoder.conv1", "model.encoder.conv1"),
    ("encoder.conv2", "model.encoder.conv2"),
    ("encoder.positional_embedding", "model.encoder.embed_positions.weight"),
    ("encoder.ln_post", "model.encoder.layer_norm"),
    ("decoder.token_embedding", "model.decoder.embed_tokens"),
    ("decoder.positional_embedding", "model.decoder.embed_positions.weight"),
    ("decoder.ln", "model.decoder.layer_norm"),
]
_BLOCK = [
    *[
        (f"{ours}.{projection}", f"{theirs}.{renamed}")
        for ours, theirs in [("attn", "self_attn"), ("cross_attn", "encoder_attn")]
        for projection, renamed in [
            ("query", "q_proj"),
            ("key", "k_proj"),
            ("value", "v_proj"),
            ("out", "out_proj"),
        ]
    ],
    ("attn_ln", "self_attn_layer_norm"),
    ("cross_attn_ln", "encoder_attn_layer_norm"),
    ("mlp_ln", "final_layer_norm"),
    ("mlp.0", "fc1"),
    ("mlp.2", "fc2"),
    # modules whose insides have no counterpart of the same shape keep their names
    ("attn", "self_attn"),
    ("cross_attn", "encoder_attn"),
]


def to_hf(name: str) -> str:
    """Path in transformers' WhisperForConditionalGeneration; what follows a known module stays."""
    block = re.match(r"(encoder|decoder)\.blocks(?:\.(\d+)(?:\.(.+))?)?$", name)
    if block:
        side, index, rest = block.groups()
        parts = [f"model.{side}.layers", index, rest and _swap(rest, _BLOCK)]
        return ".".join(part for part in parts if part)
    swapped = _swap(name, _TOP)
    if swapped == name and re.match(r"(encoder|decoder)(\.|$)", name):
        return f"model.{name}"
    return swapped


def from_hf(name: str) -> str:
    """Path here of a path in transformers' WhisperForConditionalGeneration."""
    if name.startswith("proj_out"):  # tied to the embedding
        return "decoder.token_embedding" + name[len("proj_out") :]
    block = re.match(r"model\.(encoder|decoder)\.layers(?:\.(\d+)(?:\.(.+))?)?$", name)
    if block:
        side, index, rest = block.groups()
        parts = [f"{side}.blocks", index, rest and _swap(rest, [p[::-1] for p in _BLOCK])]
        return ".".join(part for part in parts if part)
    swapped = _swap(name, [pair[::-1] for pair in _TOP])
    return swapped.removeprefix("model.") if swapped == name else swapped


def _swap(path: str, pairs: list[tuple[str, str]]) -> str:
    """Replace the first of `pairs` that is the path or a whole-part start of it."""
    for old, new in pairs:
        if path == old or path.startswith(old + "."):
            return new + path[len(old) :]
    return path
