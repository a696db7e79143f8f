"""Cases of the ops that compute each element from one place of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from mytensor.workbook.check import references
from mytensor.workbook.check.cases.case import Arrays, Case, Draw
from mytensor.workbook.check.cases.family import EXACT, SUM, family

_SHAPES: tuple[tuple[int, ...], ...] = ((3, 5, 7), (67,), (0, 4), ())


@family("relu", EXACT)
def _relu(draw: Draw) -> Iterator[Case]:
    """function(input)."""
    from mytensor.optional import torch

    for values in (draw.normal(3, 5, 7), draw.tied(67), draw.normal(0, 3)):
        yield Case({"input": values}, torch.nn.functional.relu, length=0)


# ---------------------------------------------------------------------------------------------------------------------
# Functions of one number
# ---------------------------------------------------------------------------------------------------------------------

# How many roundings a function of one number may make: correctly rounded ones 1; exp and its relatives are polynomials,
# good to a few units in the last place, and exp's own error comes with its derivative.
_POINTWISE = {
    # name: (K, only for positive numbers)
    "neg": (0, False),
    "abs": (0, False),
    "sqrt": (3, True),
    "exp": (4, False),
    "log": (4, True),
}


def _register_pointwise(name: str, length: int, positive: bool) -> None:
    @family(name, f"|error| <= {2 * length}·eps·|result|" if length else EXACT)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(input)."""
        from mytensor.optional import torch

        function = getattr(torch, name)
        for shape in _SHAPES:
            values = draw.positive(*shape) if positive else 3 * draw.normal(*shape)
            yield Case({"input": values}, function, length=length, magnitude="pointwise")
        extreme = [1e-30, 1e-3, 1.0, 1e3, 1e30] if positive else [-80.0, -1e-3, -0.0, 1e-3, 80.0]
        yield Case({"input": np.array(extreme, draw.dtype)}, function, length=length, magnitude="pointwise")


for _name, (_length, _positive) in _POINTWISE.items():
    _register_pointwise(_name, _length, _positive)


def _saturating_magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    # The derivative is 1 - y^2, or y (1 - y): the difference cancels where y is near 1.
    return {"output": wanted["output"], "input gradient": upstream}


def _register_saturating(name: str) -> None:
    @family(name, "|error| <= 8·eps·|result|, gradients 8·eps·|upstream|")
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(input)."""
        from mytensor.optional import torch

        extreme = np.array([-90, -1e-3, 0, 1e-3, 90], draw.dtype)
        for values in (*(3 * draw.normal(*shape) for shape in _SHAPES), extreme):
            yield Case({"input": values}, getattr(torch, name), length=4, magnitude=_saturating_magnitude)


for _name in ("tanh", "sigmoid"):
    _register_saturating(_name)


# ---------------------------------------------------------------------------------------------------------------------
# Of two arguments, broadcast
# ---------------------------------------------------------------------------------------------------------------------

_BROADCASTS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3, 5, 7), (3, 5, 7)),
    ((3, 5, 7), (5, 1)),
    ((4, 1, 3), (2, 1)),
    ((67,), ()),
    ((0, 4), (4,)),
    ((1, 6), (5, 1)),
)
# name: (numbers of the first argument, of the second, K of the output). x^y is computed by exp and log.
_BINARY = {
    "add": (Draw.normal, Draw.normal, 1),
    "sub": (Draw.normal, Draw.normal, 1),
    "mul": (Draw.normal, Draw.normal, 1),
    "div": (Draw.normal, Draw.positive, 1),
    "pow": (Draw.positive, Draw.positive, 16),
    "maximum": (Draw.tied, Draw.tied, 0),
    "minimum": (Draw.tied, Draw.tied, 0),
}


def _register_binary(name: str) -> None:
    @family(name, "outputs 2·eps·|result|, gradients " + SUM)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(a, b)."""
        from mytensor.optional import torch

        function = getattr(torch, name)
        draw_first, draw_second, output_length = _BINARY[name]
        for first, second in _BROADCASTS:
            arguments = {"a": draw_first(draw, *first), "b": draw_second(draw, *second)}
            # A gradient is summed over what was broadcast.
            gradient_length = int(np.prod(np.broadcast_shapes(first, second))) + output_length + 3
            length = {"output": output_length, "a gradient": gradient_length, "b gradient": gradient_length}
            yield Case(arguments, function, length=length, magnitude=partial(_binary_magnitude, function))


def _binary_magnitude(function: Callable[..., Any], arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """Each output is one rounded operation. A gradient sums upstream * derivative over what was broadcast."""
    a, b = np.broadcast_arrays(arguments["a"].astype(np.float64), arguments["b"].astype(np.float64))
    stretched = Case({"a": a.copy(), "b": b.copy()}, function)
    terms = stretched.evaluate(stretched.arguments, upstream)
    sizes = {"output": wanted["output"]}
    for name, values in arguments.items():
        sizes[f"{name} gradient"] = references.sum_to_shape(np.abs(terms[f"{name} gradient"]), values.shape)
    return sizes


for _name in _BINARY:
    _register_binary(_name)


def _register_comparison(name: str) -> None:
    @family(name, EXACT)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(a, b) -> uint8, 1 where it holds."""
        from mytensor.optional import torch

        for first, second in _BROADCASTS:
            yield Case({"a": draw.tied(*first), "b": draw.tied(*second)}, getattr(torch, name), trainable=[], length=0)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _register_comparison(_name)


@family("where", "outputs exactly, gradients " + SUM)
def _where(draw: Draw) -> Iterator[Case]:
    """function(mask, a, b), mask uint8."""
    from mytensor.optional import torch

    shapes: tuple[tuple[tuple[int, ...], ...], ...] = (
        # mask, a, b
        ((3, 5), (3, 5), (3, 5)),
        ((4, 1), (3,), (4, 3)),
        ((6,), (2, 6), ()),
        ((0, 2), (2,), (0, 2)),
    )
    for mask, a, b in shapes:
        arguments = {"mask": draw.integers(0, 2, *mask).astype(np.uint8), "a": draw.normal(*a), "b": draw.normal(*b)}
        length = {"output": 0, "a gradient": 12, "b gradient": 12}
        yield Case(arguments, lambda mask, a, b: torch.where(mask.bool(), a, b), length=length, magnitude="pointwise")
