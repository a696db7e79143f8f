"""Train our LeNet and its PyTorch twin side by side, an epoch of one, an epoch of the other."""

from __future__ import annotations

import dataclasses
import datetime
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import mytensor_backend as backend
import torch

import mytensor as mt
from mytensor.compare.memory import peak_memory
from mytensor.compare.results import FORMAT, save_results
from mytensor.compare.trajectories import trajectory
from mytensor.compare.twin import PerImage, TorchLeNet, copy_weights, mean_loss_and_accuracy, normalised, torch_recipe
from mytensor.data import Batches, ImageDataset, cifar10
from mytensor.doctor import cpu_model, git_commit, versions
from mytensor.training import Recipe, Trainer, audit, evaluate, selected_kernels, set_lr

PAUSE = 0.3  # seconds between two blocks: idle OpenMP threads spin for a while, and must not spin into the other's time
FIRST_LOSSES = 200  # steps of the first epoch whose losses are kept


def run(
    data: str | os.PathLike | tuple[ImageDataset, ImageDataset] | None = None,
    epochs: int = 20,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    threads: int | None = None,
    json: str | os.PathLike | None = None,
    dataloader_epochs: int = 2,
    memory: bool = True,
    trajectory_steps: int = 200,
    command: str | None = None,
) -> dict[str, Any]:
    """Train both sides for each seed and return the results (also written to the file ``json`` after each seed).

    data: CIFAR-10's folder, or (training set, test set), or None: wherever CIFAR-10 is found.
    threads: of each side; None: as many as our backend uses now.
    json: the file to write. command: what to record as the command that made these results.
    dataloader_epochs: so many epochs of the first seed are also timed with torch's DataLoader, which takes image by
    image through torchvision's ToTensor and Normalize in the training process, as the usual script does.
    memory: also measure the peak memory of each side over one epoch, in processes of their own (not where ``data`` are
    data sets in memory).
    trajectory_steps: how long the first seed's trajectory beside float64 torch is. With it comes the first seed's
    audit: every parameter gets a gradient and moves.

    Both sides start from the same weights (drawn by ours under the seed), see the same batches in the same order, take
    pixels that are in memory already (ours uint8, normalised batch by batch; torch float32, normalised beforehand),
    read the loss after every step, and use the same number of threads. Only training steps are timed, not the
    evaluation.
    """
    train_set, test_set = data if isinstance(data, tuple) else (cifar10(data, train=True), cifar10(data, train=False))
    threads = threads or backend.get_num_threads()
    threads_before = backend.get_num_threads(), torch.get_num_threads()
    recipe = Recipe(epochs=epochs)
    results: dict[str, Any] = {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command,
        "commit": git_commit(),
        "machine": {"device": "cpu", "cpu": cpu_model(), "cores": os.cpu_count(), "threads": threads},
        "versions": versions(),
        "build": dict(backend.build_info()),
        "kernels": selected_kernels(),
        "data": {
            "source": train_set.source,
            "train_images": len(train_set),
            "test_images": len(test_set),
            "train_checksum": train_set.checksum,
            "test_checksum": test_set.checksum,
        },
        "recipe": dataclasses.asdict(recipe) | {"seed": None},
        "audit": None,
        "trajectory": None,
        "runs": [],
        "memory": None,
    }
    try:
        backend.set_num_threads(threads)
        torch.set_num_threads(threads)
        results["audit"] = _audit(train_set, seeds[0])
        results["trajectory"] = trajectory(train_set, trajectory_steps, seeds[0]).record()
        for seed in seeds:
            loader_epochs = dataloader_epochs if seed == seeds[0] else 0
            results["runs"].append(
                _run_seed(dataclasses.replace(recipe, seed=seed), train_set, test_set, loader_epochs)
            )
            if json is not None:
                save_results(results, json)
    finally:
        backend.set_num_threads(threads_before[0])
        torch.set_num_threads(threads_before[1])
    if memory and not isinstance(data, tuple):
        results["memory"] = peak_memory(data, threads)
        if json is not None:
            save_results(results, json)
    return results


def _audit(train_set: ImageDataset, seed: int) -> list[dict[str, Any]]:
    """What ``mytensor.training.audit`` says of the first step, on a model of its own."""
    mt.manual_seed(seed)
    trainer = Trainer(mt.models.LeNet(), train_set, train_set, Recipe(seed=seed))
    images, labels = next(trainer.batches.epoch(0))
    return audit(trainer.model, lambda: trainer.train_step(images, labels))


def _run_seed(
    recipe: Recipe, train_set: ImageDataset, test_set: ImageDataset, dataloader_epochs: int
) -> dict[str, Any]:
    """All epochs of one seed, the sides taking turns; which one begins changes from epoch to epoch."""
    mt.manual_seed(recipe.seed)
    ours = _Ours(recipe, train_set, test_set)
    images, test_images = normalised(train_set, recipe), normalised(test_set, recipe)
    twin = _Torch(recipe, train_set, test_set, ours.trainer.model, images, test_images)
    loader = None
    if dataloader_epochs:
        loader = _TorchDataLoader(recipe, train_set, test_set, ours.trainer.model, images, test_images)
    for epoch in range(recipe.epochs):
        sides: list[_Side] = [ours, twin] if epoch % 2 == 0 else [twin, ours]
        if loader is not None and epoch < dataloader_epochs:
            sides.append(loader)
        for side in sides:
            time.sleep(PAUSE)
            side.run_epoch(epoch)
        print(
            f"seed {recipe.seed}, epoch {epoch + 1:>2}: "
            + "; ".join(
                f"{side.name} {side.record['seconds'][-1]:.2f} s, test accuracy {side.record['test_accuracy'][-1]:.2%}"
                for side in (ours, twin)
            ),
            flush=True,
        )
    record = {"seed": recipe.seed, "ours": ours.record, "torch": twin.record}
    return record if loader is None else record | {"torch_dataloader": loader.record}


class _Side:
    """One contestant: trains and measures an epoch at a time and keeps the record."""

    name: str

    def __init__(self) -> None:
        self.record: dict[str, list[float]] = {
            key: [] for key in ("seconds", "train_loss", "test_loss", "test_accuracy", "first_losses")
        }

    def run_epoch(self, epoch: int) -> None:
        began = time.perf_counter()
        losses = self.train_epoch(epoch)
        seconds = time.perf_counter() - began
        test_loss, test_accuracy = self.test()
        if epoch == 0:
            self.record["first_losses"] = losses[:FIRST_LOSSES]
        # The mean over batches; the last, smaller batch counts like the others, on all sides alike.
        row = (seconds, sum(losses) / len(losses), test_loss, test_accuracy)
        for key, value in zip(("seconds", "train_loss", "test_loss", "test_accuracy"), row, strict=True):
            self.record[key].append(value)

    def train_epoch(self, epoch: int) -> list[float]:
        """Train one epoch; the loss of every step."""
        raise NotImplementedError

    def test(self) -> tuple[float, float]:
        """(mean loss, accuracy) on the test set."""
        raise NotImplementedError


class _Ours(_Side):
    name = "ours"

    def __init__(self, recipe: Recipe, train_set: ImageDataset, test_set: ImageDataset):
        super().__init__()
        self.trainer = Trainer(mt.models.LeNet(), train_set, test_set, recipe)

    def train_epoch(self, epoch: int) -> list[float]:
        trainer = self.trainer
        set_lr(trainer.optimizer, trainer.recipe.lr_at(epoch))
        return [trainer.train_step(images, labels)[1].item() for images, labels in trainer.batches.epoch(epoch)]

    def test(self) -> tuple[float, float]:
        recipe = self.trainer.recipe
        return evaluate(self.trainer.model, self.trainer.test_set, recipe.mean, recipe.std)


class _Torch(_Side):
    name = "PyTorch"

    def __init__(
        self, recipe, train_set, test_set, start: mt.nn.Module, images: torch.Tensor, test_images: torch.Tensor
    ):
        super().__init__()
        self.recipe, self.train_set, self.test_set = recipe, train_set, test_set
        self.images, self.labels, self.test_images = images, torch.from_numpy(train_set.labels), test_images
        self.order = Batches(train_set, recipe.batch_size, recipe.seed).order
        self.model = TorchLeNet()
        copy_weights(start, self.model)
        self.optimizer = torch_recipe(self.model, recipe)

    def batches(self, epoch: int) -> Iterable[Sequence[torch.Tensor]]:
        """(images, labels) in the order in which ours takes them."""
        order = torch.from_numpy(self.order(epoch))
        for index in order.split(self.recipe.batch_size):
            yield self.images[index], self.labels[index]

    def train_epoch(self, epoch: int) -> list[float]:
        set_lr(self.optimizer, self.recipe.lr_at(epoch))
        return list(self._losses(epoch))

    def _losses(self, epoch: int) -> Iterator[float]:
        for images, labels in self.batches(epoch):
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            yield loss.item()

    def test(self) -> tuple[float, float]:
        return mean_loss_and_accuracy(self.model, self.test_images, self.test_set.labels)


class _TorchDataLoader(_Torch):
    name = "PyTorch with its DataLoader"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.dataset = PerImage(self.train_set, self.recipe)

    def batches(self, epoch: int) -> Iterable[Sequence[torch.Tensor]]:
        generator = torch.Generator().manual_seed(self.recipe.seed * 1000 + epoch)
        return torch.utils.data.DataLoader(self.dataset, self.recipe.batch_size, shuffle=True, generator=generator)
