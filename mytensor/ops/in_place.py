"""Operations that write into their first tensor. They bump the version of its memory, which is how backward notices
that an array it had saved is no longer what it was.

While the graph is recorded, a leaf that requires a gradient cannot be changed (its gradient would belong to neither
value). A computed tensor can: it then stands for the new value, and the graph for the way to it. A part (parts.py) is
written to the tensor that it was taken from, unless a graph is recorded.
"""

from __future__ import annotations

import mytensor_backend as backend

from mytensor import random
from mytensor._tensor import DType, Tensor
from mytensor.arguments import as_number, describe
from mytensor.autograd import Function, is_grad_enabled
from mytensor.ops.arithmetic import _array, _operands, add, div, mul
from mytensor.ops.indexing import getitem, is_index_array
from mytensor.ops.parts import PART_IS_RECORDED
from mytensor.ops.shape import broadcast_to, reshape


class Overwrite(Function):
    """The value of copy_, fill_, uniform_ and normal_: all of the source, nothing of the destination."""

    @staticmethod
    def forward(ctx, destination, source):
        return source.clone()

    @staticmethod
    def backward(ctx, upstream):
        need_destination, need_source = ctx.needs_input_grad
        zeros = backend.full(upstream.shape, 0.0, upstream.dtype, upstream.device) if need_destination else None
        return zeros, upstream if need_source else None


def _is_recorded(tensor: Tensor, *others) -> bool:
    """True if the change must go into the graph. RuntimeError for a leaf that requires a gradient, and for a part that
    could not be put back."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"an in-place operation wants a Tensor to write to, got {type(tensor).__name__}")
    if tensor._part is not None:
        tensor._part.check(tensor.array)
    if not is_grad_enabled():
        return False
    if tensor._requires_grad and tensor.grad_fn is None:
        raise RuntimeError(
            "a leaf that requires a gradient cannot be changed in place while the graph is recorded; "
            "update parameters inside `with mt.no_grad():`"
        )
    return any(isinstance(value, Tensor) and value._requires_grad for value in (tensor, *others))


def _become(tensor: Tensor, result: Tensor) -> Tensor:
    """Makes `tensor` stand for a recorded result: takes over its elements and its place in the graph."""
    if tensor._part is not None:
        raise RuntimeError(PART_IS_RECORDED)
    if tensor._shares_memory:
        raise RuntimeError(
            "this tensor shares its memory with the result (or the source) of a reshape, view, flatten, squeeze or "
            "unsqueeze, and the graph would not see the other one change; use x = x + 1, not x += 1, or .clone() first"
        )
    _check_result(tensor, result.shape, result.dtype)
    backend.copy_(tensor.array, result.array)
    retains_grad = tensor.retains_grad
    tensor.grad_fn = result.grad_fn
    tensor._output_index = result._output_index
    tensor._requires_grad = result._requires_grad
    if retains_grad:  # its .grad will be that of the new value; hooks stay with the old one
        tensor.retain_grad()
    return tensor


def _overwrite(tensor: Tensor, array, is_recorded: bool) -> Tensor:
    """Puts new numbers into `tensor`. Recorded, it no longer depends on what it was computed from."""
    if is_recorded:
        return _become(tensor, Overwrite.apply(tensor, array))
    backend.copy_(tensor.array, array)
    return _put_back(tensor)


def _put_back(tensor: Tensor) -> Tensor:
    """The end of a change that is not recorded: a part is written to the tensor that it was taken from."""
    if tensor._part is not None:
        tensor._part.put_back(tensor.array)
    return tensor


def _original(tensor: Tensor, other) -> Tensor:
    """The tensor as it is now, for a derivative that needs the value which is about to be overwritten."""
    if not (isinstance(other, Tensor) and other._requires_grad):
        return tensor
    original = Tensor._wrap(tensor.array.clone())
    original.grad_fn, original._output_index = tensor.grad_fn, tensor._output_index
    original._requires_grad = tensor._requires_grad
    return original


def _check_result(tensor: Tensor, shape: tuple, dtype: DType) -> None:
    if tuple(shape) != tensor.shape:
        raise ValueError(
            f"the result has shape {tuple(shape)}, which cannot be stored in place in a tensor of shape {tensor.shape}"
        )
    if dtype != tensor.dtype:
        raise TypeError(
            f"the result has dtype {dtype.name}, which cannot be stored in place in a tensor of dtype "
            f"{tensor.dtype.name}; convert the tensor first: x.float()"
        )


def add_(tensor: Tensor, other, alpha: float = 1) -> Tensor:
    """tensor += alpha * other."""
    return _add_scaled(tensor, other, alpha, "add_")


def sub_(tensor: Tensor, other, alpha: float = 1) -> Tensor:
    """tensor -= alpha * other."""
    return _add_scaled(tensor, other, -as_number(alpha, "sub_: alpha"), "sub_")


def _add_scaled(tensor: Tensor, other, alpha, op: str) -> Tensor:
    is_recorded = _is_recorded(tensor, other)
    tensor, other = _operands(tensor, other, op)
    alpha = as_number(alpha, f"{op}: alpha")
    if isinstance(alpha, float) and not tensor.dtype.is_floating:
        raise TypeError(
            f"{op}: alpha is {alpha} and the tensor has dtype {tensor.dtype.name}; wanted an int, or x.float() first"
        )
    if is_recorded:
        if alpha != 1:
            other = other * alpha if isinstance(other, (int, float)) else mul(other, alpha)
        return _become(tensor, add(tensor, other))
    if tensor.dtype == backend.uint8:
        alpha %= 256  # where numbers wrap around at 256, 255 steps forward are one back
    backend.add_(tensor.array, _array(other), alpha)
    return _put_back(tensor)


def mul_(tensor: Tensor, other) -> Tensor:
    """tensor *= other."""
    if _is_recorded(tensor, other):
        return _become(tensor, mul(_original(tensor, other), other))
    tensor, other = _operands(tensor, other, "mul_")
    backend.mul_(tensor.array, _array(other))
    return _put_back(tensor)


def div_(tensor: Tensor, other, rounding_mode: str | None = None) -> Tensor:
    """tensor /= other."""
    if _is_recorded(tensor, other):
        return _become(tensor, div(_original(tensor, other), other, rounding_mode))
    result = div(tensor, other, rounding_mode)
    _check_result(tensor, result.shape, result.dtype)
    backend.copy_(tensor.array, result.array)
    return _put_back(tensor)


def fill_(tensor: Tensor, value: float) -> Tensor:
    """Sets every element to one number, which may be a 0-d Tensor."""
    if isinstance(value, Tensor) and isinstance(tensor, Tensor):
        if value.ndim != 0:
            raise ValueError(f"fill_: wanted a number or a 0-d Tensor, got a Tensor of shape {value.shape}")
        return copy_(tensor, value.to(tensor.device))
    is_recorded = _is_recorded(tensor)
    value = as_number(value, "fill_: the value")
    if is_recorded:
        return _overwrite(tensor, backend.full(tensor.shape, value, tensor.dtype, tensor.device), True)
    backend.fill_(tensor.array, value)
    return _put_back(tensor)


def copy_(tensor: Tensor, source: Tensor) -> Tensor:
    """Takes over the elements of a tensor of the same (or a broadcastable) shape; the dtype is converted."""
    if not isinstance(source, Tensor):
        raise TypeError(f"copy_: wanted a Tensor to copy from, got {describe(source)}; mt.tensor(...) makes one")
    if _is_recorded(tensor, source):
        return _become(tensor, Overwrite.apply(tensor, broadcast_to(source.to(tensor.dtype), tensor.shape)))
    array = source.array if source.dtype == tensor.dtype else source.array.astype(tensor.dtype)
    backend.copy_(tensor.array, array)
    return _put_back(tensor)


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draws every element uniformly from [low, high), from the framework's generator."""
    is_recorded = _is_recorded(tensor)
    low, high = as_number(low, "uniform_: low"), as_number(high, "uniform_: high")
    seed, offset = random.reserve(tensor.nbytes)
    drawn = backend.uniform(tensor.shape, low, high, seed, offset, tensor.dtype, tensor.device)
    return _overwrite(tensor, drawn, is_recorded)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Draws every element from a normal distribution, from the framework's generator."""
    is_recorded = _is_recorded(tensor)
    mean, std = as_number(mean, "normal_: mean"), as_number(std, "normal_: std")
    seed, offset = random.reserve(tensor.nbytes)
    drawn = backend.normal(tensor.shape, mean, std, seed, offset, tensor.dtype, tensor.device)
    return _overwrite(tensor, drawn, is_recorded)


def setitem(x: Tensor, key, value) -> None:
    """x[key] = value, where nothing is recorded: takes the part, changes it, and so writes it to x."""
    if any(is_index_array(part) for part in (key if isinstance(key, tuple) else (key,))):
        raise NotImplementedError(
            "assigning to rows by their numbers is not supported; assign to them one by one, x[i] = value, or build "
            "the tensor with mt.cat or mt.where"
        )
    if is_grad_enabled() and any(isinstance(side, Tensor) and side._requires_grad for side in (x, value)):
        raise NotImplementedError(
            "assigning to part of a tensor is not supported while the graph is recorded, which could not see it; build "
            "the tensor with mt.cat or mt.where, or assign inside `with mt.no_grad():`"
        )
    part = getitem(x, key)
    if isinstance(value, Tensor):
        extra = max(value.ndim - part.ndim, 0)  # as in torch, dimensions of length 1 in front do not count
        copy_(part, reshape(value.detach(), value.shape[extra:]) if set(value.shape[:extra]) == {1} else value)
    else:
        fill_(part, as_number(value, "x[...] = value: the value"))
