"""The same elements in another shape or order. Their derivatives put the gradient back where the elements came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mytensor_backend as backend

from mytensor.autograd import Function
from mytensor.tensor import DType, NDArray, Tensor, _normalize_dim


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
    def backward(ctx, upstream):  # dimension i came from dims[i], so dims[i] gets i back
        inverse = [0] * len(ctx.dims)
        for position, dim in enumerate(ctx.dims):
            inverse[dim] = position
        return backend.permute(upstream, inverse)


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
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    output = Reshape.apply(x, shape)
    if isinstance(x, Tensor):
        x._shares_memory = output._shares_memory = True
    return output


def flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merges the dimensions start_dim ... end_dim into one."""
    start, end = (_normalize_dim(dim, max(x.ndim, 1)) for dim in (start_dim, end_dim))
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
    merged = 1
    for length in x.shape[start : end + 1]:
        merged *= length
    return reshape(x, (*x.shape[:start], merged, *x.shape[end + 1 :]))


def squeeze(x: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of length 1; or without `dim`, one or several, if its length is 1."""
    if dim is None:
        return reshape(x, [length for length in x.shape if length != 1])
    named = [_normalize_dim(one, max(x.ndim, 1)) for one in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    shape = [length for place, length in enumerate(x.shape) if place not in named or length != 1]
    return x if len(shape) == x.ndim else reshape(x, shape)


def unsqueeze(x: Tensor, dim: int) -> Tensor:
    """With a dimension of length 1 put in at `dim`."""
    dim = _normalize_dim(dim, x.ndim + 1)
    return reshape(x, (*x.shape[:dim], 1, *x.shape[dim:]))


def permute(x: Tensor, dims: Sequence[int]) -> Tensor:
    """With the dimensions in the order `dims`."""
    if len(dims) != x.ndim or sorted(dim % max(x.ndim, 1) for dim in dims) != list(range(x.ndim)):
        raise ValueError(f"permute: wanted each of the {x.ndim} dimensions once, got {tuple(dims)}")
    return Permute.apply(x, [_normalize_dim(dim, x.ndim) for dim in dims])


def transpose(x: Tensor, dim0: int, dim1: int) -> Tensor:
    """With two dimensions exchanged. A single number stays what it is; its dims are 0 or -1, as in torch."""
    dims = list(range(max(x.ndim, 1)))
    dim0, dim1 = _normalize_dim(dim0, len(dims)), _normalize_dim(dim1, len(dims))
    dims[dim0], dims[dim1] = dim1, dim0
    return Permute.apply(x, dims[: x.ndim])


def broadcast_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeated to a larger shape by numpy's broadcasting rules."""
    return BroadcastTo.apply(x, tuple(shape))


def cat(arrays: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors one behind the other along `dim`; all other lengths must agree. Empty ones of shape (0,) may stand
    beside any others."""
    arrays = _listed(arrays, "cat")
    for position, array in enumerate(arrays):
        if array.ndim == 0:
            raise ValueError(
                f"cat: the tensor in place {position} is a single number, without a dimension to join along; "
                "give it one with .reshape(1), or use mt.stack"
            )
    joined = next((array for array in arrays if array.shape != _NOTHING), None)
    return Cat.apply(0 if joined is None else _normalize_dim(dim, joined.ndim), *arrays)


def stack(arrays: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new dimension `dim`."""
    arrays = _listed(arrays, "stack")
    for position, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"stack: the tensors must have one shape; the one in place 0 has {arrays[0].shape}, the one in place "
                f"{position} {array.shape}"
            )
    return cat([unsqueeze(array, dim) for array in arrays], dim)


def _listed(arrays, op: str) -> list:
    """The tensors that are to be joined, checked: a list of at least one."""
    if isinstance(arrays, (Tensor, NDArray)) or not isinstance(arrays, Iterable):
        raise TypeError(f"{op}: wanted a list of Tensors, got {type(arrays).__name__}")
    arrays = list(arrays)
    if not arrays:
        raise ValueError(f"{op}: wanted at least one tensor, got an empty list")
    for position, array in enumerate(arrays):
        if not isinstance(array, (Tensor, NDArray)):
            raise TypeError(
                f"{op}: wanted Tensors, got {type(array).__name__} in place {position}; mt.tensor(...) makes one"
            )
    return arrays


def narrow(x: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Elements start ... start + length - 1 of dimension `dim`. A negative start counts from the end."""
    dim = _normalize_dim(dim, x.ndim)
    start = int(start) if isinstance(start, Tensor) else start
    if -x.shape[dim] <= start < 0:
        start += x.shape[dim]
    if not (length >= 0 and start >= 0 and start + length <= x.shape[dim]):
        raise IndexError(
            f"narrow: {start} ... {start + length} is out of range for dimension {dim} of length {x.shape[dim]}"
        )
    return Narrow.apply(x, dim, start, length)


def clone(x: Tensor) -> Tensor:
    """A copy with memory of its own."""
    return Clone.apply(x)


def cast(x: Tensor, dtype: DType) -> Tensor:
    """The same values in another dtype."""
    return Cast.apply(x, dtype)


def to_device(x: Tensor, device: str, non_blocking: bool = False) -> Tensor:
    """The same values in another device's memory. non_blocking: as in Tensor.to."""
    return ToDevice.apply(x, device, non_blocking)
