"""The exercises of 00_start_here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import exercise, question


@question(
    "00.1",
    "how many share",
    mistakes=[
        (5, "x + 0 computes a new array, and clone is there to copy"),
        (4, "one of them is a new array with the same numbers"),
        (2, "one more of them only looks at the same bytes"),
        (1, "more than one of them only looks at the same bytes"),
    ],
)
def _how_many_share() -> int:
    return 3


_BOTH = (np.float32, np.float64)


@exercise(
    "00.2",
    "a leaky ReLU",
    mistakes={
        "the sides exchanged": ("x, 0.01 * x", "0.01 * x, x"),
        "no leak": ("0.01 * x", "0.0 * x"),
        "leaks ten times as much": ("0.01", "0.1"),
    },
    formula="|error| <= 2·eps·|a|",
    dtypes=_BOTH,
)
def _leaky_relu(draw: Draw) -> Iterator[Case]:
    """function(x) -> x where x > 0, else x / 100."""
    from mytensor.optional import torch

    for x in (draw.normal(3, 4), draw.normal(2, 3, 5), draw.normal(67)):
        yield Case({"x": x}, lambda x: torch.nn.functional.leaky_relu(x, 0.01), length=3, magnitude="pointwise")


@exercise(
    "00.3",
    "the backward rule of a square",
    mistakes={
        "upstream forgotten": ("upstream.numpy() * 2", "2"),
        "the 2 forgotten": (" * 2 * ", " * "),
        "the value instead of the derivative": ("2 * x.numpy()", "x.numpy() ** 2"),
    },
    formula="|error| <= 6·eps·|a|",
    dtypes=_BOTH,
)
def _square(draw: Draw) -> Iterator[Case]:
    """A Function: x -> x * x."""
    for x in (draw.normal(3, 4), draw.normal(2, 3, 5), draw.normal(67)):
        yield Case({"x": x}, lambda x: x * x, length=3, magnitude="pointwise")
