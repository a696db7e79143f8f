"""Activations."""

from __future__ import annotations

import mytensor_backend as backend

from mytensor._tensor import Tensor
from mytensor.autograd import Function


class ReLU(Function):
    @staticmethod
    def forward(ctx, x):
        output = backend.relu(x)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, upstream):  # slope 1 where the output is positive, else 0
        (output,) = ctx.saved
        return backend.relu_backward(upstream, output)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return ReLU.apply(x)
