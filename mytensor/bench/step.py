"""A whole training step of LeNet: ours beside PyTorch's in every way that PyTorch offers to run it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import mytensor as mt
from mytensor.bench.clock import Contestant, take_turns
from mytensor.bench.results import spread
from mytensor.compare.sides import torch_precision
from mytensor.compare.twin import TorchLeNet, copy_weights, torch_recipe
from mytensor.optim import SGD
from mytensor.optional import torch
from mytensor.training import Recipe

F = torch.nn.functional
BATCHES = 8  # different ones, used in turn
Step = Callable[[], Any]  # one step on the next batch; its result's .item() is the loss

# Way of running PyTorch's step -> the devices it is for.
MODES = {
    "eager": ("cpu", "cuda"),
    "eager, fused optimizer": ("cpu", "cuda"),
    "torch.compile": ("cpu", "cuda"),
    "torch.compile, reduce-overhead": ("cuda",),
    "CUDA graph, captured by hand": ("cuda",),
}


def time_step(
    device: str, modes: Sequence[str] | None = None, batch_size: int = 64, seed: int = 0, budget: float = 2.0
) -> list[dict[str, Any]]:
    """One row for ours and for each of PyTorch's modes: side, mode, seconds, device_seconds, losses, problem.

    All start from the same weights and take the same batches, which lie on the device already, normalised. The losses
    of the first steps are compared before anything is timed. A mode that computes something else than ours, or that
    cannot run here (no compiler for torch.compile), is a row with a problem in place of times.
    """
    recipe = Recipe(batch_size=batch_size)
    rng = np.random.default_rng(seed)
    batches = [
        (rng.standard_normal((batch_size, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, batch_size))
        for _ in range(BATCHES)
    ]
    mt.manual_seed(seed)
    start = mt.models.LeNet()
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
            row["problem"] = f"{type(problem).__name__}: {str(problem).strip().splitlines()[0][:200]}"
            return
        if not np.allclose(row["losses"], rows[0]["losses"], rtol=1e-3, atol=0):
            row["problem"] = f"its losses are not ours: {row['losses'][0]:.6g}, ours {rows[0]['losses'][0]:.6g}, and on"
            return
        contestants[f"{side}: {mode}"] = Contestant([step], library=side)

    with torch_precision(tf32=False):
        enter("ours", "eager", lambda: _our_step(start, batches, recipe, device))
        for mode in MODES if modes is None else modes:
            if device in MODES[mode]:
                enter("torch", mode, functools.partial(_torch_step, mode, start, batches, recipe, device))
        take_turns(contestants, device, budget)
    for row in rows:
        if contestant := contestants.get(f"{row['side']}: {row['mode']}"):
            row |= {"seconds": spread(contestant.seconds), "device_seconds": spread(contestant.device_seconds)}
    return rows


def _our_step(start: mt.nn.Module, batches: Sequence[tuple], recipe: Recipe, device: str) -> Step:
    model = mt.models.LeNet()
    model.load_state_dict(start.state_dict())
    model.to(device)
    optimizer = SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    here = _endless([(mt.tensor(x, device=device), mt.tensor(y, device=device)) for x, y in batches])

    def step() -> mt.Tensor:
        x, y = here()
        optimizer.zero_grad()
        loss = mt.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _torch_step(mode: str, start: mt.nn.Module, batches: Sequence[tuple], recipe: Recipe, device: str) -> Step:
    model = TorchLeNet()
    copy_weights(start, model)
    model.to(device)
    if mode == "eager":
        optimizer = torch_recipe(model, recipe)
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
        )
    tensors = [(torch.tensor(x, device=device), torch.tensor(y, device=device)) for x, y in batches]
    here = _endless(tensors)

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(model(x), y)

    if mode == "CUDA graph, captured by hand":
        return _captured_step(model, optimizer, loss_of, tensors)
    if mode.startswith("torch.compile"):
        loss_of = torch.compile(loss_of, mode="reduce-overhead" if "reduce-overhead" in mode else None)

    def step() -> torch.Tensor:
        x, y = here()
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _captured_step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss_of, tensors: list[tuple]) -> Step:
    """As PyTorch's notes on CUDA graphs say: a few steps on another stream, then the capture of one, then replays. What
    the first steps changed is put back."""
    here = _endless(tensors)
    x, y = (tensor.clone() for tensor in tensors[0])
    before = [parameter.detach().clone() for parameter in model.parameters()]

    def whole_step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            whole_step()
    torch.cuda.current_stream().wait_stream(side)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = whole_step()
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), before, strict=True):
            parameter.copy_(value)
            # The first step sets the velocity to the gradient, later ones add to it: from zero it is the same.
            optimizer.state[parameter]["momentum_buffer"].zero_()

    def step() -> torch.Tensor:
        new_x, new_y = here()
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
        return loss

    return step


def _endless(pairs: Sequence[tuple]) -> Callable[[], tuple]:
    """The next pair each time, from the first again after the last."""
    place = [-1]

    def next_pair() -> tuple:
        place[0] = (place[0] + 1) % len(pairs)
        return pairs[place[0]]

    return next_pair
