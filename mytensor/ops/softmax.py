"""softmax, log-softmax and logsumexp. The kernels subtract the maximum first, so large logits do not overflow."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor._tensor import Tensor, as_array
from mytensor.arguments import normalize_dim
from mytensor.autograd import Function
from mytensor.ops.reductions import _kept_shape, reduction_arguments


class Softmax(Function):
    """s_i = exp(x_i) / sum_j exp(x_j);  dx_i = s_i (u_i - sum_j u_j s_j) for the upstream gradient u."""

    @staticmethod
    def forward(ctx, x, dim):
        output = backend.softmax(x, dim)
        ctx.dim = dim
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):
        (output,) = ctx.saved
        return backend.softmax_backward(upstream, output, ctx.dim)


class LogSoftmax(Function):
    """l_i = x_i - log sum_j exp(x_j);  dx_i = u_i - exp(l_i) sum_j u_j for the upstream gradient u."""

    @staticmethod
    def forward(ctx, x, dim):
        output = backend.log_softmax(x, dim)
        ctx.dim = dim
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):
        (output,) = ctx.saved
        return backend.log_softmax_backward(upstream, output, ctx.dim)


class LogSumExp(Function):
    """y = log sum_j exp(x_j);  dx_i = u exp(x_i - y), the softmax times the upstream gradient u."""

    @staticmethod
    def forward(ctx, x, dims, keepdim):
        output = backend.logsumexp(x, dims, keepdim)
        ctx.dims = dims
        ctx.save_for_backward(x, output)
        return output

    @staticmethod
    def backward(ctx, upstream):
        x, output = ctx.saved
        kept = _kept_shape(x.shape, ctx.dims)
        softmax = backend.exp(backend.sub(x, output.reshape(kept)))
        return backend.mul(softmax, upstream.reshape(kept))


def softmax(x: Tensor, dim: int) -> Tensor:
    """exp(x) / sum(exp(x)) along dim."""
    return Softmax.apply(x, normalize_dim(dim, max(as_array(x, "softmax").ndim, 1), "softmax"))


def log_softmax(x: Tensor, dim: int) -> Tensor:
    """log(softmax(x)) along dim."""
    return LogSoftmax.apply(x, normalize_dim(dim, max(as_array(x, "log_softmax").ndim, 1), "log_softmax"))


def logsumexp(x: Tensor, dims, keepdim: bool = False) -> Tensor:
    """log(sum(exp(x))) over dims."""
    return LogSumExp.apply(x, *reduction_arguments(x, dims, keepdim, "logsumexp"))
