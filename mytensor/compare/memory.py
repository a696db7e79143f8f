"""The peak memory of each side, measured in a process of its own that trains one epoch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mytensor.data import ImageDataset, cifar10, synthetic
from mytensor.training import Recipe

SIDES = {
    "ours": "ours (uint8 data set, normalised batch by batch)",
    "torch": "PyTorch (float32 data set, normalised beforehand)",
    "torch_uint8": "PyTorch (uint8 data set, normalised batch by batch)",
}


def peak_memory(
    data: str | os.PathLike | None = None, threads: int = 1, synthetic_images: int = 0
) -> dict[str, dict[str, Any]]:
    """For each of SIDES: what it is and the peak of its resident memory in bytes, over loading the data and one epoch.

    synthetic_images: train on so many images of the stand-in instead of CIFAR-10. PyTorch is measured twice: with its
    data as it is timed, and with the data laid out as ours, which is the comparison of the frameworks alone.
    """
    peaks = {}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # the child finds what this process found
    for side, what in SIDES.items():
        arguments = {
            "side": side,
            "data": None if data is None else str(data),
            "threads": threads,
            "n": synthetic_images,
        }
        command = [sys.executable, "-m", "mytensor.compare.memory", json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise RuntimeError(f"measuring the memory of {side} failed:\n{done.stderr}")
        peaks[side] = {"what": what, "bytes": int(done.stdout.splitlines()[-1])}
    return peaks


def peak_resident_bytes() -> int:
    """The most memory this process has had in RAM, in bytes.

    Linux: VmHWM. getrusage's ru_maxrss would count the parent too: it survives exec (Linux, fs/exec.c, exec_mmap).
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _train_ours(dataset: ImageDataset, recipe: Recipe, threads: int) -> None:
    import mytensor as mt
    from mytensor.training import Trainer

    mt.set_num_threads(threads)
    trainer = Trainer(mt.models.LeNet(), dataset, dataset, recipe)
    for images, labels in trainer.batches.epoch(0):
        trainer.train_step(images, labels)
    assert "torch" not in sys.modules, "our side must not import torch"


def _train_torch(dataset: ImageDataset, recipe: Recipe, threads: int, resident_uint8: bool) -> None:
    import torch

    from mytensor.compare.twin import TorchLeNet, normalised, torch_recipe

    torch.set_num_threads(threads)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (recipe.mean, recipe.std))
    images, labels = torch.from_numpy(dataset.images), torch.from_numpy(dataset.labels)
    if not resident_uint8:
        images = normalised(dataset, recipe)
    model = TorchLeNet()
    optimizer = torch_recipe(model, recipe)
    for index in torch.randperm(len(dataset)).split(recipe.batch_size):
        batch = (images[index].float() / 255 - mean) / std if resident_uint8 else images[index]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch), labels[index]).backward()
        optimizer.step()


def _main() -> None:
    arguments = json.loads(sys.argv[1])
    dataset = synthetic(arguments["n"]) if arguments["n"] else cifar10(arguments["data"], download=False)
    if arguments["side"] == "ours":
        _train_ours(dataset, Recipe(), arguments["threads"])
    else:
        _train_torch(dataset, Recipe(), arguments["threads"], arguments["side"] == "torch_uint8")
    print(peak_resident_bytes())


if __name__ == "__main__":
    _main()
