"""Cases of where a network starts: the range follows from a weight's shape, the numbers from the fixed generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod, sqrt
from typing import Any

import numpy as np

from mytensor.workbook.check import mutants, references
from mytensor.workbook.check.cases.case import Arrays, Call, Case, Draw, Options
from mytensor.workbook.check.cases.family import family

# (out, in) and (out, in, kh, kw), every length different
_SHAPES: tuple[tuple[int, ...], ...] = ((5, 7), (13, 4), (4, 3, 2, 5), (3, 7, 5, 1))
_FORMULA = "Philox's numbers in ±bound, |error| <= 6·eps·bound"

_KAIMING_OPTIONS: tuple[Options, ...] = (
    {"nonlinearity": "relu"},
    {"mode": "fan_in", "nonlinearity": "relu"},
    {"a": sqrt(5), "nonlinearity": "leaky_relu"},  # torch's layers
    {"mode": "fan_out", "nonlinearity": "tanh"},
)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(inputs that reach an output, outputs that an input reaches)."""
    return shape[1] * prod(shape[2:]), shape[0] * prod(shape[2:])


@family(
    "kaiming_uniform",
    _FORMULA,
    mutants.FAN_OUT_FOR_FAN_IN,
    mutants.GAIN_FORGOTTEN,
    mutants.RECEPTIVE_FIELD_FORGOTTEN,
    mutants.DEVIATION_AS_BOUND,
)
def _kaiming_uniform(draw: Draw) -> Iterator[Case]:
    """function(weight, a=, mode=, nonlinearity=) fills the weight, as torch.nn.init.kaiming_uniform_."""
    from mytensor.optional import torch

    for options in _KAIMING_OPTIONS:
        gain = torch.nn.init.calculate_gain(options["nonlinearity"], options.get("a"))
        for shape in _SHAPES:
            fan_in, fan_out = _fans(shape)
            fan = fan_out if options.get("mode") == "fan_out" else fan_in
            yield _case(draw, shape, gain * sqrt(3 / fan), options)


@family("xavier_uniform", _FORMULA, mutants.GAIN_FORGOTTEN, mutants.DEVIATION_AS_BOUND, mutants.FAN_IN_ALONE)
def _xavier_uniform(draw: Draw) -> Iterator[Case]:
    """function(weight, gain=) fills the weight, as torch.nn.init.xavier_uniform_."""
    for gain in (1.0, 1.75):
        for shape in _SHAPES:
            yield _case(draw, shape, gain * sqrt(6 / sum(_fans(shape))), {"gain": gain})


def _case(draw: Draw, shape: tuple[int, ...], bound: float, options: Options) -> Case:
    """The weight is to be filled with the numbers that the generator makes in [-bound, bound) from a drawn seed."""
    seed = int(draw.integers(0, 2**62))

    def reference(weight: Any, **_: Any) -> np.ndarray:
        return references.uniform(shape, -bound, bound, seed, 0, draw.dtype.name)

    def magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
        return {"output": np.full(shape, 3 * bound)}

    arguments = {"weight": draw.normal(*shape)}
    return Case(arguments, reference, options, magnitude=magnitude, trainable=[], call=_filled(reference, seed))


def _filled(reference: Callable[..., Any], seed: int) -> Call:
    """A call after which the weight is the output, the framework's random numbers started from `seed`."""

    def call(function: Callable[..., Any], tensors: list, options: Options) -> Any:
        if function is reference:
            return function(*tensors, **options)
        from mytensor import random

        state = random.get_state()
        random.manual_seed(seed)
        try:
            function(*tensors, **options)
        finally:
            random.set_state(state)  # a check must not move the reader's random numbers on
        return tensors[0]

    return call
