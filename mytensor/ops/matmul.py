"""Matrix products."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor._tensor import NDArray, Tensor
from mytensor.arguments import describe
from mytensor.autograd import Function
from mytensor.ops.shape import broadcast_to, reshape, squeeze, unsqueeze


class MatMul(Function):
    """(m,k) @ (k,n), or (b,m,k) @ (b,k,n); each factor may be given transposed."""

    @staticmethod
    def forward(ctx, a, b, transpose_a, transpose_b):
        need_a, need_b, *_ = ctx.needs_input_grad
        ctx.transposed = transpose_a, transpose_b
        ctx.save_for_backward(a if need_b else None, b if need_a else None)
        return backend.matmul(a, b, transpose_a, transpose_b)

    @staticmethod
    def backward(ctx, upstream):  # for Y = A B:  dA = dY B^T,  dB = A^T dY
        need_a, need_b, *_ = ctx.needs_input_grad
        a, b = ctx.saved
        transpose_a, transpose_b = ctx.transposed
        gradient_a = gradient_b = None
        if need_a:  # the gradient of a factor given transposed is the transpose of the formula
            gradient_a = (
                backend.matmul(b, upstream, transpose_b, True)
                if transpose_a
                else backend.matmul(upstream, b, False, not transpose_b)
            )
        if need_b:
            gradient_b = (
                backend.matmul(upstream, a, True, transpose_a)
                if transpose_b
                else backend.matmul(a, upstream, not transpose_a, False)
            )
        return gradient_a, gradient_b


class Linear(Function):
    """Y = X W^T + b for X (rows, in), W (out, in), b (out)."""

    @staticmethod
    def forward(ctx, input, weight, bias):
        need_input, need_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(input if need_weight else None, weight if need_input else None)
        return backend.linear(input, weight, bias)

    @staticmethod
    def backward(ctx, upstream):  # dX = dY W,  dW = dY^T X,  db = the sum of dY over the rows
        need_input, need_weight, need_bias = ctx.needs_input_grad
        input, weight = ctx.saved
        return (
            backend.matmul(upstream, weight) if need_input else None,
            backend.matmul(upstream, input, True, False) if need_weight else None,
            backend.sum(upstream, (0,)) if need_bias else None,
        )


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(rows, in) with (out, in) -> (rows, out)."""
    return Linear.apply(input, weight, bias)


def matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The matrix product by torch's rules.

    1-D times 1-D is the inner product; a 1-D factor beside a matrix is a row (left) or a column (right); more than two
    dimensions are batches of matrices, and the batch dimensions broadcast. The transpose flags swap the last two
    dimensions of a factor, which must then have two or more.
    """
    for name, factor, transposed in (("first", a, transpose_a), ("second", b, transpose_b)):
        if not isinstance(factor, (Tensor, NDArray)):
            raise TypeError(
                f"matmul: wanted a Tensor as the {name} factor, got {describe(factor)}; mt.tensor(...) makes one"
            )
        if factor.ndim < (2 if transposed else 1):
            raise ValueError(
                f"matmul: the {name} factor must have {2 if transposed else 1} dimension(s) or more, "
                f"got shape {tuple(factor.shape)}"
            )
    if a.ndim == b.ndim and a.ndim in (2, 3) and (a.ndim == 2 or a.shape[0] == b.shape[0]):
        return MatMul.apply(a, b, transpose_a, transpose_b)
    if a.ndim == 1:
        return squeeze(matmul(unsqueeze(a, 0), b, False, transpose_b), -2 if b.ndim > 1 else 0)
    if b.ndim == 1:
        return squeeze(matmul(a, unsqueeze(b, 1), transpose_a, False), -1)
    if b.ndim == 2 and not transpose_a:  # one matrix for the whole batch: its rows are all treated alike
        product = MatMul.apply(reshape(a, (_rows(a), a.shape[-1])), b, False, transpose_b)
        return reshape(product, (*a.shape[:-1], product.shape[-1]))
    batch = np.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    count = int(np.prod(batch, dtype=np.int64))
    a = reshape(broadcast_to(a, (*batch, *a.shape[-2:])), (count, *a.shape[-2:]))
    b = reshape(broadcast_to(b, (*batch, *b.shape[-2:])), (count, *b.shape[-2:]))
    product = MatMul.apply(a, b, transpose_a, transpose_b)
    return reshape(product, (*batch, *product.shape[-2:]))


def _rows(a: Tensor) -> int:
    return int(np.prod(a.shape[:-1], dtype=np.int64))
