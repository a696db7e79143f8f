"""Numbers that people choose are checked where they are declared, by these two, and not by what stumbles over them."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any


def whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """The value, Python's or numpy's, as an int. TypeError: it is no whole number; ValueError: too small or large."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if number < least or (most is not None and number > most):
        wanted = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {wanted}, got {number}")
    return number


def real(name: str, value: Any, least: float = 0.0, above: float | None = None) -> float:
    """The value, Python's or numpy's, as a finite float: at least ``least``, or greater than ``above``. Errors as
    ``whole``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond all floats
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value}")
    if above is not None and number <= above:
        raise ValueError(f"{name} must be greater than {above:g}, got {value}")
    if number < least:
        raise ValueError(f"{name} must be at least {least:g}, got {value}")
    return number


def different_seeds(seeds: Any) -> list[int]:
    """The seeds of several runs as a list; ValueError where there is none, or where two runs would be the same."""
    found = [whole("a seed", seed, 0, 2**64 - 1) for seed in seeds]
    if not found:
        raise ValueError("no seed was named: name at least one")
    if len(set(found)) < len(found):
        raise ValueError(f"the seeds {found} hold one twice, which would train the same run again: name each once")
    return found
