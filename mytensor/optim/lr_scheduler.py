"""Learning-rate schedules, with torch's arguments and torch's numbers. Reached as `mt.optim.lr_scheduler`.

A schedule changes the learning rate at hand; it does not write what a formula of the epoch alone would give. So two
schedules multiply, a learning rate set by hand is kept, and an optimiser that was saved goes on with the rate it had.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mytensor.optim.sgd import SGD


class LRScheduler:
    """Changes the learning rate of an optimiser: call step() once an epoch, after the optimiser's steps.

    A schedule states in get_lr() how the rates of the groups change as epoch `last_epoch` begins. base_lrs: the rates
    before any schedule. last_epoch: the last epoch that is over, where a schedule goes on without its state; the
    optimiser's state must have been loaded before.
    """

    def __init__(self, optimizer: SGD, last_epoch: int = -1):
        name = type(self).__name__
        if not hasattr(optimizer, "param_groups"):
            raise TypeError(f"{name}: wanted an optimiser such as mt.optim.SGD, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{name}: last_epoch={last_epoch} goes on with an earlier schedule, but the optimiser never had "
                    "one; load the optimiser's state first, or leave last_epoch out"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._is_initial = True  # the first step begins the epoch, it does not lead on from another
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """The learning rate of each group in epoch `last_epoch`, from its rate in the epoch before."""
        raise NotImplementedError(f"{type(self).__name__} needs a method get_lr()")

    def step(self) -> None:
        """Moves on to the next epoch."""
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = self._rates()

    def get_last_lr(self) -> list[float]:
        """The learning rate that this schedule gave each parameter group last."""
        return self._last_lr

    def _rates(self) -> list[float]:
        """The learning rates at hand."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues from what state_dict returned. The learning rates are the optimiser's: load its state too."""
        self.__dict__.update(state_dict)


class StepLR(LRScheduler):
    """Multiplies the learning rate by gamma every step_size epochs."""

    def __init__(self, optimizer: SGD, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        _check_epochs("StepLR: step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._rates()
        return [lr * self.gamma for lr in self._rates()]


class MultiStepLR(LRScheduler):
    """Multiplies the learning rate by gamma at each of the epochs in `milestones`."""

    def __init__(self, optimizer: SGD, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1):
        if not isinstance(milestones, Iterable):
            raise TypeError(
                f"MultiStepLR: milestones must be a list of epochs, got {milestones!r}; write [{milestones!r}]"
            )
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        times = self.milestones.count(self.last_epoch)  # a milestone may be named more than once
        return [lr * self.gamma**times for lr in self._rates()] if times else self._rates()


class CosineAnnealingLR(LRScheduler):
    """From the starting value down to eta_min along half a cosine of T_max epochs (Loshchilov and Hutter 2017).

    In closed form: eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2. Here each rate follows from the
    one before: its distance from eta_min is multiplied by the ratio of the two brackets.
    """

    def __init__(self, optimizer: SGD, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        _check_epochs("CosineAnnealingLR: T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates, eta_min = self._rates(), self.eta_min
        if self._is_initial:
            return rates
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            # The rate was down at eta_min: no ratio leads up again, so the first rise of the cosine is added.
            if len(self.base_lrs) != len(rates):
                raise ValueError(
                    f"CosineAnnealingLR: the optimiser has {len(rates)} groups, {len(self.base_lrs)} of them from "
                    "when this schedule began; beyond T_max it knows no rate for a new one: begin a new schedule"
                )
            rise = 1 - math.cos(math.pi / self.T_max)
            return [lr + (base_lr - eta_min) * rise / 2 for lr, base_lr in zip(rates, self.base_lrs, strict=True)]
        bracket, before = (
            1 + math.cos(math.pi * epoch / self.T_max) for epoch in (self.last_epoch, self.last_epoch - 1)
        )
        return [bracket / before * (lr - eta_min) + eta_min for lr in rates]


def _check_epochs(what: str, value: int) -> None:
    """ValueError unless it is a whole number of epochs."""
    if not (value >= 1 and value % 1 == 0):
        raise ValueError(f"{what} must be a whole number of at least 1, got {value}")
