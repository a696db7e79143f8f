"""The memory ledger: what a training step keeps in memory, counted from shapes, beside what the allocator says."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import mytensor_backend as backend
import numpy as np

import mytensor as mt
from mytensor.nn import functional as F

Shapes = list[tuple[str, tuple[int, ...], int]]  # (what, shape, bytes an element)
BLOCK = 64  # bytes: the smallest block of the allocator
FLOAT, INT32 = 4, 4


@dataclass(frozen=True)
class Entry:
    """A line of the ledger. arrays: what it consists of. measured: by how much the allocator's bytes grew."""

    name: str
    arrays: Shapes
    measured: int

    @property
    def counted(self) -> int:
        """Bytes by the shapes alone."""
        return sum(math.prod(shape) * size for _, shape, size in self.arrays)

    @property
    def agrees(self) -> bool:
        """Whether the allocator says the same: a block is at least its array, and at most a quarter larger."""
        return self.counted <= self.measured <= 1.25 * self.counted + BLOCK * len(self.arrays)


def parameter_shapes(model: mt.nn.Module) -> Shapes:
    return [(name, parameter.shape, FLOAT) for name, parameter in model.named_parameters()]


def activation_shapes(batch: int) -> Shapes:
    """What LeNet's graph keeps between forward and backward for ``batch`` images.

    A convolution keeps its input, which is kept already (the image, or the pooled map before); ReLU its output; pooling
    the places of its maxima; a linear layer its input, ReLU's output. The loss keeps the logits, the log-sum-exp of
    each image and the weight of the batch.
    """
    shapes: Shapes = []
    for layer, channels, size in (("conv1", 6, 32), ("conv2", 16, 16)):
        half = size // 2
        shapes.append((f"ReLU of {layer}", (batch, channels, size, size), FLOAT))
        shapes.append((f"maxima of {layer}", (batch, channels, half, half), FLOAT))
        shapes.append((f"places of {layer}'s maxima", (batch, channels, half, half), INT32))
    shapes += [("ReLU of fc1", (batch, 120), FLOAT), ("ReLU of fc2", (batch, 84), FLOAT)]
    shapes += [("logits", (batch, 10), FLOAT), ("log-sum-exp", (batch,), FLOAT)]
    return [*shapes, ("loss", (), FLOAT), ("weight of the batch", (), FLOAT)]


def column_shapes(batch: int) -> Shapes:
    """The im2col matrices of LeNet's two convolutions."""
    return [("conv1", (batch, 3 * 9, 32 * 32), FLOAT), ("conv2", (batch, 6 * 9, 16 * 16), FLOAT)]


def memory_ledger(batch: int = 64, device: str = "cpu") -> list[Entry]:
    """The ledger of one step of LeNet on ``batch`` random images: each part made in turn, the allocator asked before
    and after."""
    random = np.random.default_rng(0)
    images = mt.tensor(random.standard_normal((batch, 3, 32, 32)).astype(np.float32)).to(device)
    labels = mt.tensor(random.integers(0, 10, batch)).to(device)
    gc.collect()

    made: list[object] = []

    def grown_by(make: Callable[[], object]) -> int:
        before = mt.memory_stats(device)["allocated"]
        made.append(make())  # kept, so that nothing is freed before it is counted
        return mt.memory_stats(device)["allocated"] - before

    def new_model() -> mt.nn.Module:
        # Drawn on the CPU: there the copies that .to() leaves behind are freed before the count.
        return mt.models.LeNet().to(device)

    parameters = grown_by(new_model)
    model = cast(mt.nn.Module, made[0])
    optimizer = mt.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    activations = grown_by(lambda: F.cross_entropy(model(images), labels))
    loss = cast(mt.Tensor, made.pop())
    kept = mt.memory_stats(device)["allocated"] - activations
    loss.backward()
    del loss
    gc.collect()
    gradients = mt.memory_stats(device)["allocated"] - kept
    velocities = grown_by(optimizer.step)
    columns = grown_by(
        lambda: [
            backend.im2col(images.array, (3, 3), padding=1),
            backend.im2col(backend.full((batch, 6, 16, 16), 0.0, backend.float32, device), (3, 3), padding=1),
        ]
    )
    shapes = parameter_shapes(model)
    return [
        Entry("parameters", shapes, parameters),
        Entry("gradients", shapes, gradients),
        Entry("velocities", shapes, velocities),
        Entry("activations", activation_shapes(batch), activations),
        Entry("im2col's columns", column_shapes(batch), columns),
    ]


def ledger_table(entries: list[Entry]) -> str:
    """The ledger by the shapes, the same on every machine, with whether the allocator agrees."""
    lines = [f"{'':<20}{'arrays':>8}{'bytes':>14}   the allocator"]
    for entry in entries:
        agrees = "agrees" if entry.agrees else f"says {entry.measured:,}"
        lines.append(f"{entry.name:<20}{len(entry.arrays):>8}{entry.counted:>14,}   {agrees}")
    return "\n".join(lines)
