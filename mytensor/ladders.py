"""Choosing between the kernels that the backend has for one operation."""

from __future__ import annotations

import mytensor_backend as backend

ops_with_kernels = backend.ops_with_kernels
kernels = backend.kernels


class use_kernel:
    """Computes `op` by the kernel of this name from now on, forward and in training; None goes back to the default.

        mt.use_kernel("conv2d", "im2col_naive")              # until further notice
        with mt.use_kernel("conv2d", "im2col_naive"):        # inside the block only
            train(model)

    mt.kernels("conv2d") lists the names. ValueError: there is no such operation or kernel.
    """

    def __init__(self, op: str, name: str | None):
        self.op = op
        self.name = name
        self.previous = backend.selected_kernel(op)
        backend.select_kernel(op, name)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        backend.select_kernel(self.op, self.previous)

    def __repr__(self) -> str:
        return f"{self.op} is computed by {'the default kernel' if self.name is None else self.name}"
