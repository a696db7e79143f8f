"""The exercises of 09_modules_init_optim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod, sqrt
from typing import Any

import numpy as np

from mytensor.workbook.check.cases.case import Arrays, Case, Draw, Options
from mytensor.workbook.exercise.declare import as_numpy, exercise


def _draw_with(bound: Callable[..., float]) -> Callable[..., np.ndarray]:
    """A weight drawn by the reader's bound: fractions of -1 ... 1, times the bound of their shape."""

    def draw(fractions: np.ndarray) -> np.ndarray:
        return fractions * bound(fractions)

    return draw


@exercise(
    "09.1",
    "the bound of Kaiming's uniform draw",
    mistakes={
        "outputs counted instead of inputs": ("weight.shape[1:]", "weight.shape[:1] + weight.shape[2:]"),
        "a kernel's pixels not counted": ("weight.shape[1:]", "weight.shape[1]"),
        "the standard deviation": ("6 / fan_in", "2 / fan_in"),
        "for a layer without ReLU": ("6 / fan_in", "3 / fan_in"),
        "the variance": ("np.sqrt(6 / fan_in)", "6 / fan_in"),
    },
    formula="|error| <= 2·5·eps·bound",
    convert=as_numpy,
    adapt=_draw_with,
)
def _kaiming_bound(draw: Draw) -> Iterator[Case]:
    """bound(weight) -> a, so that a uniform draw from [-a, a) keeps the variance through ReLUs."""
    from mytensor.optional import torch

    def drawn(fractions):
        fan_in = fractions.shape[1] * prod(fractions.shape[2:])
        return fractions * torch.nn.init.calculate_gain("relu") * sqrt(3 / fan_in)

    for shape in ((2, 3), (4, 2, 3, 5), (13, 7), (6, 3, 3, 3)):
        fractions = draw.rng.uniform(-1, 1, shape).astype(draw.dtype)
        yield Case({"weight": fractions}, drawn, length=5, magnitude="pointwise", trainable=[])


def _three_steps(step: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """The parameter after steps with three gradients, both averages starting from 0."""

    def run(parameter: np.ndarray, first, second, third, lr: float) -> np.ndarray:
        m, v = np.zeros_like(parameter), np.zeros_like(parameter)
        for t, gradient in enumerate((first, second, third), start=1):
            parameter, m, v = step(parameter, gradient, m, v, t, lr)
        return parameter

    return run


def _adam_by_torch(parameter, *gradients, lr):
    from mytensor.optional import torch

    leaf = parameter.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([leaf], lr=lr, foreach=False)
    for gradient in gradients:
        leaf.grad = gradient
        optimizer.step()
    return leaf.detach()


def _adam_sizes(lr: float) -> Callable[[Arrays, np.ndarray, Arrays], Arrays]:
    """|p| and three steps of at most 2·lr each: |m̂| / sqrt(v̂) stays below 2, also where the gradients in m̂ cancel."""

    def sizes(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
        return {"output": np.abs(arguments["parameter"]) + 3 * 2 * lr}

    return sizes


@exercise(
    "09.2",
    "Adam's step",
    mistakes={
        "the averages not corrected": ("m / (1 - 0.9**t)", "m"),
        "corrected as in the first step": ("(1 - 0.999**t)", "(1 - 0.999)"),
        "the root forgotten": ("np.sqrt(v / (1 - 0.999**t))", "v / (1 - 0.999**t)"),
        "epsilon under the root": ("np.sqrt(v / (1 - 0.999**t)) + 1e-8", "np.sqrt(v / (1 - 0.999**t) + 1e-8)"),
        "the decays exchanged": ("0.9 * m + 0.1 * gradient", "0.999 * m + 0.001 * gradient"),
        "uphill": ("parameter - lr", "parameter + lr"),
    },
    formula="three steps, |error| <= 2·20·eps·(|p| + 6·lr)",
    convert=as_numpy,
    adapt=_three_steps,
)
def _adam(draw: Draw) -> Iterator[Case]:
    """step(parameter, gradient, m, v, t, lr) -> (parameter, m, v), with torch's betas 0.9 and 0.999, eps 1e-8."""
    for shape, lr in (((2, 3), 0.1), ((5, 7), 0.01), ((67,), 0.3)):
        arguments = {name: draw.normal(*shape) for name in ("parameter", "first", "second", "third")}
        options: Options = {"lr": lr}
        yield Case(arguments, _adam_by_torch, options, length=20, magnitude=_adam_sizes(lr), trainable=[])


def _launch_over_list(place: Callable[..., tuple[int, int]]) -> Callable[..., np.ndarray]:
    """All threads of one launch over a list of tensors, which lie one behind the other in `parameter`."""

    def launch(parameter: np.ndarray, gradient: np.ndarray, sizes: tuple[int, ...], threads: int) -> np.ndarray:
        starts = np.cumsum([0, *sizes])
        updated = parameter.copy()
        blocks = sum(-(-size // threads) for size in sizes)
        for block, thread in np.ndindex(blocks, threads):
            tensor, i = place(block, thread, sizes, threads)
            if 0 <= i < sizes[tensor]:  # as the kernel does: the last block's last threads have no element
                updated[starts[tensor] + i] -= 0.1 * gradient[starts[tensor] + i]
        return updated

    return launch


@exercise(
    "09.3",
    "one thread of the multi-tensor kernel",
    mistakes={
        "off by one block": ("block >= blocks", "block > blocks"),
        "a full block too many": ("-(-size // threads)", "size // threads + 1"),
        "the blocks before are not taken off": ("block -= blocks[tensor]", "block -= 1"),
        "every block begins at the first element": ("block * threads + thread", "thread"),
        "block and thread exchanged": ("block * threads + thread", "thread * threads + block"),
    },
    formula="|error| <= 4·eps·(|p| + |g|)",
    convert=as_numpy,
    adapt=_launch_over_list,
)
def _place(draw: Draw) -> Iterator[Case]:
    """place(block, thread, sizes, threads) -> (tensor, element); every element must be updated, and once."""

    def update(parameter, gradient, sizes, threads):
        return parameter - 0.1 * gradient

    def magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
        return {"output": np.abs(arguments["parameter"]) + np.abs(arguments["gradient"])}

    for sizes, threads in (((3, 5), 4), ((8, 1, 6), 4), ((2, 16, 3, 9), 8), ((70,), 32)):
        arguments = {"parameter": draw.normal(sum(sizes)), "gradient": draw.normal(sum(sizes))}
        options: Options = {"sizes": sizes, "threads": threads}
        yield Case(arguments, update, options, length=2, magnitude=magnitude, trainable=[])
