"""How far two float32 trainings stray from a float64 one, step by step, from the same weights and batches.

Rounding makes any two implementations drift apart, and training amplifies it, so "equal to torch" has no fixed
tolerance. But a float64 run is as good as exact here, and PyTorch's own float32 run shows how far honest rounding goes:
ours may stray from the float64 run about as far, and a wrong gradient shows at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import mytensor as mt
from mytensor.data import ImageDataset
from mytensor.lab.compare.sides import torch_device
from mytensor.lab.compare.twin import TorchLeNet, copy_weights, torch_recipe
from mytensor.optional import torch
from mytensor.training import Recipe, Trainer, train_step

# Ours may be so many times as far from float64 as PyTorch in float32: rounding differs, and a ReLU or a maximum that
# tips the other way moves either of the two. A wrong gradient is thousands of times as far.
FARTHEST = 4


@dataclass(frozen=True)
class Trajectory:
    """Losses of every step (steps,) of the three runs, and the distances of the final weights from the float64
    run's."""

    ours: np.ndarray
    torch32: np.ndarray
    torch64: np.ndarray
    weights_ours: float
    weights_torch32: float

    @property
    def loss_ratio(self) -> float:
        """Ours' distance from float64 torch over float32 torch's, as root mean squares over all steps' losses."""
        return float(np.linalg.norm(self.ours - self.torch64) / np.linalg.norm(self.torch32 - self.torch64))

    @property
    def weight_ratio(self) -> float:
        """The same ratio for the weights after the last step (Euclidean distance over all parameters)."""
        return self.weights_ours / self.weights_torch32

    @property
    def agrees(self) -> bool:
        """Whether ours stays about as close to float64 as float32 PyTorch does, in losses and weights. NaN does not."""
        return self.loss_ratio <= FARTHEST and self.weight_ratio <= FARTHEST

    def record(self) -> dict[str, Any]:
        """The same for a JSON file, with the two ratios."""
        losses = {name: getattr(self, name).tolist() for name in ("ours", "torch32", "torch64")}
        return losses | {"loss_ratio": self.loss_ratio, "weight_ratio": self.weight_ratio}


def trajectory(
    train_set: ImageDataset,
    steps: int = 200,
    seed: int = 0,
    device: str = "cpu",
    step: Callable[..., tuple[Any, Any]] = train_step,
) -> Trajectory:
    """Train ours, float32 torch and float64 torch in lockstep for the first ``steps`` steps of the report's recipe, all
    on ``device``.

    step: what trains ours, called as mytensor.training.train_step.
    """
    recipe = Recipe(seed=seed)
    mt.manual_seed(seed)
    trainer = Trainer(mt.models.LeNet(), train_set, train_set, recipe, device=device)
    where = torch_device(device)
    twins = {dtype: TorchLeNet().to(where, dtype) for dtype in (torch.float32, torch.float64)}
    for twin in twins.values():
        copy_weights(trainer.model, twin)
    optimizers = {dtype: torch_recipe(twin, recipe) for dtype, twin in twins.items()}

    losses: dict[str | torch.dtype, list[float]] = {"ours": [], torch.float32: [], torch.float64: []}
    stream = itertools.chain.from_iterable(trainer.batches.epoch(epoch) for epoch in itertools.count())
    for images, labels in itertools.islice(stream, steps):
        losses["ours"].append(step(trainer.model, trainer.optimizer, images, labels)[1].item())
        for dtype, twin in twins.items():
            x = torch.from_numpy(images.array.cpu().numpy()).to(where, dtype)
            y = torch.from_numpy(labels.array.cpu().numpy()).to(where)
            optimizers[dtype].zero_grad()
            loss = torch.nn.functional.cross_entropy(twin(x), y)
            loss.backward()
            optimizers[dtype].step()
            losses[dtype].append(loss.item())

    exact = _weights(twins[torch.float64].state_dict())
    return Trajectory(
        ours=np.array(losses["ours"]),
        torch32=np.array(losses[torch.float32]),
        torch64=np.array(losses[torch.float64]),
        weights_ours=_distance(
            {name: value.array.cpu().numpy() for name, value in trainer.model.state_dict().items()}, exact
        ),
        weights_torch32=_distance(_weights(twins[torch.float32].state_dict()), exact),
    )


def _weights(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy() for name, value in state.items()}


def _distance(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    """The Euclidean distance between two sets of weights of the same names."""
    return float(np.sqrt(sum(np.square(a[name] - b[name]).sum() for name in b)))
