"""Reductions: sum, mean, largest, smallest, over any dimensions."""

from __future__ import annotations

import math

import mytensor_backend as backend

from mytensor.autograd import Function
from mytensor.tensor import Tensor


def normalize_dims(dims, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, counted from 0 and sorted: None and () mean all, negative ones count from the end."""
    if dims is None or (isinstance(dims, (tuple, list)) and len(dims) == 0):
        return tuple(range(ndim))
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    for dim in dims:
        if not -max(ndim, 1) <= dim < max(ndim, 1):
            raise IndexError(f"dim {dim} is out of range for a tensor with {ndim} dimension(s)")
    if ndim == 0:  # a single number can be reduced over dim 0 or -1, as in torch
        return ()
    normalized = tuple(sorted(dim % ndim for dim in dims))
    if len(set(normalized)) != len(normalized):
        raise ValueError(f"a dimension appears twice in dim={dims}")
    return normalized


def _kept_shape(shape: tuple, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The shape after reducing with keepdim=True."""
    return tuple(1 if dim in dims else length for dim, length in enumerate(shape))


def _count(shape: tuple, dims: tuple[int, ...]) -> int:
    return math.prod(shape[dim] for dim in dims)


class Sum(Function):
    @staticmethod
    def forward(ctx, x, dims, keepdim):
        ctx.shape, ctx.dims = x.shape, dims
        return backend.sum(x, dims, keepdim)

    @staticmethod
    def backward(ctx, upstream):  # every summand has slope 1
        return backend.broadcast_to(upstream.reshape(_kept_shape(ctx.shape, ctx.dims)), ctx.shape)


class Mean(Function):
    @staticmethod
    def forward(ctx, x, dims, keepdim):
        ctx.shape, ctx.dims = x.shape, dims
        return backend.mean(x, dims, keepdim)

    @staticmethod
    def backward(ctx, upstream):  # every element has slope 1 / count
        share = backend.div(upstream, float(max(_count(ctx.shape, ctx.dims), 1)))
        return backend.broadcast_to(share.reshape(_kept_shape(ctx.shape, ctx.dims)), ctx.shape)


class _Extreme(Function):
    """amax and amin: the gradient goes to the extreme element; equal ones share it evenly."""

    @staticmethod
    def backward(ctx, upstream):
        x, output = ctx.saved
        kept = _kept_shape(x.shape, ctx.dims)
        is_extreme = backend.eq(x, output.reshape(kept)).astype(x.dtype)
        share = backend.div(upstream.reshape(kept), backend.sum(is_extreme, ctx.dims, True))
        return backend.mul(is_extreme, share)


class Amax(_Extreme):
    @staticmethod
    def forward(ctx, x, dims, keepdim):
        output = backend.amax(x, dims, keepdim)
        ctx.dims = dims
        ctx.save_for_backward(x, output)
        return output


class Amin(_Extreme):
    @staticmethod
    def forward(ctx, x, dims, keepdim):
        output = backend.amin(x, dims, keepdim)
        ctx.dims = dims
        ctx.save_for_backward(x, output)
        return output


class _ExtremeOfAll(Function):
    """The extreme of all elements. Equal ones share the gradient, as in amax and amin; here NaNs share it too."""

    @staticmethod
    def backward(ctx, upstream):
        x, output = ctx.saved
        # NaN equals nothing, not even itself: that is how it is found. A number is the extreme only where no NaN is.
        is_extreme = backend.add(backend.eq(x, output), backend.ne(x, x))
        share = backend.div(upstream, backend.sum(is_extreme.astype(x.dtype)))
        return backend.where(is_extreme, share, backend.full((), 0.0, x.dtype, x.device))


class MaxOfAll(_ExtremeOfAll):
    @staticmethod
    def forward(ctx, x):
        output = backend.amax(x)
        ctx.save_for_backward(x, output)
        return output


class MinOfAll(_ExtremeOfAll):
    @staticmethod
    def forward(ctx, x):
        output = backend.amin(x)
        ctx.save_for_backward(x, output)
        return output


class MaxAlong(Function):
    """(values, indices) of the largest element along one dimension; the gradient goes to the element at the index."""

    @staticmethod
    def forward(ctx, x, dim, keepdim):
        values = backend.amax(x, (dim,), keepdim)
        indices = backend.argmax(x, dim, keepdim)
        ctx.shape, ctx.dim = x.shape, dim
        ctx.save_for_backward(indices)
        return values, indices

    @staticmethod
    def backward(ctx, upstream, *_):
        (indices,) = ctx.saved
        kept = _kept_shape(ctx.shape, (ctx.dim,))
        length = ctx.shape[ctx.dim]
        positions = (
            _positions(length)
            .to(upstream.device)
            .reshape([length if dim == ctx.dim else 1 for dim in range(len(ctx.shape))])
        )
        is_chosen = backend.eq(positions, indices.reshape(kept))
        # Not a product with 0 and 1: 0 times an infinite gradient is NaN.
        return backend.where(is_chosen, upstream.reshape(kept), backend.full((), 0.0, upstream.dtype, upstream.device))


def _positions(length: int):
    """0, 1, ... length - 1 as an int64 NDArray."""
    from mytensor.creation import arange

    return arange(length).array


def sum(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The sum over dims (all when left out). Integer tensors are summed as int64."""
    dims = normalize_dims(dims, x.ndim)
    if not x.dtype.is_floating:
        array = x.array if isinstance(x, Tensor) else x
        return Tensor._wrap(backend.sum(array.astype(backend.int64), dims, keepdim))
    return Sum.apply(x, dims, keepdim)


def mean(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The mean over dims (all when left out)."""
    if not x.dtype.is_floating:
        raise TypeError(
            f"mean: wanted float32 or float64, got {x.dtype.name}; convert the tensor first: x.float().mean()"
        )
    return Mean.apply(x, normalize_dims(dims, x.ndim), keepdim)


def amax(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The largest element over dims (all when left out)."""
    return Amax.apply(x, normalize_dims(dims, x.ndim), keepdim)


def amin(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The smallest element over dims (all when left out)."""
    return Amin.apply(x, normalize_dims(dims, x.ndim), keepdim)


def max_of_all(x: Tensor) -> Tensor:
    """The largest of all elements."""
    return MaxOfAll.apply(x)


def min_of_all(x: Tensor) -> Tensor:
    """The smallest of all elements."""
    return MinOfAll.apply(x)


def max_along(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The largest elements along one dimension, and where they stand."""
    dims = normalize_dims(dim, x.ndim)
    if not dims:
        return x, Tensor._wrap(backend.full((), 0, backend.int64, x.device))
    return MaxAlong.apply(x, dims[0], keepdim)


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest element stands, along one dimension or in the flattened tensor."""
    array = x.array if isinstance(x, Tensor) else x
    if dim is None:
        flat = backend.argmax(array.reshape((array.size,)), 0, False)
        return Tensor._wrap(flat.reshape((1,) * array.ndim) if keepdim else flat)
    dims = normalize_dims(dim, array.ndim)
    if not dims:
        return Tensor._wrap(backend.full((), 0, backend.int64, array.device))
    return Tensor._wrap(backend.argmax(array, dims[0], keepdim))
