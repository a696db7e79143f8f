"""Learning-rate schedules, with torch's arguments and torch's numbers. Reached as `mt.optim.lr_scheduler`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mytensor.optim import SGD


class LRScheduler:
    """Changes the learning rate of an optimiser: call step() once an epoch, after the optimiser's steps.

    A schedule states its learning_rate(base_lr, epoch) in closed form.
    """

    def __init__(self, optimizer: SGD):
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._set_learning_rates()

    def learning_rate(self, base_lr: float, epoch: int) -> float:
        """The learning rate in this epoch (counted from 0) of a group that started with base_lr."""
        raise NotImplementedError(f"{type(self).__name__} needs a method learning_rate(base_lr, epoch)")

    def step(self) -> None:
        """Moves on to the next epoch."""
        self.last_epoch += 1
        self._set_learning_rates()

    def get_last_lr(self) -> list[float]:
        """The current learning rate of each parameter group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set_learning_rates(self) -> None:
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.learning_rate(base_lr, self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from what state_dict returned."""
        self.__dict__.update(state_dict)
        self._set_learning_rates()


class StepLR(LRScheduler):
    """Multiplies the learning rate by gamma every step_size epochs."""

    def __init__(self, optimizer: SGD, step_size: int, gamma: float = 0.1):
        if step_size < 1:
            raise ValueError(f"StepLR: step_size must be at least 1, got {step_size}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def learning_rate(self, base_lr: float, epoch: int) -> float:
        return base_lr * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiplies the learning rate by gamma at each of the epochs in `milestones`."""

    def __init__(self, optimizer: SGD, milestones: Iterable[int], gamma: float = 0.1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def learning_rate(self, base_lr: float, epoch: int) -> float:
        return base_lr * self.gamma ** bisect_right(self.milestones, epoch)


class CosineAnnealingLR(LRScheduler):
    """From the starting value down to eta_min along half a cosine of T_max epochs (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: SGD, T_max: int, eta_min: float = 0.0):
        if T_max < 1:
            raise ValueError(f"CosineAnnealingLR: T_max must be at least 1, got {T_max}")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def learning_rate(self, base_lr: float, epoch: int) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2
