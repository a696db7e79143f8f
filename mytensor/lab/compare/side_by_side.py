"""Train our LeNet and its PyTorch twin side by side, an epoch of one, an epoch of the other."""

from __future__ import annotations

import dataclasses
import json as json_format
import os
import time
from collections.abc import Sequence
from typing import Any

import mytensor_backend as backend

import mytensor as mt
from mytensor.data import ImageDataset, cifar10
from mytensor.data.download import import_torchvision
from mytensor.devices import require_device
from mytensor.lab.compare.fastest import Step, TorchBest, fastest
from mytensor.lab.compare.memory_peaks import peak_memory
from mytensor.lab.compare.results import FORMAT, check_entries, load_results, results_file, save_results, table
from mytensor.lab.compare.sides import Ours, Side, Torch, TorchDataLoader, torch_device, torch_precision
from mytensor.lab.compare.trajectories import trajectory
from mytensor.lab.compare.twin import normalised
from mytensor.lab.record import circumstances, data_facts
from mytensor.optional import torch
from mytensor.settings import different_seeds, whole
from mytensor.training import Recipe, Trainer, audit, selected_kernels

# Seconds between two blocks. On the CPU idle OpenMP threads spin for a while, and must not spin into the other's time;
# beside a GPU they only wait.
PAUSE_CPU, PAUSE_DEVICE = 0.3, 0.05


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
    device: str = "cpu",
    best: bool | None = None,
    dataloader_workers: int | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train both sides for each seed and return the results (also written to the file ``json`` after each seed).

    data: CIFAR-10's folder, or (training set, test set), or None: wherever CIFAR-10 is found.
    threads: of each side; None: as many as our backend uses now.
    json: the file to write. command: what to record as the command that made these results.
    dataloader_epochs: so many epochs of the first seed are also timed with torch's DataLoader, which takes image by
    image through torchvision's ToTensor and Normalize, as the usual script does. dataloader_workers: in so many
    processes; None: in the training process on the CPU, in 2 beside a GPU, as PyTorch's CIFAR-10 tutorial has it.
    memory: also measure the peak memory of each side over one epoch, in processes of their own (not where ``data`` are
    data sets in memory).
    trajectory_steps: how long the first seed's trajectory beside float64 torch is. With it comes the first seed's
    audit: every parameter gets a gradient and moves.
    device: where both sides compute. best: a third side, PyTorch in the fastest way it has here (see ``fastest``);
    None: on a GPU.
    resume: the file ``json`` holds a part of this comparison, made on the same machine with the same versions; only the
    seeds and the memory that it lacks are measured. ValueError where it is another comparison.

    Both sides start from the same weights (drawn by ours under the seed), see the same batches in the same order, take
    pixels that are on the device already (ours uint8, normalised batch by batch; torch float32, normalised
    beforehand), and use the same number of threads. On the CPU they read the loss after every step; on a device the
    losses stay there until the epoch is over. Only training steps are timed, not the evaluation, and the clock waits
    for the device. TF32 is off on torch's side, as ours computes in float32.
    """
    require_device(device, "compare", beside_torch=True)
    recipe, seeds = Recipe(epochs=epochs), different_seeds(seeds)
    threads = backend.get_num_threads() if threads is None else whole("threads", threads, 1)
    whole("dataloader_epochs", dataloader_epochs, 0)
    whole("dataloader_workers", dataloader_workers or 0, 0)
    whole("trajectory_steps", trajectory_steps, 1)
    if dataloader_epochs:
        import_torchvision()  # before any work: it says what to install where it is missing
    if resume and json is None:
        raise ValueError("resume: name the file to go on with (--json FILE)")
    with results_file(json), torch_precision(tf32=False):
        return _run(
            data, recipe, seeds, threads, json, dataloader_epochs, memory, trajectory_steps, command, device, best,
            dataloader_workers, resume,
        )  # fmt: skip


def _run(
    data, recipe, seeds, threads, json, dataloader_epochs, memory, trajectory_steps, command, device, best,
    dataloader_workers, resume,
) -> dict[str, Any]:  # fmt: skip
    train_set, test_set = data if isinstance(data, tuple) else (cifar10(data, train=True), cifar10(data, train=False))
    threads_before = backend.get_num_threads(), torch.get_num_threads()
    best = device == "cuda" if best is None else best
    workers = (2 if device == "cuda" else 0) if dataloader_workers is None else dataloader_workers
    results: dict[str, Any] = {
        **circumstances(FORMAT, device, command, threads),
        "kernels": selected_kernels(),
        "data": data_facts(train_set, test_set),
        "recipe": dataclasses.asdict(recipe) | {"seed": None},
        "torch": {
            "tf32": False,
            "cudnn": torch.backends.cudnn.version() if device == "cuda" else None,
            "dataloader_workers": workers,
            "best": None,
        },
        "audit": None,
        "trajectory": None,
        "runs": [],
        "memory": None,
    }
    if resume:
        results = _resumed(json, results)
    missing = [seed for seed in seeds if seed not in {run["seed"] for run in results["runs"]}]
    try:
        backend.set_num_threads(threads)
        torch.set_num_threads(threads)
        if results["audit"] is None:
            results["audit"] = _audit(train_set, seeds[0], device)
            results["trajectory"] = trajectory(train_set, trajectory_steps, seeds[0], device).record()
        if missing:
            contest = _Contest(recipe, train_set, test_set, device, workers)
            if best:
                results["torch"]["best"] = contest.look_for_the_best()
        for seed in missing:
            loader_epochs = dataloader_epochs if seed == seeds[0] else 0
            results["runs"].append(contest.run_seed(seed, loader_epochs))
            if json is not None:
                save_results(results, json)
    finally:
        backend.set_num_threads(threads_before[0])
        torch.set_num_threads(threads_before[1])
    if memory and results["memory"] is None and not isinstance(data, tuple):
        chosen = results["torch"]["best"]["name"] if best else None
        results["memory"] = peak_memory(data, threads, device=device, best=chosen)
        if json is not None:
            save_results(results, json)
    return results


def _resumed(path: str | os.PathLike, fresh: dict[str, Any]) -> dict[str, Any]:
    """The results in the file, which note that they are added to. fresh: what a new comparison would note."""
    held = load_results(path)
    check_entries(path, held, fresh, lambda results: (table(results), [*results.get("resumed", [])]))
    for what in ("machine", "versions", "kernels", "data", "recipe"):
        here = json_format.loads(json_format.dumps(fresh[what]))  # tuples become lists, as in the file
        if held[what] != here:
            raise ValueError(
                f"resume: {path} holds another comparison, its {what} is {held[what]}, here it is {here}; "
                "leave resume out to begin a new one"
            )
    added = {"created": fresh["created"], "commit": fresh["commit"], "command": fresh["command"]}
    return held | {"resumed": [*held.get("resumed", []), added]}


def _audit(train_set: ImageDataset, seed: int, device: str) -> list[dict[str, Any]]:
    """What ``mytensor.training.audit`` says of the first step, on a model of its own."""
    mt.manual_seed(seed)
    trainer = Trainer(mt.models.LeNet(), train_set, train_set, Recipe(seed=seed), device=device)
    images, labels = next(trainer.batches.epoch(0))
    return audit(trainer.model, lambda: trainer.train_step(images, labels))


class _Contest:
    """What all seeds share: the data, normalised for torch and on its device, and torch's best step."""

    def __init__(self, recipe: Recipe, train_set: ImageDataset, test_set: ImageDataset, device: str, workers: int):
        self.recipe, self.train_set, self.test_set, self.device, self.workers = (
            recipe,
            train_set,
            test_set,
            device,
            workers,
        )
        where = torch_device(device)
        self.images, self.test_images = normalised(train_set, recipe).to(where), normalised(test_set, recipe).to(where)
        self.best: Step | None = None

    def look_for_the_best(self) -> dict[str, Any]:
        """Try the ways in which PyTorch can run the step; the name of the fastest right one, and all trials."""
        mt.manual_seed(0)
        self.best, trials = fastest(self.recipe, self.train_set, self.images, mt.models.LeNet())
        for trial in trials:
            found = trial.get("problem") or f"{trial['milliseconds']:.3f} ms a step" + (
                "" if trial["right"] else f", WRONG by {trial['largest_deviation']:.1e}"
            )
            print(f"PyTorch, {trial['name']}: {found}", flush=True)
        return {"name": self.best.mode.name, "trials": trials}

    def run_seed(self, seed: int, dataloader_epochs: int) -> dict[str, Any]:
        """All epochs of one seed, the sides taking turns; which one begins changes from epoch to epoch."""
        recipe = dataclasses.replace(self.recipe, seed=seed)
        mt.manual_seed(seed)
        start = mt.models.LeNet()
        arguments = (recipe, self.train_set, self.test_set, start, self.images, self.test_images)
        sides: dict[str, Side] = {"ours": self._ours(recipe, start), "torch": Torch(*arguments)}
        if self.best is not None:
            sides["torch_best"] = TorchBest(*arguments, step=self.best)
        loader = TorchDataLoader(*arguments, workers=self.workers) if dataloader_epochs else None
        for epoch in range(recipe.epochs):
            turns = list(sides.values()) if epoch % 2 == 0 else list(sides.values())[::-1]
            if loader is not None and epoch < dataloader_epochs:
                turns.append(loader)
            for side in turns:
                time.sleep(PAUSE_CPU if self.device == "cpu" else PAUSE_DEVICE)
                side.run_epoch(epoch)
            print(
                f"seed {seed}, epoch {epoch + 1:>2}: "
                + "; ".join(
                    f"{side.name} {side.record['seconds'][-1]:.2f} s, "
                    f"test accuracy {side.record['test_accuracy'][-1]:.2%}"
                    for side in sides.values()
                ),
                flush=True,
            )
        records = {name: side.record for name, side in sides.items()}
        return {"seed": seed} | records | ({} if loader is None else {"torch_dataloader": loader.record})

    def _ours(self, recipe: Recipe, start: mt.nn.Module) -> Ours:
        """Ours, from the same weights; ``start`` itself stays where the twins read it, on the CPU."""
        ours = Ours(recipe, self.train_set, self.test_set, self.device)
        ours.trainer.model.load_state_dict(start.state_dict())
        return ours
