"""Functions that make new tensors. Sizes are given as zeros(2, 3) or zeros((2, 3)); the default dtype is float32."""

from __future__ import annotations

import math

import mytensor_backend as backend
import numpy as np

from mytensor import random
from mytensor._tensor import DType, Tensor, as_device, as_dtype, tensor
from mytensor.arguments import as_number, as_sizes, describe


def _shape(sizes: tuple) -> tuple[int, ...]:
    """(2, 3) from zeros(2, 3), zeros((2, 3)) or zeros([2, 3])."""
    shape = as_sizes(sizes[0] if len(sizes) == 1 else sizes, "a shape")
    if any(size < 0 for size in shape):
        raise ValueError(f"a size cannot be negative, got {shape}")
    return shape


def _full(shape: tuple[int, ...], value, dtype, device, requires_grad) -> Tensor:
    """The common end of full, zeros and ones; None stands for the default, as in torch."""
    dtype = backend.float32 if dtype is None else as_dtype(dtype)
    return Tensor(backend.full(shape, value, dtype, _device(device)), requires_grad)


def _device(device) -> str:
    return "cpu" if device is None else as_device(device)


def empty(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor whose memory is not initialised: write it before reading it."""
    dtype = backend.float32 if dtype is None else as_dtype(dtype)
    return Tensor(backend.empty(_shape(sizes), dtype, _device(device)), requires_grad)


def full(
    size, fill_value: float, dtype: DType | None = None, device: str = "cpu", requires_grad: bool = False
) -> Tensor:
    """A tensor with every element set to fill_value. dtype, when left out: float32 for a float, int64 for an int,
    uint8 for a bool, whether the number is Python's, numpy's or a 0-d tensor."""
    value = as_number(fill_value, "full: fill_value")
    if dtype is None:
        is_bool = isinstance(fill_value, (bool, np.bool_))
        dtype = backend.float32 if isinstance(value, float) else backend.uint8 if is_bool else backend.int64
    return _full(_shape((size,)), value, dtype, device, requires_grad)


def zeros(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return _full(_shape(sizes), 0, dtype, device, requires_grad)


def ones(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _full(_shape(sizes), 1, dtype, device, requires_grad)


def uniform(
    *sizes,
    low: float,
    high: float,
    dtype: DType = backend.float32,
    device: str = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Uniform draws from [low, high), from the framework's generator (mt.manual_seed); the same on every device."""
    shape = _shape(sizes)
    low, high = as_number(low, "uniform: low"), as_number(high, "uniform: high")
    dtype = backend.float32 if dtype is None else as_dtype(dtype)
    seed, offset = random.reserve(math.prod(shape) * dtype.itemsize)
    return Tensor(backend.uniform(shape, low, high, seed, offset, dtype, _device(device)), requires_grad)


def normal(
    *sizes,
    mean: float,
    std: float,
    dtype: DType = backend.float32,
    device: str = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Normal draws with this mean and standard deviation, from the framework's generator (mt.manual_seed); the same on
    every device."""
    shape = _shape(sizes)
    mean, std = as_number(mean, "normal: mean"), as_number(std, "normal: std")
    dtype = backend.float32 if dtype is None else as_dtype(dtype)
    seed, offset = random.reserve(math.prod(shape) * dtype.itemsize)
    return Tensor(backend.normal(shape, mean, std, seed, offset, dtype, _device(device)), requires_grad)


def rand(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Uniform draws from [0, 1)."""
    return uniform(*sizes, low=0.0, high=1.0, dtype=dtype, device=device, requires_grad=requires_grad)


def randn(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Draws from the standard normal distribution."""
    return normal(*sizes, mean=0.0, std=1.0, dtype=dtype, device=device, requires_grad=requires_grad)


def arange(start, end=None, step=1, dtype: DType | None = None, device: str = "cpu") -> Tensor:
    """start, start + step, ... up to but without end; arange(n) starts at 0. int64, or float32 if a float is given."""
    if end is None:
        start, end = 0, start
    start, end, step = (
        as_number(value, f"arange: {name}") for name, value in (("start", start), ("end", end), ("step", step))
    )
    if step == 0:
        raise ValueError("arange: the step must not be 0")
    fractions = [value for value in (start, end, step) if isinstance(value, float)]
    for value in (start, end, step):
        if not abs(value) < 2**63:  # NaN and infinity too
            raise ValueError(f"arange: start, end and step must lie within int64, got {value}")
    if (end - start) * step < 0:
        raise ValueError(f"arange: from {start} to {end}, a step of {step} leads the wrong way")
    if dtype is None:
        dtype = backend.float32 if fractions else backend.int64
    dtype = as_dtype(dtype)
    if not dtype.is_floating and any(value != int(value) for value in fractions):
        raise ValueError(f"arange: fractions do not fit {dtype.name}, got start {start}, end {end}, step {step}")
    return tensor(np.arange(start, end, step), dtype=dtype, device=_device(device))


def eye(
    n: int,
    m: int | None = None,
    dtype: DType = backend.float32,
    device: str = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: the n x n identity matrix, or n x m."""
    rows, columns = _shape((n, n if m is None else m))
    dtype = backend.float32 if dtype is None else dtype
    return tensor(np.eye(rows, columns), dtype=dtype, device=_device(device), requires_grad=requires_grad)


def empty_like(
    other: Tensor, dtype: DType | None = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """An uninitialised tensor of the other's shape and, where nothing else is said, its dtype and device."""
    return empty(_like(other, "empty_like").shape, **_options(other, dtype, device, requires_grad))


def zeros_like(
    other: Tensor, dtype: DType | None = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """Zeros of the other's shape and, where nothing else is said, its dtype and device."""
    return zeros(_like(other, "zeros_like").shape, **_options(other, dtype, device, requires_grad))


def ones_like(
    other: Tensor, dtype: DType | None = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """Ones of the other's shape and, where nothing else is said, its dtype and device."""
    return ones(_like(other, "ones_like").shape, **_options(other, dtype, device, requires_grad))


def full_like(
    other: Tensor,
    fill_value: float,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """fill_value everywhere, in the other's shape and, where nothing else is said, its dtype and device."""
    return full(_like(other, "full_like").shape, fill_value, **_options(other, dtype, device, requires_grad))


def rand_like(
    other: Tensor, requires_grad: bool = False, dtype: DType | None = None, device: str | None = None
) -> Tensor:
    """Uniform draws from [0, 1) in the other's shape and, where nothing else is said, its dtype and device."""
    return rand(_like(other, "rand_like").shape, **_options(other, dtype, device, requires_grad))


def randn_like(
    other: Tensor, requires_grad: bool = False, dtype: DType | None = None, device: str | None = None
) -> Tensor:
    """Standard normal draws in the other's shape and, where nothing else is said, its dtype and device."""
    return randn(_like(other, "randn_like").shape, **_options(other, dtype, device, requires_grad))


def _like(other, op: str) -> Tensor:
    if not isinstance(other, Tensor):
        raise TypeError(f"{op}: wanted a Tensor to make another one like it, got {describe(other)}")
    return other


def _options(other: Tensor, dtype, device, requires_grad: bool) -> dict:
    dtype, device = (other.dtype if dtype is None else dtype), (other.device if device is None else device)
    return {"dtype": dtype, "device": device, "requires_grad": requires_grad}
