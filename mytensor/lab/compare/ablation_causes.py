"""The causes that the report names for its lower accuracy and its longer time, each as a switch.

`train(causes, ...)` trains LeNet with some of them in force: with none it is our training, with all of them a
*reconstruction* of the report's. A reconstruction, since the report doesn't state all of it: `Cause.assumed` says what
we had to choose. Every switch is a public one of the framework, so a notebook can throw it in a line.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import mytensor_backend as backend

import mytensor as mt
from mytensor._tensor import Tensor
from mytensor.data import Batches, ImageDataset
from mytensor.nn import functional as F
from mytensor.settings import real
from mytensor.timing import Stopwatch
from mytensor.training import Recipe, Trainer, evaluate, set_lr

SHOWN_EVERY = 100  # steps between two losses that a script like the report's would print


@dataclass(frozen=True)
class Cause:
    """One difference between the report's framework and ours. assumed: what of it the report leaves open."""

    title: str
    report: str
    ours: str
    assumed: str = ""


CAUSES: dict[str, Cause] = {
    "init": Cause(
        "plain uniform initialisation",
        "all weights and biases from one uniform range",
        "a range for each layer that depends on its number of inputs, as torch's layers have it",
        "the range",
    ),
    "scale": Cause(
        "wrongly scaled loss",
        "the mean loss is divided once more",
        "the mean over the batch",
        "by what it is divided",
    ),
    "log_sum_exp": Cause(
        "loss without log-sum-exp",
        "softmax first, then its logarithm",
        "log-sum-exp: no overflow, no logarithm of zero",
    ),
    "host_copy": Cause(
        "host copy in each batch",
        "the batch is made on the host, copied through numpy() and sent to the device",
        "the data set lies on the device and a kernel gathers the batch",
        "that nothing but the copy is slow: the report's loader is torch's, ours stays our own",
    ),
    "allocator": Cause(
        "no caching allocator",
        "each array asks the system for memory and gives it back",
        "freed blocks are kept and used again",
    ),
    "kernels": Cause(
        "untuned kernels",
        "convolution by im2col and a matrix product, products without tiles",
        "the kernels that our ops choose by themselves",
        "on a GPU the columns are multiplied by a tiled kernel, since im2col has no rung with an untiled one",
    ),
}

# What "im2col and a naive product" is on each device; simt runs the kernels of cuda.
_UNTUNED_DEVICE = {"conv2d": "im2col_gemm", "im2col": "naive", "matmul": "naive"}
UNTUNED_KERNELS: dict[str, dict[str, str]] = {
    "cpu": {"conv2d": "im2col_naive", "im2col": "naive", "matmul": "naive"},
    "cuda": _UNTUNED_DEVICE,
    "simt": _UNTUNED_DEVICE,
}


@dataclass(frozen=True)
class Scaling:
    """A way to scale the mean loss wrongly. trained and shown: by what the loss that is differentiated and the loss
    that is printed are divided, from (images in the batch, classes)."""

    what: str
    trained: Callable[[int, int], float]
    shown: Callable[[int, int], float]


SCALINGS: dict[str, Scaling] = {
    "right": Scaling("the mean over the batch", lambda batch, classes: 1, lambda batch, classes: 1),
    "batch_twice": Scaling("divided by the batch twice", lambda batch, classes: batch, lambda batch, classes: batch),
    "classes": Scaling("divided by the classes too", lambda batch, classes: classes, lambda batch, classes: classes),
    "batch_shown": Scaling(
        "trained rightly, printed divided by the batch twice", lambda batch, classes: 1, lambda batch, classes: batch
    ),
    "classes_shown": Scaling(
        "trained rightly, printed divided by the classes too",
        lambda batch, classes: 1,
        lambda batch, classes: classes,
    ),
}


@dataclass(frozen=True)
class Assumptions:
    """What the report doesn't state and a reconstruction needs: the range of the uniform draw and the wrong scaling.

    The defaults: the range that `Tensor.uniform` has, and the scaling that `python -m mytensor ablate --sweep` brought
    nearest to the report's 54.07 % in that range. It is a fit, so that the reconstruction comes near proves nothing.
    """

    low: float = -0.1
    high: float = 0.1
    scaling: str = "classes"

    def __post_init__(self):
        for bound in (self.low, self.high):
            real("a bound of the uniform draw", bound, least=-math.inf)
        if not self.low < self.high:
            raise ValueError(f"the range of a uniform draw: got [{self.low}, {self.high}), wanted low < high")
        if self.scaling not in SCALINGS:
            raise ValueError(f"there is no scaling {self.scaling!r}; there are: {', '.join(SCALINGS)}")


@contextmanager
def in_force(causes: frozenset[str], device: str) -> Iterator[None]:
    """Inside, the kernels and the memory mode are those that ``causes`` ask for on ``device``."""
    with ExitStack() as stack:
        if "kernels" in causes:
            for op, kernel in UNTUNED_KERNELS[device].items():
                stack.enter_context(mt.use_kernel(op, kernel))
        if "log_sum_exp" in causes:
            stack.enter_context(mt.use_kernel("cross_entropy", "naive"))
        mode = mt.memory_mode()
        stack.callback(mt.set_memory_mode, mode)
        mt.set_memory_mode("plain" if "allocator" in causes else "caching")
        yield


def draw_uniformly(model: mt.nn.Module, low: float, high: float) -> None:
    """Draws every parameter of a model, biases too, from [low, high)."""
    for parameter in model.parameters():
        mt.nn.init.uniform_(parameter, low, high)


def through_numpy(images: Tensor, labels: Tensor, device: str) -> tuple[Tensor, Tensor]:
    """A batch that lies on the host, copied through numpy() and sent to ``device``: what `inputs.numpy()` costs."""
    return mt.tensor(images.numpy(), device=device), mt.tensor(labels.numpy(), device=device)


def train(
    causes: frozenset[str] | set[str],
    train_set: ImageDataset,
    test_set: ImageDataset,
    recipe: Recipe,
    device: str = "cpu",
    assumptions: Assumptions | None = None,
    times: bool = True,
) -> dict[str, Any]:
    """Train LeNet with these causes in force and return what happened.

    The result: causes, seed, scaling, low, high; for each epoch test_accuracy, test_loss, train_loss (mean over the
    batches, scaled rightly) and seconds (of training; None without ``times``); shown: the loss that a script would
    print every SHOWN_EVERY steps, scaled as the cause has it; peak_allocated and peak_reserved: device memory in bytes
    while the first epoch trains, beyond what was in use before (off the CPU the data set is among it, unless the
    batches are made on the host); diverged: the epoch, from 1, after which a weight was no number any more, and the
    run was ended; else None. ValueError: an unknown cause.
    """
    causes, assumptions = frozenset(causes), assumptions or Assumptions()
    if unknown := causes - CAUSES.keys():
        raise ValueError(f"there is no cause {', '.join(sorted(unknown))}; there are: {', '.join(CAUSES)}")
    gc.collect()
    backend.empty_cache()
    before = mt.memory_stats(device)
    with in_force(causes, device):
        run = _Run(causes, train_set, test_set, recipe, device, assumptions)
        backend.reset_peak_memory_stats()
        peaks = None
        for epoch in range(recipe.epochs):
            seconds = run.train_epoch(epoch)
            if peaks is None:
                peaks = mt.memory_stats(device)
            with in_force(frozenset(), device):  # how the accuracy is counted is none of the causes
                run.test(seconds if times else None)
            if not run.finite():
                run.record["diverged"] = epoch + 1
                break
    if peaks is None:
        raise ValueError(f"a recipe has at least one epoch, got {recipe.epochs}")
    return run.record | {f"peak_{key}": peaks[f"peak_{key}"] - before[key] for key in ("allocated", "reserved")}


class _Run:
    """One training under way, and its record."""

    def __init__(self, causes, train_set, test_set, recipe, device, assumptions):
        self.causes, self.test_set, self.recipe, self.device = causes, test_set, recipe, device
        self.scaling = SCALINGS[assumptions.scaling if "scale" in causes else "right"]
        self.classes = len(train_set.classes)
        mt.manual_seed(recipe.seed)
        self.model = mt.models.LeNet()
        if "init" in causes:
            draw_uniformly(self.model, assumptions.low, assumptions.high)
        self.trainer = Trainer(self.model, train_set, test_set, recipe, device=device)
        if "host_copy" in causes:
            self.trainer.batches = Batches(train_set, recipe.batch_size, recipe.seed, mean=recipe.mean, std=recipe.std)
        self.record: dict[str, Any] = {
            "causes": sorted(causes),
            "seed": recipe.seed,
            "scaling": assumptions.scaling if "scale" in causes else "right",
            "low": assumptions.low if "init" in causes else None,
            "high": assumptions.high if "init" in causes else None,
            "diverged": None,
            "seconds": [],
            "train_loss": [],
            "test_loss": [],
            "test_accuracy": [],
            "shown": [],
        }

    def train_epoch(self, epoch: int) -> float:
        """Trains one epoch and keeps its losses; the seconds it took, the device's work included."""
        set_lr(self.trainer.optimizer, self.recipe.lr_at(epoch))
        losses: list[tuple[Tensor, int]] = []
        with Stopwatch(self.device) as watch:
            for images, labels in self.trainer.batches.epoch(epoch):
                if "host_copy" in self.causes:
                    images, labels = through_numpy(images, labels, self.device)
                losses.append((self._step(images, labels), labels.shape[0]))
        values = [(loss.item(), batch) for loss, batch in losses]  # read after the clock has stopped: nobody waits
        self.record["train_loss"].append(sum(loss for loss, _ in values) / len(values))
        first = -(epoch * len(values)) % SHOWN_EVERY
        self.record["shown"] += [
            loss / self.scaling.shown(batch, self.classes) for loss, batch in values[first::SHOWN_EVERY]
        ]
        return watch.seconds

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step of gradient descent on the loss as it is scaled; returns the mean loss, scaled rightly."""
        optimizer = self.trainer.optimizer
        optimizer.zero_grad()
        loss = F.cross_entropy(self.model(images), labels)
        divisor = self.scaling.trained(labels.shape[0], self.classes)
        (loss if divisor == 1 else loss / divisor).backward()
        optimizer.step()
        return loss.detach()

    def test(self, seconds: float | None) -> None:
        loss, accuracy = evaluate(self.model, self.test_set, self.recipe.mean, self.recipe.std)
        for key, value in (("seconds", seconds), ("test_loss", loss), ("test_accuracy", accuracy)):
            self.record[key].append(value)

    def finite(self) -> bool:
        """Whether all weights are numbers still."""
        return all(math.isfinite(backend.sum(parameter.array).item()) for parameter in self.model.parameters())
