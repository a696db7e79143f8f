"""How to train: the numbers of a training run, checked when they are named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mytensor.data import CIFAR10_MEAN, CIFAR10_STD
from mytensor.settings import real, whole


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults are the report's: 20 epochs of SGD, the learning rate divided by ten after epoch
    10."""

    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    milestones: tuple[int, ...] = (10,)  # after so many epochs the learning rate is multiplied by gamma
    gamma: float = 0.1
    seed: int = 0
    augment: bool = False
    mean: tuple[float, ...] = CIFAR10_MEAN
    std: tuple[float, ...] = CIFAR10_STD

    def __post_init__(self) -> None:
        """TypeError or ValueError in a sentence for what can't be trained with; numpy's numbers become Python's."""
        checked: dict[str, Any] = {
            "epochs": whole("epochs", self.epochs, 1),
            "batch_size": whole("batch_size", self.batch_size, 1),
            "milestones": tuple(sorted(whole("a milestone", epoch, 0) for epoch in self._each("milestones"))),
            "seed": whole("seed", self.seed, 0, 2**64 - 1),
            "mean": tuple(real("mean", value, least=-np.inf) for value in self._each("mean")),
            "std": tuple(real("std", value, above=0) for value in self._each("std")),
        }
        checked |= {name: real(name, getattr(self, name)) for name in ("lr", "momentum", "weight_decay", "gamma")}
        if len(checked["mean"]) != len(checked["std"]):
            raise ValueError(f"mean and std want one number a channel each, got {self.mean} and {self.std}")
        if not isinstance(self.augment, bool | np.bool_):
            raise TypeError(f"augment must be True or False, got {self.augment!r}")
        checked["augment"] = bool(self.augment)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _each(self, name: str) -> Iterable[Any]:
        """The numbers of a field that has several."""
        values = getattr(self, name)
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(
                f"{name} must be several numbers, such as {Recipe.__dataclass_fields__[name].default}, got {values!r}"
            )
        return values

    def lr_at(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0 (what MultiStepLR gives, as a function without a state)."""
        return self.lr * self.gamma ** sum(epoch >= milestone for milestone in self.milestones)
