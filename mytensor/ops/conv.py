"""Convolution, and the two operations that turn it into a matrix product: im2col and col2im."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor._tensor import Tensor, as_array
from mytensor.arguments import as_int
from mytensor.autograd import Function
from mytensor.ops.windows import pair


class Conv2d(Function):
    """y[n,o,i,j] = bias[o] + sum over c,p,q of weight[o,c,p,q] * x[n,c, i*stride + p*dilation - padding, j* ...].

    Each derivative is a convolution again: for the input with the kernel flipped, for the weight with the upstream
    gradient as the kernel; the bias collects the upstream gradient of its channel.
    """

    @staticmethod
    def forward(ctx, input, weight, bias, stride, padding, dilation, groups):
        need_input, need_weight, *_ = ctx.needs_input_grad
        ctx.shapes = input.shape, weight.shape
        ctx.geometry = stride, padding, dilation, groups
        ctx.save_for_backward(input if need_weight else None, weight if need_input else None)
        return backend.conv2d(input, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx, upstream):
        need_input, need_weight, need_bias, *_ = ctx.needs_input_grad
        input, weight = ctx.saved
        input_shape, weight_shape = ctx.shapes
        return (
            backend.conv2d_input_grad(upstream, weight, input_shape, *ctx.geometry) if need_input else None,
            backend.conv2d_weight_grad(upstream, input, weight_shape, *ctx.geometry) if need_weight else None,
            backend.conv2d_bias_grad(upstream) if need_bias else None,
        )


class Im2col(Function):
    @staticmethod
    def forward(ctx, input, kernel_size, dilation, padding, stride):
        ctx.size = input.shape[2:]
        ctx.geometry = kernel_size, dilation, padding, stride
        return backend.im2col(input, kernel_size, dilation, padding, stride)

    @staticmethod
    def backward(ctx, upstream):  # a pixel was copied into several columns: it collects their gradients
        return backend.col2im(upstream, ctx.size, *ctx.geometry)


class Col2im(Function):
    @staticmethod
    def forward(ctx, columns, output_size, kernel_size, dilation, padding, stride):
        ctx.geometry = kernel_size, dilation, padding, stride
        return backend.col2im(columns, output_size, kernel_size, dilation, padding, stride)

    @staticmethod
    def backward(ctx, upstream):  # every column entry was added to one pixel: it gets that pixel's gradient
        return backend.im2col(upstream, *ctx.geometry)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=None, dilation=1, groups=1
) -> Tensor:
    """(N, C_in, H, W) with (C_out, C_in / groups, kh, kw) -> (N, C_out, H', W').

    padding None means kernel // 2 on every side, the report's convolution, which keeps the size for odd kernels.
    """
    as_array(input, "conv2d: input")  # a TypeError for what is no Tensor
    as_array(weight, "conv2d: weight")
    if padding is None:
        padding = (weight.shape[2] // 2, weight.shape[3] // 2) if weight.ndim == 4 else 0
    op = "conv2d"
    geometry = pair(stride, op, "stride"), pair(padding, op, "padding"), pair(dilation, op, "dilation")
    return Conv2d.apply(input, weight, bias, *geometry, as_int(groups, "conv2d: groups"))


def im2col(input: Tensor, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """(N, C, H, W) -> (N, C * kh * kw, L): column l holds the pixels under the kernel at position l."""
    return Im2col.apply(input, *_geometry("im2col", kernel_size, dilation, padding, stride))


def col2im(columns: Tensor, output_size, kernel_size, dilation=1, padding=0, stride=1) -> Tensor:
    """(N, C * kh * kw, L) -> (N, C, H, W): adds every column entry to the pixel that im2col would have read it from."""
    output_size = pair(output_size, "col2im", "output_size", one_in_a_list=False)
    return Col2im.apply(columns, output_size, *_geometry("col2im", kernel_size, dilation, padding, stride))


def _geometry(op: str, kernel_size, dilation, padding, stride) -> list[tuple[int, int]]:
    named = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    return [pair(value, op, name, one_in_a_list=False) for name, value in named.items()]
