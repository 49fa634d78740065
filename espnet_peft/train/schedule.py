"""Learning rate: linear warm-up, then linear decay."""

from __future__ import annotations

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from torch.optim.lr_scheduler import LRScheduler


class LinearWarmupDecay(LRScheduler, AbsBatchStepScheduler):
    """Factor of the optimizer's rate, per update: up to 1 in a line, down to `final` in a line.

    `warmup_steps` and `total_steps` count updates; after `total_steps` the rate stays at `final`
    times the peak. ESPnet steps it after every update because it is an `AbsBatchStepScheduler`.
    Raises `ValueError` where the steps do not leave room for a decay.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        total_steps: int,
        warmup_steps: int = 0,
        final: float = 0.02,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"scheduler_conf: warmup_steps {warmup_steps}, total_steps {total_steps}; "
                "expected 0 <= warmup_steps < total_steps; change one of them"
            )
        if not 0.0 <= final <= 1.0:
            raise ValueError(f"scheduler_conf: final {final}, expected a factor from 0 to 1")
        self.total_steps, self.warmup_steps, self.final = total_steps, warmup_steps, final
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """Multiple of the peak rate at update `step`, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        done = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        return 1.0 - (1.0 - self.final) * min(done, 1.0)

    def get_lr(self) -> list[float]:
        return [rate * self.factor(self.last_epoch) for rate in self.base_lrs]
