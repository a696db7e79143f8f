"""Pooling: the largest or the average value of each window."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor._tensor import Tensor
from mytensor.arguments import as_flag, as_int
from mytensor.autograd import Function
from mytensor.ops.windows import pair, stride_of_pooling


class MaxPool2d(Function):
    """The second output says for each window which pixel was the largest: the only one that the gradient goes to."""

    @staticmethod
    def forward(ctx, input, kernel_size, stride, padding, dilation, ceil_mode, short_indices):
        output, indices = backend.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, short_indices)
        ctx.shape, ctx.window = input.shape, (kernel_size, stride, padding, dilation)
        ctx.save_for_backward(indices)
        return output, indices

    @staticmethod
    def backward(ctx, upstream, *_):
        (indices,) = ctx.saved
        return backend.max_pool2d_backward(upstream, indices, ctx.shape, *ctx.window)


class AvgPool2d(Function):
    """Every pixel of a window of n pixels has slope 1/n."""

    @staticmethod
    def forward(ctx, input, *geometry):
        ctx.shape, ctx.geometry = input.shape, geometry
        return backend.avg_pool2d(input, *geometry)

    @staticmethod
    def backward(ctx, upstream):
        return backend.avg_pool2d_backward(upstream, ctx.shape, *ctx.geometry)


def max_pool2d(
    input: Tensor, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, short_indices=False
) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) -> the largest values (N, C, H', W') and their positions h * W + w in the input.

    The positions are int64 as in torch, or with short_indices int32: for a reader who is backward alone.
    """
    op = "max_pool2d"
    window = (
        pair(kernel_size, op, "kernel_size"),
        stride_of_pooling(stride, op),
        pair(padding, op, "padding"),
        pair(dilation, op, "dilation"),
    )
    return MaxPool2d.apply(input, *window, as_flag(ceil_mode, "max_pool2d: ceil_mode"), short_indices)


def avg_pool2d(
    input: Tensor, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
) -> Tensor:
    """(N, C, H, W) -> the average of each window, (N, C, H', W')."""
    op = "avg_pool2d"
    window = pair(kernel_size, op, "kernel_size"), stride_of_pooling(stride, op), pair(padding, op, "padding")
    divisor = None if divisor_override is None else as_int(divisor_override, "avg_pool2d: divisor_override")
    flags = as_flag(ceil_mode, "avg_pool2d: ceil_mode"), as_flag(count_include_pad, "avg_pool2d: count_include_pad")
    return AvgPool2d.apply(input, *window, *flags, divisor)
