"""Cases of what a training step does besides the model: the batch gathered, the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mytensor.check import mutants, references
from mytensor.check.cases.case import Arrays, Call, Case, Draw, Options
from mytensor.check.cases.family import family

_SGD_OPTIONS: tuple[Options, ...] = (
    {"lr": 0.1},
    {"lr": 0.05, "momentum": 0.9},
    {"lr": 0.1, "weight_decay": 0.2},
    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
    {"lr": 0.05, "momentum": 0.9, "dampening": 0.5},
)


@family(
    "sgd",
    "three steps, |error| <= 2·K·eps·(|a| op |b|)",
    mutants.MOMENTUM_FORGOTTEN,
    mutants.WEIGHT_DECAY_FORGOTTEN,
    mutants.DAMPENING_FORGOTTEN,
    mutants.NESTEROV_FORGOTTEN,
)
def _sgd(draw: Draw) -> Iterator[Case]:
    """function: the optimizer class, called as torch.optim.SGD; it takes three steps with drawn gradients."""
    import torch

    shapes: tuple[tuple[int, ...], ...] = ((5, 7), (67,))
    for options in _SGD_OPTIONS:
        for shape in shapes:
            arguments = {name: draw.normal(*shape) for name in ("parameter", "first", "second", "third")}
            yield Case(arguments, torch.optim.SGD, options, 12, _sgd_magnitude, trainable=[], call=_three_steps)


def _three_steps(optimizer_class: Callable[..., Any], tensors: list, options: Options) -> Any:
    """The parameter after a step with each of the gradients."""
    parameter, *gradients = tensors
    parameter = parameter.requires_grad_()
    optimizer = optimizer_class([parameter], **options)
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return parameter.detach()


def _sgd_magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """Every term of the three steps in absolute value; none has a factor above 2, as (1 + momentum)^3 comes with lr."""
    total = np.zeros_like(wanted["output"])
    for values in arguments.values():
        total += np.abs(values.astype(np.float64))
    return {"output": 2 * total}


@family("gather_batch", "|error| <= 6·eps·(|x| + |mean|) / std")
def _gather_batch(draw: Draw) -> Iterator[Case]:
    """function(images uint8 (N, C, H, W), index, mean, std, flip, crop, padding), NDArrays, -> float32."""
    if draw.dtype != np.float32:
        return
    for count, flip, crop, padding in (
        (5, False, False, 0),
        (7, True, False, 0),
        (6, True, True, 2),
        (0, False, False, 0),
    ):
        arguments = {
            "images": draw.integers(0, 256, 9, 3, 6, 7).astype(np.uint8),
            "index": draw.integers(0, 9, count),
            "mean": draw.positive(3) / 2,
            "std": draw.positive(3),
            "flip": draw.integers(0, 2, count).astype(np.uint8),
            "crop": draw.integers(0, 2 * padding + 1, count, 2),
        }
        call = _gather_call(flip, crop, padding)
        yield Case(arguments, references.gather_batch, {}, 3, _gather_magnitude, trainable=[], call=call)


def _gather_call(flip: bool, crop: bool, padding: int) -> Call:
    """A call with the drawn flips and crops, or with None in their place."""

    def call(function: Callable[..., Any], tensors: list, options: Options) -> Any:
        if function is references.gather_batch:
            arrays = [tensor.numpy() for tensor in tensors]
        else:
            arrays = [getattr(tensor, "array", tensor) for tensor in tensors]
        images, index, mean, std, flips, crops = arrays
        return function(images, index, mean, std, flips if flip else None, crops if crop else None, padding)

    return call


def _gather_magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    mean, std = (arguments[name].astype(np.float64)[:, None, None] for name in ("mean", "std"))
    return {"output": np.broadcast_to((1 + np.abs(mean)) / std, wanted["output"].shape)}
