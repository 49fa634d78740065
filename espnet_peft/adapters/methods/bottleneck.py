"""Method "adapter": bottleneck adapters after Houlsby, Pfeiffer, or in parallel.

Sources: https://arxiv.org/abs/1902.00751 (Houlsby), 2005.00247 (Pfeiffer), 2110.04366 (parallel).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from espnet_peft.adapters.methods.norm import norm_parameters
from espnet_peft.adapters.piece import Piece, Sharing, bottleneck
from espnet_peft.adapters.registry import Key, Method, one_of, register, within
from espnet_peft.adapters.targets import select_roles, sides_of
from espnet_peft.adapters.values import (
    add_values,
    drop_values,
    read_values,
    swap_in,
    swap_out,
    value_parameters,
)
from espnet_peft.adapters.wrap import AdapterLayer, cached, like, replace, slot_name, wrappers

ROLES = {"houlsby": ("attn_out", "ffn_out"), "pfeiffer": ("ffn_out",), "parallel": ("ffn",)}
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


@dataclass(frozen=True)
class BottleneckOptions:
    """Where and how wide.

    kind: houlsby (after attention and feed-forward), pfeiffer (after feed-forward), parallel
    (beside feed-forward); bottleneck: inner width; activation: relu gelu silu tanh;
    near_identity: start as the base itself; false starts from a random update;
    train_layernorm: train the norms of the same layers too; scale: factor of the update;
    side: encoder, decoder or both; layers: "0-5", a list, or None for all.
    """

    kind: str = "houlsby"
    bottleneck: int = 64
    activation: str = "gelu"
    near_identity: bool = True
    train_layernorm: bool = False
    dropout: float = 0.0
    scale: float = 1.0
    side: str = "both"
    layers: str | int | list[int] | None = None

    def __post_init__(self) -> None:
        one_of("kind", self.kind, tuple(ROLES))
        one_of("activation", self.activation, tuple(ACTIVATIONS))
        within("bottleneck", self.bottleneck, 8, 1024)
        within("dropout", self.dropout, 0.0, 0.95)
        sides_of(self.side)


class Bottleneck(nn.Module):
    """up(dropout(act(down(x)))) * scale, (..., width) -> (..., width)."""

    def __init__(self, width: int, options: BottleneckOptions, **like: object) -> None:
        super().__init__()
        self.down = nn.Linear(width, options.bottleneck, **like)
        self.up = nn.Linear(options.bottleneck, width, **like)
        self.activation = ACTIVATIONS[options.activation]()
        self.dropout = nn.Dropout(options.dropout)
        self.scale = options.scale
        if options.near_identity:
            nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.dropout(self.activation(self.down(x)))) * self.scale


class BottleneckLayer(AdapterLayer):
    """A wrapped module with the bottlenecks of several adapters, of which one works or none.

    A bottleneck reads the module's output, or its input where its adapter is parallel.
    """

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottlenecks = nn.ModuleDict()
        self.parallel: dict[str, bool] = {}
        self.active: str | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.base_layer(x)
        if self.active is None:
            return y
        update = self.bottlenecks[self.active](x if self.parallel[self.active] else y)
        return y + update


def _width(module: nn.Module) -> int:
    """Return the size of the module's output: that of its last Linear."""
    return [part for part in module.modules() if isinstance(part, nn.Linear)][-1].out_features


def check(model: nn.Module, options: BottleneckOptions) -> list[str]:
    """Return the modules to wrap."""
    if options.train_layernorm:
        _norms(model, options)
    return select_roles(model, ROLES[options.kind], options.side, options.layers)


def _norms(model: nn.Module, options: BottleneckOptions) -> list[str]:
    if not options.train_layernorm:
        return []
    where = options.side, options.layers
    return cached(model, ("norms", repr(where)), lambda: norm_parameters(model, *where))


def add(model: nn.Module, options: BottleneckOptions, name: str, targets: list[str]) -> int:
    """Wrap `targets`, or add to their wrappers."""
    slot = slot_name(name)
    for target in targets:
        chain = wrappers(model, target)
        path, outermost = chain[0]
        if not isinstance(outermost, BottleneckLayer):
            wrapped = BottleneckLayer(outermost)
            wrapped.train(outermost.training)
            replace(model, path, wrapped)
            outermost = wrapped
        base = chain[-1][1]
        outermost.bottlenecks[slot] = Bottleneck(_width(base), options, **like(base))
        outermost.parallel[slot] = options.kind == "parallel"
    add_values(model, name, _norms(model, options))
    return len(targets)


def _layers(
    model: nn.Module, options: BottleneckOptions, name: str
) -> list[tuple[str, str, BottleneckLayer]]:
    """Return (target, path, layer) where the adapter has a bottleneck."""
    slot = slot_name(name)

    def find() -> list[tuple[str, str, BottleneckLayer]]:
        outermost = [(target, *wrappers(model, target)[0]) for target in check(model, options)]
        return [
            one
            for one in outermost
            if isinstance(one[2], BottleneckLayer) and slot in one[2].bottlenecks
        ]

    return cached(model, ("bottleneck", name, options.kind), find)


def tensors(model: nn.Module, options: BottleneckOptions, name: str) -> dict[Key, torch.Tensor]:
    """Return weights and biases of all bottlenecks, and the norms where they train too."""
    slot = slot_name(name)
    found = {
        (target, f"bottleneck.{key}"): parameter.data
        for target, _, layer in _layers(model, options, name)
        for key, parameter in layer.bottlenecks[slot].named_parameters()
    }
    norms = read_values(model, name, _norms(model, options))
    return found | {(key, ""): value for key, value in norms.items()}


def parameters(model: nn.Module, options: BottleneckOptions, name: str) -> list[nn.Parameter]:
    """Return the parameters of all bottlenecks, and the norms' where they train too."""
    slot = slot_name(name)
    own = [p for _, _, x in _layers(model, options, name) for p in x.bottlenecks[slot].parameters()]
    return own + value_parameters(model, _norms(model, options))


def activate(model: nn.Module, options: BottleneckOptions, name: str, on: bool) -> None:
    """Let the wrappers use the adapter, or nothing."""
    for _, _, layer in _layers(model, options, name):
        layer.active = slot_name(name) if on else None
    (swap_in if on else swap_out)(model, name, _norms(model, options))


def remove(model: nn.Module, options: BottleneckOptions, name: str) -> None:
    """Delete the adapter's bottlenecks; a wrapper that holds no other goes."""
    slot = slot_name(name)
    for _, path, layer in _layers(model, options, name):
        layer.active = None
        del layer.bottlenecks[slot], layer.parallel[slot]
        if not layer.bottlenecks:
            replace(model, path, layer.base_layer)
    drop_values(model, name, _norms(model, options))


def refusal(options: BottleneckOptions) -> str | None:
    """Return why adapters with `options` cannot share a batch, or None."""
    if options.train_layernorm:
        return "with train_layernorm it changes the norms, which all rows of a batch share"
    return None


def shapes(model: nn.Module, options: BottleneckOptions) -> dict[Key, tuple[int, ...]]:
    """Return the shapes of the weights and biases of each bottleneck."""
    found: dict[Key, tuple[int, ...]] = {}
    for target in check(model, options):
        inner, width = options.bottleneck, _width(wrappers(model, target)[-1][1])
        found[target, "bottleneck.down.weight"] = (inner, width)
        found[target, "bottleneck.down.bias"] = (inner,)
        found[target, "bottleneck.up.weight"] = (width, inner)
        found[target, "bottleneck.up.bias"] = (width,)
    return found


def pieces(options: BottleneckOptions, tensors: dict[Key, torch.Tensor]) -> dict[str, Piece]:
    """Return the bottleneck of each target."""
    targets = dict.fromkeys(target for target, _ in tensors)
    return {
        target: bottleneck(
            *(
                (
                    tensors[target, f"bottleneck.{one}.weight"],
                    tensors[target, f"bottleneck.{one}.bias"],
                )
                for one in ("down", "up")
            ),
            options.activation,
            options.scale,
            reads_output=options.kind != "parallel",
        )
        for target in targets
    }


register(
    Method(
        name="adapter",
        options=BottleneckOptions,
        check=check,
        add=add,
        tensors=tensors,
        parameters=parameters,
        activate=activate,
        remove=remove,
        hf_names=False,
        sharing=Sharing(refusal, shapes, pieces),
    )
)
