"""Reductions: sum, mean, largest, smallest, over any dimensions."""

from __future__ import annotations

import math

import mytensor_backend as backend

from mytensor._tensor import Tensor, as_array
from mytensor.arguments import as_flag, as_number, describe, normalize_dim, normalize_dims
from mytensor.autograd import Function
from mytensor.ops.arithmetic import div, is_foreign_array, mul, sub
from mytensor.ops.shape import clone


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


class _ExtremeAlong(Function):
    """(values, indices) of an extreme along one dimension; the gradient goes to the element at the index."""

    @classmethod
    def keep(cls, ctx, x, dim, indices):
        ctx.shape, ctx.dim = x.shape, dim
        ctx.save_for_backward(indices)

    @staticmethod
    def backward(ctx, upstream, *_):
        (indices,) = ctx.saved
        kept = _kept_shape(ctx.shape, (ctx.dim,))
        length = ctx.shape[ctx.dim]
        positions = _positions(length, upstream.device)
        positions = positions.reshape([length if dim == ctx.dim else 1 for dim in range(len(ctx.shape))])
        is_chosen = backend.eq(positions, indices.reshape(kept))
        # Not a product with 0 and 1: 0 times an infinite gradient is NaN.
        return backend.where(is_chosen, upstream.reshape(kept), backend.full((), 0.0, upstream.dtype, upstream.device))


class MaxAlong(_ExtremeAlong):
    @staticmethod
    def forward(ctx, x, dim, keepdim):
        indices = backend.argmax(x, dim, keepdim)
        MaxAlong.keep(ctx, x, dim, indices)
        return backend.amax(x, (dim,), keepdim), indices


class MinAlong(_ExtremeAlong):
    @staticmethod
    def forward(ctx, x, dim, keepdim):
        indices = backend.argmax(_in_opposite_order(x), dim, keepdim)
        MinAlong.keep(ctx, x, dim, indices)
        return backend.amin(x, (dim,), keepdim), indices


def _in_opposite_order(x):
    """Numbers that are largest where x's are smallest. Of integers -1 - x, not -x: the smallest has no negative."""
    if x.dtype.is_floating:
        return backend.neg(x)
    return backend.sub(255 if x.dtype == backend.uint8 else -1, x)


def _positions(length: int, device: str):
    """0, 1, ... length - 1 as an int64 NDArray."""
    from mytensor.creation import arange

    return arange(length, device=device).array


def sum(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The sum over dims (all when left out). Integer tensors are summed as int64."""
    dims, keepdim = reduction_arguments(x, dims, keepdim, "sum")
    if not x.dtype.is_floating:
        return Tensor._wrap(backend.sum(as_array(x, "sum").astype(backend.int64), dims, keepdim))
    return Sum.apply(x, dims, keepdim)


def mean(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The mean over dims (all when left out)."""
    dims, keepdim = reduction_arguments(x, dims, keepdim, "mean")
    if not x.dtype.is_floating:
        raise TypeError(
            f"mean: wanted float32 or float64, got {x.dtype.name}; convert the tensor first: x.float().mean()"
        )
    return Mean.apply(x, dims, keepdim)


def var(x: Tensor, dims=None, correction: float = 1, keepdim: bool = False) -> Tensor:
    """The squared distances from the mean, summed over dims (all when left out), over (count - correction)."""
    dims, keepdim = reduction_arguments(x, dims, keepdim, "var")
    correction = 1 if correction is None else as_number(correction, "var: correction")
    if not x.dtype.is_floating:
        raise TypeError(
            f"var: wanted float32 or float64, got {x.dtype.name}; convert the tensor first: x.float().var()"
        )
    # No gradient goes through the mean: the distances from it add up to 0, whatever the elements are.
    distances = sub(x, mean(x, dims, True).detach())
    squares = sum(mul(distances, distances), dims, keepdim)
    return div(squares, max(_count(x.shape, dims) - correction, 0))  # as in torch: never below 0


def amax(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The largest element over dims (all when left out)."""
    return Amax.apply(x, *reduction_arguments(x, dims, keepdim, "amax"))


def amin(x: Tensor, dims=None, keepdim: bool = False) -> Tensor:
    """The smallest element over dims (all when left out)."""
    return Amin.apply(x, *reduction_arguments(x, dims, keepdim, "amin"))


def max_of_all(x: Tensor) -> Tensor:
    """The largest of all elements."""
    return MaxOfAll.apply(x)


def min_of_all(x: Tensor) -> Tensor:
    """The smallest of all elements."""
    return MinOfAll.apply(x)


def max_along(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The largest elements along one dimension, and where they stand: of equal ones the first."""
    return _extreme_along(MaxAlong, x, dim, keepdim, "max")


def min_along(x: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The smallest elements along one dimension, and where they stand: of equal ones the first."""
    return _extreme_along(MinAlong, x, dim, keepdim, "min")


def _extreme_along(function: type[Function], x: Tensor, dim, keepdim, op: str) -> tuple[Tensor, Tensor]:
    if is_foreign_array(dim):  # in torch, x.max(y) is the larger of the two
        raise TypeError(
            f"{op}: dim must be an int, got {describe(dim)}; the larger or smaller of two tensors: x.maximum(y), "
            "x.minimum(y)"
        )
    dim, keepdim = _one_dim(x, dim, op), as_flag(keepdim, f"{op}: keepdim")
    if x.ndim == 0:
        return clone(x), Tensor._wrap(backend.full((), 0, backend.int64, x.device))
    return function.apply(x, dim, keepdim)


def argmax(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest element stands, along one dimension or in the flattened tensor."""
    array, keepdim = as_array(x, "argmax"), as_flag(keepdim, "argmax: keepdim")
    if dim is None:
        flat = backend.argmax(array.reshape((array.size,)), 0, False)
        return Tensor._wrap(flat.reshape((1,) * array.ndim) if keepdim else flat)
    dim = _one_dim(x, dim, "argmax")
    if array.ndim == 0:
        return Tensor._wrap(backend.full((), 0, backend.int64, array.device))
    return Tensor._wrap(backend.argmax(array, dim, keepdim))


def reduction_arguments(x, dims, keepdim, op: str) -> tuple[tuple[int, ...], bool]:
    """The dimensions to reduce and whether they stay, checked."""
    return normalize_dims(dims, as_array(x, op).ndim, op), as_flag(keepdim, op + ": keepdim")


def _one_dim(x: Tensor, dim, op: str) -> int:
    """The dimension of an op whose result says where along it something stands."""
    if isinstance(dim, (tuple, list)):
        raise TypeError(f"{op}: dim must be one int, got {dim}; over several dimensions: x.amax(dims), x.amin(dims)")
    return normalize_dim(dim, max(as_array(x, op).ndim, 1), op)
