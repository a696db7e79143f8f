"""The sizes of windows that slide over images: one number for both sides, or (height, width)."""

from __future__ import annotations

import operator


def pair(value, op: str, name: str, one_in_a_list: bool = True) -> tuple[int, int]:
    """3 -> (3, 3); (3, 5) stays. one_in_a_list: (3,) -> (3, 3) too, as torch's convolution and pooling take it."""
    if type(value) is int:  # first what nearly every call brings: this runs in every training step
        return value, value
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        return value
    parts = value if isinstance(value, (tuple, list)) else (value,)
    is_known = len(parts) == 2 or (len(parts) == 1 and (one_in_a_list or parts is not value))
    try:
        numbers = [operator.index(part) for part in parts if not isinstance(part, bool)]
    except (TypeError, ValueError):  # no number; an array of several
        numbers = []
    if not is_known or len(numbers) != len(parts):
        raise TypeError(f"{op}: {name} must be an int or a pair of ints (height, width), got {value!r}")
    return numbers[0], numbers[-1]


def stride_of_pooling(value, op: str) -> tuple[int, int] | None:
    """None and () mean the kernel's size."""
    is_left_out = value is None or (isinstance(value, (tuple, list)) and not value)
    return None if is_left_out else pair(value, op, "stride")
