"""Operations that write into their first tensor. They bump the version of its memory, which is how backward notices
that an array it had saved is no longer what it was.

While the graph is recorded, a leaf that requires a gradient cannot be changed (its gradient would belong to neither
value). A computed tensor can: it then stands for the new value, and the graph for the way to it.
"""

from __future__ import annotations

import mytensor_backend as backend

from mytensor import random
from mytensor.autograd import Function, is_grad_enabled
from mytensor.ops.arithmetic import _array, _operands, add, div, mul
from mytensor.ops.shape import broadcast_to
from mytensor.tensor import Tensor


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
    """True if the change must go into the graph. RuntimeError for a leaf that requires a gradient."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"an in-place operation wants a Tensor to write to, got {type(tensor).__name__}")
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
    if tensor._shares_memory:
        raise RuntimeError(
            "this tensor shares its memory with the result (or the source) of a reshape, view, flatten, squeeze or "
            "index, and the graph would not see the other one change; use x = x + 1, not x += 1, or .clone() first"
        )
    _check_shape(tensor, result.shape)
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
    return tensor


def _original(tensor: Tensor, other) -> Tensor:
    """The tensor as it is now, for a derivative that needs the value which is about to be overwritten."""
    if not (isinstance(other, Tensor) and other._requires_grad):
        return tensor
    original = Tensor._wrap(tensor.array.clone())
    original.grad_fn, original._output_index = tensor.grad_fn, tensor._output_index
    original._requires_grad = tensor._requires_grad
    return original


def _check_shape(tensor: Tensor, shape: tuple) -> None:
    if tuple(shape) != tensor.shape:
        raise ValueError(
            f"the result has shape {tuple(shape)}, which cannot be stored in place in a tensor of shape {tensor.shape}"
        )


def add_(tensor: Tensor, other, alpha: float = 1.0) -> Tensor:
    """tensor += alpha * other."""
    if _is_recorded(tensor, other):
        return _become(tensor, add(tensor, other if alpha == 1.0 else mul(other, alpha)))
    tensor, other = _operands(tensor, other, "add_")
    if isinstance(other, (int, float)):
        backend.add_(tensor.array, other * alpha)
    else:
        backend.add_(tensor.array, _array(other), alpha)
    return tensor


def mul_(tensor: Tensor, other) -> Tensor:
    """tensor *= other."""
    if _is_recorded(tensor, other):
        return _become(tensor, mul(_original(tensor, other), other))
    tensor, other = _operands(tensor, other, "mul_")
    backend.mul_(tensor.array, _array(other))
    return tensor


def div_(tensor: Tensor, other, rounding_mode: str | None = None) -> Tensor:
    """tensor /= other."""
    if _is_recorded(tensor, other):
        return _become(tensor, div(_original(tensor, other), other, rounding_mode))
    result = div(tensor, other, rounding_mode)
    if result.dtype != tensor.dtype:
        raise TypeError(
            f"div_: the quotients are {result.dtype.name}, which a tensor of dtype {tensor.dtype.name} cannot take up; "
            'use x = x / other, or x.div_(other, rounding_mode="floor") with an integer'
        )
    _check_shape(tensor, result.shape)
    backend.copy_(tensor.array, result.array)
    return tensor


def fill_(tensor: Tensor, value: float) -> Tensor:
    """Sets every element to one number."""
    if _is_recorded(tensor):
        return _overwrite(tensor, backend.full(tensor.shape, value, tensor.dtype, tensor.device), True)
    backend.fill_(tensor.array, value)
    return tensor


def copy_(tensor: Tensor, source: Tensor) -> Tensor:
    """Takes over the elements of a tensor of the same (or a broadcastable) shape; the dtype is converted."""
    if not isinstance(source, Tensor):
        raise TypeError(f"copy_: wanted a Tensor to copy from, got {type(source).__name__}; mt.tensor(...) makes one")
    if _is_recorded(tensor, source):
        return _become(tensor, Overwrite.apply(tensor, broadcast_to(source.to(tensor.dtype), tensor.shape)))
    array = source.array if source.dtype == tensor.dtype else source.array.astype(tensor.dtype)
    backend.copy_(tensor.array, array)
    return tensor


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draws every element uniformly from [low, high), from the framework's generator."""
    is_recorded = _is_recorded(tensor)
    seed, offset = random.reserve(tensor.nbytes)
    drawn = backend.uniform(tensor.shape, low, high, seed, offset, tensor.dtype, tensor.device)
    return _overwrite(tensor, drawn, is_recorded)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Draws every element from a normal distribution, from the framework's generator."""
    is_recorded = _is_recorded(tensor)
    seed, offset = random.reserve(tensor.nbytes)
    drawn = backend.normal(tensor.shape, mean, std, seed, offset, tensor.dtype, tensor.device)
    return _overwrite(tensor, drawn, is_recorded)
