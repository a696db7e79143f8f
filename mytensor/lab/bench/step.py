"""A whole training step of LeNet: ours beside PyTorch's in every way that PyTorch offers to run it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import mytensor as mt
from mytensor.lab.bench.clock import Contestant, take_turns
from mytensor.lab.bench.measurements import spread
from mytensor.lab.compare import fastest
from mytensor.lab.compare.fastest import Mode
from mytensor.lab.compare.sides import torch_precision
from mytensor.optim import SGD
from mytensor.optional import torch
from mytensor.training import Recipe

BATCHES = 8  # different ones, used in turn
Step = Callable[[], Any]  # one step on the next batch; its result's .item() is the loss

# PyTorch as most scripts run it, then all that may be its best.
MODES = (Mode(fused=False), *fastest.MODES)


def time_step(
    device: str, modes: Sequence[Mode] = MODES, batch_size: int = 64, seed: int = 0, budget: float = 2.0
) -> list[dict[str, Any]]:
    """One row for ours and for each of PyTorch's modes: side, mode, seconds, device_seconds, losses, problem.

    All start from the same weights and gather the same batches from images that lie on the device already, normalised.
    The losses of the first steps are compared before anything is timed. A mode that computes something else than ours,
    or that cannot run here (no compiler for torch.compile), is a row with a problem in place of times.
    """
    recipe = Recipe(batch_size=batch_size)
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((BATCHES * batch_size, 3, 32, 32), dtype=np.float32)
    labels = rng.integers(0, 10, len(images))
    order = np.arange(len(images)).reshape(BATCHES, batch_size)
    mt.manual_seed(seed)
    arguments = (mt.models.LeNet(), (images, labels, order), recipe, device)
    rows: list[dict[str, Any]] = []
    contestants: dict[str, Contestant] = {}

    def enter(side: str, mode: str, make: Callable[[], Step]) -> None:
        row: dict[str, Any] = {"side": side, "mode": mode, "seconds": None, "device_seconds": None}
        row |= {"losses": None, "problem": None}
        rows.append(row)
        try:
            step = make()
            row["losses"] = [float(step().item()) for _ in range(BATCHES)]
        except Exception as problem:  # torch.compile fails in many ways, none of them ours
            if side == "ours":
                raise
            row["problem"] = fastest.in_one_line(problem)
            return
        if not fastest.largest_deviation(row["losses"], rows[0]["losses"]) <= fastest.CHECK_TOLERANCE:  # nan is wrong
            row["problem"] = f"its losses are not ours: {row['losses'][0]:.6g}, ours {rows[0]['losses'][0]:.6g}, and on"
            return
        contestants[f"{side}: {mode}"] = Contestant([step], library=side)

    with torch_precision(tf32=False):
        enter("ours", "eager", lambda: _our_step(*arguments))
        for mode in modes:
            if mode.runs_on(device):
                enter("torch", mode.name, functools.partial(_torch_step, mode, *arguments))
        take_turns(contestants, device, budget)
    for row in rows:
        if contestant := contestants.get(f"{row['side']}: {row['mode']}"):
            row |= {"seconds": spread(contestant.seconds), "device_seconds": spread(contestant.device_seconds)}
    return rows


def _our_step(start: mt.nn.Module, data: Sequence[np.ndarray], recipe: Recipe, device: str) -> Step:
    model = mt.models.LeNet()
    model.load_state_dict(start.state_dict())
    model.to(device)
    optimizer = SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    images, labels = (mt.tensor(array, device=device) for array in data[:2])
    turns = itertools.cycle([mt.tensor(index, device=device) for index in data[2]])

    def step() -> mt.Tensor:
        index = next(turns)
        optimizer.zero_grad()
        loss = mt.nn.functional.cross_entropy(model(images.index_select(0, index)), labels.index_select(0, index))
        loss.backward()
        optimizer.step()
        return loss

    return step


def _torch_step(mode: Mode, start: mt.nn.Module, data: Sequence[np.ndarray], recipe: Recipe, device: str) -> Step:
    images, labels, order = (torch.tensor(array, device=device) for array in data)
    step = fastest.Step(mode, recipe, images, labels)
    step.start_from(start)
    step.set_lr(recipe.lr)
    turns = itertools.cycle(order)
    return lambda: step.step(next(turns))
