"""Checks of single arguments, and how errors name what came."""

from __future__ import annotations

import numbers
import operator
from typing import Any


def in_words(value: Any) -> str:
    """What came, for an error: a short value as it is, anything else by its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if value is None or isinstance(value, (bool, int, float, str)) else type(value).__name__


def whole(function: str, name: str, value: Any, least: int | None = None) -> int:
    """The value as an int. Also numpy's integers are whole; a bool is not, nor is 3.0."""
    if isinstance(value, bool):
        raise TypeError(f"{function}: {name} must be an int, got {value}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{function}: {name} must be an int, got {in_words(value)}") from None
    if least is not None and number < least:
        raise ValueError(f"{function}: {name} must be {'positive' if least == 1 else 'at least 0'}, got {number}")
    if abs(number) >= 2**63:
        raise ValueError(f"{function}: {name} must fit into 64 bits, got {number}")
    return number


def real(function: str, name: str, value: Any) -> float:
    """The value as a number of Python, which it may be, or a number of numpy, or an array or tensor with one number."""
    number = value.item() if getattr(value, "shape", None) == () else value
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{function}: {name} must be a number, got {in_words(value)}")
    if isinstance(number, int) and abs(number) >= 2**1023:
        raise ValueError(
            f"{function}: {name} must be small enough for a float, got a number of {len(str(number))} digits"
        )
    return number if isinstance(number, int) else float(number)
