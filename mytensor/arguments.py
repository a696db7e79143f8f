"""What callers hand in, checked in one place: ints, sizes, dimensions, numbers, yes or no.

Whatever Python can use as an index is an int here: Python's, numpy's, a tensor of one integer. bool is not, as in
torch: `x.sum(True)` is a slip of the pen and not dimension 1. The messages say what came and what was wanted; `what`
begins them, e.g. "narrow: length".
"""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
from mytensor_backend import DType

_LARGEST = 2**63 - 1  # of an int64, which the backend counts with
_LARGEST_FLOAT = int(sys.float_info.max)


def as_int(value: Any, what: str) -> int:
    """An int within int64, from anything that is one."""
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_, DType)):  # Python could use these as an index, too
            raise TypeError(f"{what} must be an int, got {describe(value)}")
        try:
            value = operator.index(value)
        except (TypeError, ValueError):
            raise TypeError(f"{what} must be an int, got {describe(value)}") from None
    if not -_LARGEST - 1 <= value <= _LARGEST:
        raise ValueError(f"{what} must lie within int64, got {value}")
    return value


def as_sizes(sizes: Any, what: str) -> tuple[int, ...]:
    """(2, 3) from (2, 3), [2, 3], or 2 for (2,); -1 is for the op to judge."""
    what = f"{what}: a size"
    return tuple([as_int(size, what) for size in (sizes if isinstance(sizes, (tuple, list)) else (sizes,))])


def as_number(value: Any, what: str) -> int | float:
    """A Python number from Python's, numpy's, or a 0-d array or tensor (ours or torch's)."""
    if type(value) is float:
        return value
    number = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    if isinstance(number, (float, np.floating)):  # np.longdouble's item() is itself
        return float(number)
    if isinstance(number, int):
        if abs(number) > _LARGEST_FLOAT:
            raise ValueError(f"{what} lies beyond the largest floating number")
        return int(number)
    raise TypeError(f"{what} must be a number, got {describe(value)}")


def as_flag(value: Any, what: str) -> bool:
    """True or False, Python's or numpy's."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{what} must be True or False, got {describe(value)}")


def normalize_dim(dim: Any, ndim: int, op: str) -> int:
    """A dimension counted from 0; negative ones count from the end."""
    if type(dim) is not int:
        dim = as_int(dim, f"{op}: a dim")
    if not -ndim <= dim < ndim:
        raise IndexError(f"dim {dim} is out of range for a tensor with {ndim} dimension(s)")
    return dim % ndim


def normalize_dims(dims: Any, ndim: int, op: str) -> tuple[int, ...]:
    """The dimensions to reduce, counted from 0 and sorted: None and () mean all, negative ones count from the end."""
    if dims is None or (isinstance(dims, (tuple, list)) and len(dims) == 0):
        return tuple(range(ndim))
    listed = dims if isinstance(dims, (tuple, list)) else (dims,)
    # A single number can be reduced over dim 0 or -1, as in torch.
    normalized = tuple(sorted([normalize_dim(dim, max(ndim, 1), op) for dim in listed]))
    if len(set(normalized)) != len(normalized):
        raise ValueError(f"a dimension appears twice in dim={dims}")
    return normalized if ndim > 0 else ()


def describe(value: Any) -> str:
    """The value and its type for an error message; of a long one the type alone."""
    if value is None:
        return "None"
    kind = type(value)
    is_known = kind.__module__ in ("builtins", "mytensor._tensor")
    name = kind.__name__ if is_known else f"{kind.__module__}.{kind.__name__}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape != ():
        return f"{name} of shape {tuple(shape)}"
    text = repr(value)
    return f"{text} ({name})" if len(text) <= 40 and "\n" not in text else name
