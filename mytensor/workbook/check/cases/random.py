"""Cases of the random numbers: the generator is fixed, so they are compared number by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mytensor.workbook.check import references
from mytensor.workbook.check.cases.case import Arrays, Case, Draw, Options
from mytensor.workbook.check.cases.family import family

_SHAPES: tuple[tuple[int, ...], ...] = ((5, 7), (67,), (0, 3), ())


@family("uniform", "Philox4x32-10, |error| <= 2·eps·(|low| + 2·|high|)")
def _uniform(draw: Draw) -> Iterator[Case]:
    """function(shape=, low=, high=, seed=, offset=, dtype=), dtype mytensor_backend's."""
    low, high = -1.5, 2.25

    def magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
        return {"output": np.full(wanted["output"].shape, abs(low) + 2 * abs(high))}

    for options in _streams(draw):
        options = {**options, "low": low, "high": high}
        yield Case({}, references.uniform, options, magnitude=magnitude, call=_call_random, dtype=draw.dtype)


@family("normal", "Philox4x32-10 and Box-Muller, |error| <= 2·eps·(|mean| + 9·std)")
def _normal(draw: Draw) -> Iterator[Case]:
    """function(shape=, mean=, std=, seed=, offset=, dtype=), dtype mytensor_backend's."""
    mean, std = -1.5, 2.25

    def magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
        # Of 53 random bits the largest radius is sqrt(2 log 2^53) = 8.6.
        return {"output": np.full(wanted["output"].shape, abs(mean) + 9 * std)}

    for options in _streams(draw):
        options = {**options, "mean": mean, "std": std}
        yield Case({}, references.normal, options, magnitude=magnitude, call=_call_random, dtype=draw.dtype)


def _streams(draw: Draw) -> Iterator[Options]:
    """The options that both have: what shape, from where in the generator's stream."""
    for shape in _SHAPES:
        seed, offset = int(draw.integers(0, 2**62)), int(draw.integers(0, 2**40))
        yield {"shape": shape, "seed": seed, "offset": offset, "dtype": draw.dtype.name}


def _call_random(function: Callable[..., Any], tensors: list, options: Options) -> Any:
    import mytensor_backend

    if function in (references.uniform, references.normal):
        return function(**options)
    return function(**{**options, "dtype": getattr(mytensor_backend, options["dtype"])})
