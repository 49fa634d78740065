"""Method "adalora": low-rank updates P E Q whose ranks are allotted while training.

Source: https://arxiv.org/abs/2303.10512. The layers are peft's; its allocation needs calls from
the training loop, so it is done here by hooks around every optimizer's step. What it has to
remember lies in the optimizer's state and so in its checkpoints: training resumes exactly.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from peft import AdaLoraConfig
from torch import nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from espnet_peft.adapters.peft_layers import add_peft, method_of_peft, peft_layers
from espnet_peft.adapters.registry import register, within
from espnet_peft.adapters.targets import sides_of
from espnet_peft.adapters.wrap import slot_name


@dataclass(frozen=True)
class AdaloraOptions:
    """Options under peft's names, and where to adapt.

    init_r, target_r: rank of each target at first, and on average in the end;
    total_step: optimizer steps of the whole training; tinit, tfinal: steps before and after the
    ranks fall; deltaT: steps between two allotments; beta1, beta2: smoothing of the importance;
    orth_reg_weight: weight of the penalty that keeps P and Q orthogonal;
    target, side, layers: as for lora.
    """

    total_step: int = 0
    init_r: int = 12
    target_r: int = 8
    lora_alpha: int | float = 32
    lora_dropout: float = 0.0
    tinit: int = 0
    tfinal: int = 0
    deltaT: int = 1
    beta1: float = 0.85
    beta2: float = 0.85
    orth_reg_weight: float = 0.5
    target: str | list[str] = "all"
    side: str = "both"
    layers: str | int | list[int] | None = None

    def __post_init__(self) -> None:
        within("total_step", self.total_step, 1, 10**12)
        within("init_r", self.init_r, 1, 4096)
        within("target_r", self.target_r, 1, self.init_r)
        within("tinit", self.tinit, 0, self.total_step - 1)
        within("tfinal", self.tfinal, 0, self.total_step - self.tinit - 1)
        within("deltaT", self.deltaT, 1, self.total_step)
        for label in ("beta1", "beta2", "lora_dropout"):
            within(label, getattr(self, label), 0.0, 0.999)
        sides_of(self.side)


@dataclass(frozen=True)
class Triplet:
    """The factors of one target: a (r, in), e (r, 1), b (out, r)."""

    a: nn.Parameter
    e: nn.Parameter
    b: nn.Parameter


class Allocator:
    """Hands out the rank budget of one adapter to its targets."""

    def __init__(self, options: AdaloraOptions, triplets: list[Triplet]) -> None:
        self.options = options
        self.triplets = triplets

    def budget(self, step: int) -> int:
        """Return how many ranks may be left after `step` steps: a cubic fall."""
        o, n = self.options, len(self.triplets)
        first, last = n * o.init_r, n * o.target_r
        span = o.total_step - o.tfinal - o.tinit
        left = min(1.0, max(0.0, 1 - (step - o.tinit) / span))
        return int(last + (first - last) * left**3)

    def before_step(self) -> None:
        """Add the gradient of the penalty for P and Q that are not orthogonal."""
        if not self.options.orth_reg_weight:
            return
        factors = [one for x in self.triplets for one in (x.a, x.b) if one.grad is not None]
        with torch.enable_grad():
            leaves = [one.detach().requires_grad_() for one in factors]
            wide = [one if one.shape[0] < one.shape[1] else one.T for one in leaves]
            norms = [torch.linalg.norm(x @ x.T - torch.eye(len(x)).to(x)) for x in wide]
            if not norms:
                return
            penalty = self.options.orth_reg_weight * sum(norms) / len(norms)
            gradients = torch.autograd.grad(penalty, leaves)
        for one, gradient in zip(factors, gradients, strict=True):
            one.grad.add_(gradient)

    @torch.no_grad()
    def after_step(self, state: dict[nn.Parameter, dict[str, Any]]) -> None:
        """Update the importance of every rank, and set the least important ones to zero."""
        o = self.options
        step = state[self.triplets[0].e].get("adalora_step", 0) + 1
        for x in self.triplets:
            state[x.e]["adalora_step"] = step
        last = o.total_step - o.tfinal
        if step < last:
            for x in self.triplets:
                for one in (x.a, x.e, x.b):
                    _update_importance(one, state[one], o.beta1, o.beta2)
        falling = o.tinit < step < last and step % o.deltaT == 0
        if falling or step == last:
            self._allot(self.budget(step), state)
        if step >= last or falling:
            for x in self.triplets:
                if "adalora_keep" in state[x.e]:
                    x.e.mul_(state[x.e]["adalora_keep"])

    def _allot(self, budget: int, state: dict[nn.Parameter, dict[str, Any]]) -> None:
        if not all("adalora_mean" in state[x.e] for x in self.triplets):
            return
        scores = [
            _score(state[x.e])[:, 0]
            + _score(state[x.a]).mean(dim=1)
            + _score(state[x.b]).mean(dim=0)
            for x in self.triplets
        ]
        flat = torch.cat(scores)
        keep = torch.zeros_like(flat)
        keep[flat.topk(min(budget, len(flat))).indices] = 1.0
        for x, kept in zip(self.triplets, keep.split([len(s) for s in scores]), strict=True):
            state[x.e]["adalora_keep"] = kept[:, None].clone()


def _update_importance(
    one: nn.Parameter, state: dict[str, Any], beta1: float, beta2: float
) -> None:
    """Smooth |weight x gradient| and its spread."""
    now = (one * one.grad).abs() if one.grad is not None else torch.zeros_like(one)
    mean = state.get("adalora_mean", torch.zeros_like(one)) * beta1 + (1 - beta1) * now
    spread = state.get("adalora_spread", torch.zeros_like(one)) * beta2
    state["adalora_mean"] = mean
    state["adalora_spread"] = spread + (1 - beta2) * (now - mean).abs()


def _score(state: dict[str, Any]) -> torch.Tensor:
    return state["adalora_mean"] * state["adalora_spread"]


def _allocators(optimizer: Optimizer) -> list[Allocator]:
    """Return the allocators of the adapters that `optimizer` trains."""
    found = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            allocator = getattr(parameter, "rank_allocator", None)
            if allocator is not None and parameter.requires_grad:
                found[id(allocator)] = allocator
    return list(found.values())


def _before(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
    for allocator in _allocators(optimizer):
        allocator.before_step()


def _after(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
    for allocator in _allocators(optimizer):
        allocator.after_step(optimizer.state)


def peft_config(options: AdaloraOptions, **more: Any) -> AdaLoraConfig:
    """Return peft's configuration object for `options`."""
    skip = ("target", "side", "layers")
    conf = {key: value for key, value in asdict(options).items() if key not in skip}
    return AdaLoraConfig(**conf, **more)


def add(model: nn.Module, options: AdaloraOptions, name: str, targets: list[str]) -> int:
    """Inject at `targets`, give the adapter an allocator, and return at how many."""
    slot = slot_name(name)
    added = add_peft(model, peft_config(options), slot, targets)
    triplets = [
        Triplet(layer.lora_A[slot], layer.lora_E[slot], layer.lora_B[slot])
        for _, layer in peft_layers(model, slot, targets)
    ]
    allocator = Allocator(options, triplets)
    for triplet in triplets:
        triplet.e.rank_allocator = allocator
    return added


register(method_of_peft("adalora", AdaloraOptions, peft_config, add))
register_optimizer_step_pre_hook(_before)
register_optimizer_step_post_hook(_after)
