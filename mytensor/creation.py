"""Functions that make new tensors. Sizes are given as zeros(2, 3) or zeros((2, 3)); the default dtype is float32."""

from __future__ import annotations

import math

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
    if step == 0:
        raise ValueError("arange: the step must not be 0")
    if dtype is None:
        dtype = backend.float32 if any(isinstance(value, float) for value in (start, end, step)) else backend.int64
    return tensor(np.arange(start, end, step), dtype=dtype, device=device)


def eye(n: int, dtype: DType = backend.float32, device: str = "cpu") -> Tensor:
    """The n x n identity matrix."""
    return tensor(np.eye(n), dtype=dtype, device=device)


def empty_like(other: Tensor, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """An uninitialised tensor of the other's shape and dtype."""
    return empty(other.shape, dtype=dtype or other.dtype, device=other.device, requires_grad=requires_grad)


def zeros_like(other: Tensor, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the other's shape and dtype."""
    return zeros(other.shape, dtype=dtype or other.dtype, device=other.device, requires_grad=requires_grad)


def ones_like(other: Tensor, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of the other's shape and dtype."""
    return ones(other.shape, dtype=dtype or other.dtype, device=other.device, requires_grad=requires_grad)


def full_like(other: Tensor, fill_value: float, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """fill_value everywhere, in the other's shape and dtype."""
    return full(other.shape, fill_value, dtype or other.dtype, other.device, requires_grad)


def rand_like(other: Tensor, requires_grad: bool = False) -> Tensor:
    """Uniform draws from [0, 1) in the other's shape and dtype."""
    return rand(other.shape, dtype=other.dtype, device=other.device, requires_grad=requires_grad)


def randn_like(other: Tensor, requires_grad: bool = False) -> Tensor:
    """Standard normal draws in the other's shape and dtype."""
    return randn(other.shape, dtype=other.dtype, device=other.device, requires_grad=requires_grad)
