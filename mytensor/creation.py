"""Functions that make new tensors. Sizes are given as zeros(2, 3) or zeros((2, 3)); the default dtype is float32."""

from __future__ import annotations

import math
from typing import Any

import mytensor_backend as backend
import numpy as np

from mytensor import random
from mytensor.tensor import DType, Tensor, as_dtype, tensor


def _shape(sizes: tuple) -> tuple[int, ...]:
    """(2, 3) from zeros(2, 3), zeros((2, 3)) or zeros([2, 3])."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"a size must be an int, got {size!r} ({type(size).__name__})")
        if size < 0:
            raise ValueError(f"a size cannot be negative, got {tuple(sizes)}")
    return tuple(int(size) for size in sizes)


def empty(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor whose memory is not initialised: write it before reading it."""
    return Tensor(backend.empty(_shape(sizes), as_dtype(dtype), device), requires_grad)


def full(
    size, fill_value: float, dtype: DType | None = None, device: str = "cpu", requires_grad: bool = False
) -> Tensor:
    """A tensor with every element set to fill_value; dtype float32 for a float and int64 for an int when left out."""
    if dtype is None:
        dtype = backend.float32 if isinstance(fill_value, float) else backend.int64
    sizes = size if isinstance(size, (tuple, list)) else (size,)
    return Tensor(backend.full(_shape(tuple(sizes)), fill_value, as_dtype(dtype), device), requires_grad)


def zeros(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return Tensor(backend.full(_shape(sizes), 0, as_dtype(dtype), device), requires_grad)


def ones(*sizes, dtype: DType = backend.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return Tensor(backend.full(_shape(sizes), 1, as_dtype(dtype), device), requires_grad)


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
    seed, offset = random.reserve(math.prod(shape) * as_dtype(dtype).itemsize)
    return Tensor(backend.uniform(shape, low, high, seed, offset, as_dtype(dtype), device), requires_grad)


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
    seed, offset = random.reserve(math.prod(shape) * as_dtype(dtype).itemsize)
    return Tensor(backend.normal(shape, mean, std, seed, offset, as_dtype(dtype), device), requires_grad)


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
    if dtype is None:
        dtype = backend.float32 if any(isinstance(value, float) for value in (start, end, step)) else backend.int64
    if not dtype.is_floating:  # counted in integers from the start, as in torch
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise ValueError("arange: the step must not be 0")
    return tensor(np.arange(start, end, step), dtype=dtype, device=device)


def eye(
    n: int,
    m: int | None = None,
    dtype: DType = backend.float32,
    device: str = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: the n x n identity matrix, or n x m."""
    if isinstance(m, DType):
        raise TypeError(f"eye: the second argument is the number of columns, got {m.name}; eye(n, dtype=...)")
    return tensor(np.eye(n, m), dtype=dtype, device=device, requires_grad=requires_grad)


def empty_like(
    other: Tensor, dtype: DType | None = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """An uninitialised tensor of the other's shape and, where nothing else is said, its dtype and device."""
    return empty(other.shape, requires_grad=requires_grad, **_like(other, dtype, device))


def zeros_like(
    other: Tensor, dtype: DType | None = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """Zeros of the other's shape and, where nothing else is said, its dtype and device."""
    return zeros(other.shape, requires_grad=requires_grad, **_like(other, dtype, device))


def ones_like(
    other: Tensor, dtype: DType | None = None, requires_grad: bool = False, device: str | None = None
) -> Tensor:
    """Ones of the other's shape and, where nothing else is said, its dtype and device."""
    return ones(other.shape, requires_grad=requires_grad, **_like(other, dtype, device))


def full_like(
    other: Tensor,
    fill_value: float,
    dtype: DType | None = None,
    requires_grad: bool = False,
    device: str | None = None,
) -> Tensor:
    """fill_value everywhere, in the other's shape and, where nothing else is said, its dtype and on its device."""
    return full(other.shape, fill_value, requires_grad=requires_grad, **_like(other, dtype, device))


def rand_like(
    other: Tensor, requires_grad: bool = False, dtype: DType | None = None, device: str | None = None
) -> Tensor:
    """Uniform draws from [0, 1) in the other's shape and, where nothing else is said, its dtype and on its device."""
    return rand(other.shape, requires_grad=requires_grad, **_like(other, dtype, device))


def randn_like(
    other: Tensor, requires_grad: bool = False, dtype: DType | None = None, device: str | None = None
) -> Tensor:
    """Standard normal draws in the other's shape and, where nothing else is said, its dtype and on its device."""
    return randn(other.shape, requires_grad=requires_grad, **_like(other, dtype, device))


def _like(other: Tensor, dtype: DType | None, device: str | None) -> dict[str, Any]:
    return {"dtype": dtype or other.dtype, "device": device or other.device}
