"""The same elements in another shape or order. Their derivatives put the gradient back where the elements came from.

Another shape shares the memory; another order, or some of the elements, is a part (parts.py): a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mytensor_backend as backend

from mytensor._tensor import DType, Tensor, as_array
from mytensor.arguments import as_int, as_sizes, describe, normalize_dim, normalize_dims
from mytensor.autograd import Function
from mytensor.ops.parts import CONTIGUOUS, REPEATED, part_of


class Reshape(Function):
    @staticmethod
    def forward(ctx, x, shape):
        ctx.shape = x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx, upstream):
        return upstream.reshape(ctx.shape)


class Permute(Function):
    @staticmethod
    def forward(ctx, x, dims):
        ctx.dims = dims
        return backend.permute(x, dims)

    @staticmethod
    def backward(ctx, upstream):
        return backend.permute(upstream, _inverse(ctx.dims))


def _inverse(dims: Sequence[int]) -> list[int]:
    """The order that undoes `dims`: dimension i came from dims[i], so dims[i] gets i back."""
    inverse = [0] * len(dims)
    for position, dim in enumerate(dims):
        inverse[dim] = position
    return inverse


class BroadcastTo(Function):
    @staticmethod
    def forward(ctx, x, shape):
        ctx.shape = x.shape
        return backend.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx, upstream):  # an element that was repeated collects the gradients of its copies
        return backend.sum_to_shape(upstream, ctx.shape)


_NOTHING = (0,)  # cat passes over arrays of this shape, whatever the dimensions of the others: so does torch's


class Cat(Function):
    @staticmethod
    def forward(ctx, dim, *arrays):
        ctx.dim = dim
        ctx.shapes = [array.shape for array in arrays]
        return backend.cat(list(arrays), dim)

    @staticmethod
    def backward(ctx, upstream):  # each piece takes its own stretch of the gradient
        gradients = [None]
        start = 0
        for shape in ctx.shapes:
            length = 0 if shape == _NOTHING else shape[ctx.dim]
            gradients.append(backend.narrow(upstream, ctx.dim, start, length).reshape(shape))
            start += length
        return gradients


class Narrow(Function):
    @staticmethod
    def forward(ctx, x, dim, start, length):
        ctx.shape, ctx.dim, ctx.start = x.shape, dim, start
        return backend.narrow(x, dim, start, length)

    @staticmethod
    def backward(ctx, upstream):  # zeros outside the stretch
        return backend.narrow_backward(upstream, ctx.shape, ctx.dim, ctx.start)


class Clone(Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, upstream):
        return upstream


class Cast(Function):
    @staticmethod
    def forward(ctx, x, dtype):
        ctx.dtype = x.dtype
        return x.astype(dtype)

    @staticmethod
    def backward(ctx, upstream):
        return upstream.astype(ctx.dtype)


class ToDevice(Function):
    @staticmethod
    def forward(ctx, x, device, non_blocking):
        ctx.device = x.device
        return x.to(device, non_blocking)

    @staticmethod
    def backward(ctx, upstream):
        return upstream.to(ctx.device)


def reshape(x: Tensor, shape) -> Tensor:
    """The same elements (and the same memory) in another shape; one length may be -1."""
    output = Reshape.apply(x, as_sizes(shape, "reshape"))
    if isinstance(x, Tensor):
        x._shares_memory = output._shares_memory = True
        output._part = x._part
    return output


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merges the dimensions start_dim ... end_dim into one."""
    shape = x.shape
    ndim = max(len(shape), 1)
    start, end = normalize_dim(start_dim, ndim, "flatten"), normalize_dim(end_dim, ndim, "flatten")
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    return reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def squeeze(x: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of length 1 (or without those of `dim`, one or several, whose length is 1)."""
    names_none = isinstance(dim, (tuple, list)) and not dim
    dims = () if names_none else normalize_dims(dim, x.ndim, "squeeze")
    return reshape(x, [length for d, length in enumerate(x.shape) if length != 1 or d not in dims])


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """With a dimension of length 1 put in at `dim`."""
    dim = normalize_dim(dim, x.ndim + 1, "unsqueeze")
    return reshape(x, (*x.shape[:dim], 1, *x.shape[dim:]))


def permute(x: Tensor, dims: Sequence[int]) -> Tensor:
    """With the dimensions in the order `dims`. A part."""
    order = [normalize_dim(dim, x.ndim, "permute") for dim in as_sizes(dims, "permute")]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: wanted each of the {x.ndim} dimensions once, got {tuple(dims)}")

    def take(array):
        return backend.permute(array, order)

    def put(array, part):
        return backend.permute(part.reshape(shape), _inverse(order))

    output = Permute.apply(x, order)
    shape = output.shape
    return part_of(x, output, take, put)


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """With two dimensions exchanged. A part. A single number stays what it is; its dims are 0 or -1, as in torch."""
    dims = list(range(max(x.ndim, 1)))
    dim0, dim1 = (normalize_dim(dim, len(dims), "transpose") for dim in (dim0, dim1))
    dims[dim0], dims[dim1] = dim1, dim0
    return permute(x, dims[: x.ndim])


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeated to a larger shape by numpy's broadcasting rules. A copy that cannot be changed in place."""
    output = BroadcastTo.apply(x, as_sizes(shape, "broadcast_to"))
    output._part = REPEATED
    return output


def cat(arrays: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one behind the other along `dim`; all other lengths must agree. Empty ones of shape (0,) may stand
    beside any others."""
    arrays = _tensors(arrays, "cat")
    for position, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(
                f"cat: the tensor in place {position} is a single number, without a dimension to join along; "
                "give it one with .reshape(1), or use mt.stack"
            )
    joined = next((array for array in arrays if array.shape != _NOTHING), None)
    return Cat.apply(0 if joined is None else normalize_dim(dim, joined.ndim, "cat"), *arrays)


def stack(arrays: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new dimension `dim`."""
    arrays = _tensors(arrays, "stack")
    for position, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"stack: the tensors must have one shape; the one in place 0 has {arrays[0].shape}, the one in place "
                f"{position} {array.shape}"
            )
    return cat([unsqueeze(array, dim) for array in arrays], dim)


def _tensors(arrays, op: str) -> list:
    """The tensors that are to be joined, checked: a list of at least one."""
    if not isinstance(arrays, (tuple, list)):
        raise TypeError(f"{op}: wanted a list of Tensors, got {describe(arrays)}")
    if not arrays:
        raise ValueError(f"{op}: wanted at least one tensor, got an empty list")
    for position, array in enumerate(arrays):
        as_array(array, f"{op}: the tensor in place {position}")  # a TypeError for what is none
    return list(arrays)


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Elements start ... start + length - 1 of dimension `dim`. A negative start counts from the end. A part."""
    dim = normalize_dim(dim, x.ndim, "narrow")
    start, length = as_int(start, "narrow: start"), as_int(length, "narrow: length")
    if -x.shape[dim] <= start < 0:
        start += x.shape[dim]
    end = start + length
    if not (length >= 0 and start >= 0 and end <= x.shape[dim]):
        raise IndexError(f"narrow: {start} ... {end} is out of range for dimension {dim} of length {x.shape[dim]}")

    def take(array):
        return backend.narrow(array, dim, start, length)

    def put(array, part):
        before = backend.narrow(array, dim, 0, start)
        behind = backend.narrow(array, dim, end, array.shape[dim] - end)
        return backend.cat([before, part.reshape(shape), behind], dim)

    output = Narrow.apply(x, dim, start, length)
    shape = output.shape
    return part_of(x, output, take, put)


def clone(x: Tensor) -> Tensor:
    """A copy with memory of its own."""
    return Clone.apply(x)


def contiguous(x: Tensor) -> Tensor:
    """A part, for reading only; see Tensor.contiguous."""
    output = reshape(x, x.shape)
    output._part = CONTIGUOUS
    return output


def cast(x: Tensor, dtype: DType) -> Tensor:
    """The same values in another dtype."""
    return Cast.apply(x, dtype)


def to_device(x: Tensor, device: str, non_blocking: bool = False) -> Tensor:
    """The same values in another device's memory. non_blocking: as in Tensor.to."""
    return ToDevice.apply(x, device, non_blocking)
