"""The peak memory of each side, in RAM and on the device, measured in a process of its own that trains one epoch."""

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
    "torch_best": "PyTorch at its best (float32 data set, normalised beforehand)",
}


def peak_memory(
    data: str | os.PathLike | None = None,
    threads: int = 1,
    synthetic_images: int = 0,
    device: str = "cpu",
    best: str | None = None,
) -> dict[str, dict[str, Any]]:
    """For each of SIDES: what it is and the peak of its resident memory in bytes, over loading the data and one epoch.

    synthetic_images: train on so many images of the stand-in instead of CIFAR-10. PyTorch is measured twice: with its
    data as it is timed, and with the data laid out as ours, which is the comparison of the frameworks alone.
    device: where to train; off the CPU, `device_allocated` (in use by arrays) and `device_reserved` (held by the
    allocator) come beside `bytes`; what the CUDA context itself takes is in neither side's numbers. best: the name of
    the mode in which "torch_best" runs (see ``mytensor.compare.fastest``); None: that side is left out.
    """
    peaks = {}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # the child finds what this process found
    for side, what in SIDES.items():
        if side == "torch_best" and best is None:
            continue
        arguments = {
            "side": side,
            "data": None if data is None else str(data),
            "threads": threads,
            "n": synthetic_images,
            "device": device,
            "best": best,
        }
        command = [sys.executable, "-m", "mytensor.lab.compare.memory_peaks", json.dumps(arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            why = (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
            raise RuntimeError(f"measuring the memory of {side} failed: {why}")
        peaks[side] = {"what": what} | json.loads(done.stdout.splitlines()[-1])
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


def _train_ours(dataset: ImageDataset, recipe: Recipe, threads: int, device: str) -> dict[str, int]:
    """Train an epoch; what the device's allocator says of its peaks, nothing on the CPU."""
    import mytensor as mt
    from mytensor.training import Trainer

    mt.set_num_threads(threads)
    trainer = Trainer(mt.models.LeNet(), dataset, dataset, recipe, device=device)
    for images, labels in trainer.batches.epoch(0):
        trainer.train_step(images, labels)
    if "torch" in sys.modules:
        raise AssertionError("our side must not import torch")
    if device == "cpu":
        return {}
    stats = mt.memory_stats(device)
    return {"device_allocated": stats["peak_allocated"], "device_reserved": stats["peak_reserved"]}


def _train_torch(
    dataset: ImageDataset, recipe: Recipe, threads: int, device: str, resident_uint8: bool, best: str | None
) -> dict[str, int]:
    """As ``_train_ours``. best: the mode's name."""
    from mytensor.lab.compare.fastest import Step, cudnn_benchmark, mode_named
    from mytensor.lab.compare.sides import torch_device
    from mytensor.lab.compare.twin import TorchLeNet, normalised, torch_recipe
    from mytensor.optional import torch

    torch.set_num_threads(threads)
    where = torch_device(device)
    mean, std = (torch.tensor(values, device=where).view(1, 3, 1, 1) for values in (recipe.mean, recipe.std))
    images, labels = torch.from_numpy(dataset.images), torch.from_numpy(dataset.labels).to(where)
    images = (images if resident_uint8 else normalised(dataset, recipe)).to(where)
    order = torch.randperm(len(dataset)).to(where).split(recipe.batch_size)
    if best is not None:
        with cudnn_benchmark():
            step = Step(mode_named(best), recipe, images, labels)
            step.set_lr(recipe.lr)
            for index in order:
                step.step(index)
    else:
        model = TorchLeNet().to(where)
        optimizer = torch_recipe(model, recipe)
        for index in order:
            batch = (images[index].float() / 255 - mean) / std if resident_uint8 else images[index]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(batch), labels[index]).backward()
            optimizer.step()
    if where == "cpu":
        return {}
    return {"device_allocated": torch.cuda.max_memory_allocated(), "device_reserved": torch.cuda.max_memory_reserved()}


def _main() -> None:
    arguments = json.loads(sys.argv[1])
    dataset = synthetic(arguments["n"]) if arguments["n"] else cifar10(arguments["data"], download=False)
    side, threads, device = arguments["side"], arguments["threads"], arguments["device"]
    if side == "ours":
        peaks = _train_ours(dataset, Recipe(), threads, device)
    else:
        from mytensor.lab.compare.sides import torch_precision

        best = arguments["best"] if side == "torch_best" else None
        with torch_precision(tf32=False):
            peaks = _train_torch(dataset, Recipe(), threads, device, side == "torch_uint8", best)
    print(json.dumps({"bytes": peak_resident_bytes()} | peaks))


if __name__ == "__main__":
    _main()
