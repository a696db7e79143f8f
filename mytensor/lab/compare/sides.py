"""The contestants of a comparison: ours, PyTorch on tensors in memory, PyTorch with its DataLoader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mytensor_backend as backend

import mytensor as mt
from mytensor.data import Batches, ImageDataset
from mytensor.lab.compare.twin import PerImage, TorchLeNet, copy_weights, mean_loss_and_accuracy, torch_recipe
from mytensor.optional import torch
from mytensor.timing import Stopwatch
from mytensor.training import Recipe, Trainer, evaluate, set_lr

FIRST_LOSSES = 200  # steps of the first epoch whose losses are kept


def torch_device(device: str) -> str:
    """Where PyTorch computes when ours computes on ``device``: beside the emulator, on the CPU."""
    return "cuda" if device == "cuda" else "cpu"


@contextmanager
def torch_precision(tf32: bool) -> Iterator[None]:
    """torch's float32 products and convolutions on the GPU: exact (IEEE), or rounded to TF32 for the tensor cores."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    conv = getattr(cudnn, "conv", None)
    value: str | bool
    if hasattr(matmul, "fp32_precision") and conv is not None:
        places, name, value = (matmul, conv), "fp32_precision", "tf32" if tf32 else "ieee"
    else:  # torch before 2.9
        places, name, value = (matmul, cudnn), "allow_tf32", tf32
    before = [getattr(place, name) for place in places]
    for place in places:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, old in zip(places, before, strict=True):
            setattr(place, name, old)


class Side:
    """One contestant: trains and measures an epoch at a time and keeps the record.

    On the CPU the loss is read after each step, which costs nothing there. On a device that would make the host wait
    for each step, so the losses stay there until the epoch's clock has stopped (but see ``TorchDataLoader``).
    """

    name: str
    reads_each_step = True

    def __init__(self) -> None:
        self.record: dict[str, list[float]] = {
            key: [] for key in ("seconds", "train_loss", "test_loss", "test_accuracy", "first_losses")
        }

    def run_epoch(self, epoch: int) -> None:
        """Train an epoch under the clock, the device's work included, then test."""
        self.wait()
        with Stopwatch() as watch:
            unread = self.train_epoch(epoch)
            self.wait()
        losses = [float(loss) for loss in unread]
        test_loss, test_accuracy = self.test()
        if epoch == 0:
            self.record["first_losses"] = losses[:FIRST_LOSSES]
        # The mean over batches; the last, smaller batch counts like the others, on all sides alike.
        row = (watch.seconds, sum(losses) / len(losses), test_loss, test_accuracy)
        for key, value in zip(("seconds", "train_loss", "test_loss", "test_accuracy"), row, strict=True):
            self.record[key].append(value)

    def wait(self) -> None:
        """Until the device has done all it was given."""

    def train_epoch(self, epoch: int) -> Sequence[Any]:
        """Train one epoch; the loss of every step, as numbers or as tensors not yet read."""
        raise NotImplementedError

    def test(self) -> tuple[float, float]:
        """(mean loss, accuracy) on the test set."""
        raise NotImplementedError


class Ours(Side):
    name = "ours"

    def __init__(self, recipe: Recipe, train_set: ImageDataset, test_set: ImageDataset, device: str = "cpu"):
        super().__init__()
        self.trainer = Trainer(mt.models.LeNet(), train_set, test_set, recipe, device=device)
        self.device, self.reads_each_step = device, device == "cpu"

    def wait(self) -> None:
        backend.synchronize(self.device)

    def train_epoch(self, epoch: int) -> Sequence[Any]:
        trainer = self.trainer
        set_lr(trainer.optimizer, trainer.recipe.lr_at(epoch))
        losses = (trainer.train_step(images, labels)[1] for images, labels in trainer.batches.epoch(epoch))
        return [loss.item() if self.reads_each_step else loss.detach() for loss in losses]

    def test(self) -> tuple[float, float]:
        recipe = self.trainer.recipe
        return evaluate(self.trainer.model, self.trainer.test_set, recipe.mean, recipe.std)


class Torch(Side):
    """PyTorch, eager. images, test_images: normalised, float32 (N, 3, 32, 32), on the device where it trains."""

    name = "PyTorch"

    def __init__(
        self,
        recipe: Recipe,
        train_set: ImageDataset,
        test_set: ImageDataset,
        start: mt.nn.Module,
        images: torch.Tensor,
        test_images: torch.Tensor,
    ):
        super().__init__()
        self.recipe, self.train_set, self.test_set = recipe, train_set, test_set
        self.device = images.device
        self.reads_each_step = self.device.type == "cpu"
        self.images, self.labels, self.test_images = images, torch.from_numpy(train_set.labels), test_images
        self.labels = self.labels.to(self.device)
        self.order = Batches(train_set, recipe.batch_size, recipe.seed).order
        self.model = TorchLeNet()
        copy_weights(start, self.model)
        self.model.to(self.device)
        self.optimizer = torch_recipe(self.model, recipe)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def batches(self, epoch: int) -> Iterable[Sequence[torch.Tensor]]:
        """(images, labels) in the order in which ours takes them."""
        order = torch.from_numpy(self.order(epoch)).to(self.device)
        for index in order.split(self.recipe.batch_size):
            yield self.images[index], self.labels[index]

    def train_epoch(self, epoch: int) -> Sequence[Any]:
        set_lr(self.optimizer, self.recipe.lr_at(epoch))
        return [loss.item() if self.reads_each_step else loss for loss in self._losses(epoch)]

    def _losses(self, epoch: int) -> Iterator[torch.Tensor]:
        for images, labels in self.batches(epoch):
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            yield loss.detach()

    def test(self) -> tuple[float, float]:
        return mean_loss_and_accuracy(self.model, self.test_images, self.test_set.labels)


class TorchDataLoader(Torch):
    """PyTorch as the report ran it, as far as it says: torch's DataLoader over torchvision's transforms, eager, the
    loss read after each step. workers: the loader's processes; 0: it loads in the training process."""

    name = "PyTorch with its DataLoader"

    def __init__(self, *arguments, workers: int = 0):
        super().__init__(*arguments)
        self.reads_each_step, self.workers = True, workers
        self.dataset = PerImage(self.train_set, self.recipe)

    def batches(self, epoch: int) -> Iterable[Sequence[torch.Tensor]]:
        generator = torch.Generator().manual_seed((self.recipe.seed * 1000 + epoch) % 2**63)
        loader = torch.utils.data.DataLoader(
            self.dataset, self.recipe.batch_size, shuffle=True, generator=generator, num_workers=self.workers
        )
        for images, labels in loader:
            yield images.to(self.device), labels.to(self.device)
