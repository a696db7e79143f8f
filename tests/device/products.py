"""What matrix products and convolutions on a device are compared with: float64, element by element, each element with a derived bound."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np
import torch
import torch.nn.functional as F

import mytensor as mt

# The tensor cores' rungs round both factors: a relative error of 2 u + u^2 of each product, u = 2^-11 (tf32), 2^-8 (bfloat16).
_UNITS = {"tensor_core_tf32": 2**-11, "tensor_core": 2**-11, "tensor_core_bf16": 2**-8}


def within(got: backend.NDArray, wanted: np.ndarray, bound: np.ndarray, what: str) -> None:
    """|got - wanted| <= bound, element by element; NaN fails."""
    values = got.cpu().numpy().astype(np.float64)
    assert values.shape == wanted.shape, f"{what}: shape {values.shape}, wanted {wanted.shape}"
    error = np.abs(values - wanted)
    is_right = error <= bound
    assert is_right.all(), (
        f"{what}: {np.sum(~is_right)} wrong, first {values[~is_right][:3]}, wanted {wanted[~is_right][:3]}"
    )


def _relative(rung: str, length: int, dtype) -> float:
    """The bound of a sum of `length` products and a bias, relative to the sum of their magnitudes, in any order of adding.

    eps is twice the unit roundoff: it covers the second-order terms.
    """
    u = _UNITS.get(rung, 0.0) if dtype == np.float32 else 0.0  # float64 goes to another rung
    return 2 * u + u * u + (length + 2) * float(np.finfo(dtype).eps)


def put(device: str, array: np.ndarray) -> backend.NDArray:
    return backend.from_numpy(np.ascontiguousarray(array)).to(device)


def _numbers(rng: np.random.Generator, shape, dtype) -> np.ndarray:
    return np.asarray(rng.normal(size=shape), dtype)


class MatmulCase:
    """op(a) . op(b): batch, m, k, n and which of the two is transposed; without a batch and with b transposed also linear with a bias."""

    def __init__(
        self, rng: np.random.Generator, sizes: tuple[int, int, int, int], transposed: tuple[bool, bool], dtype
    ):
        batch, m, k, n = sizes
        self.name = f"{sizes} {transposed} {np.dtype(dtype).name}"
        self.transposed, self.dtype, self.length = transposed, dtype, k
        self.a = _numbers(rng, (batch, k, m) if transposed[0] else (batch, m, k), dtype)
        self.b = _numbers(rng, (batch, n, k) if transposed[1] else (batch, k, n), dtype)
        self.bias = _numbers(rng, n, dtype)

    @property
    def is_linear(self) -> bool:
        return self.a.shape[0] == 1 and self.transposed == (False, True)

    def outputs(self, device: str) -> list[backend.NDArray]:
        a, b = put(device, self.a), put(device, self.b)
        outputs = [backend.matmul(a, b, *self.transposed)]
        if self.is_linear:
            a, b = put(device, self.a[0]), put(device, self.b[0])
            outputs += [backend.matmul(a, b, *self.transposed), backend.linear(a, b, put(device, self.bias))]
        return outputs

    def check(self, device: str, rung: str) -> None:
        with mt.use_kernel("matmul", rung):
            got = self.outputs(device)
        a, b = self.a.astype(np.float64), self.b.astype(np.float64)
        a, b = a.swapaxes(1, 2) if self.transposed[0] else a, b.swapaxes(1, 2) if self.transposed[1] else b
        product, magnitude, relative = a @ b, np.abs(a) @ np.abs(b), _relative(rung, self.length, self.dtype)
        wanted = [(product, magnitude)]
        if self.is_linear:
            wanted += [(product[0], magnitude[0]), (product[0] + self.bias, magnitude[0] + np.abs(self.bias))]
        for output, (values, scale) in zip(got, wanted, strict=True):
            within(output, values, relative * scale, f"{rung} {self.name}")


class ConvCase:
    """Forward and the gradients of input, weight and bias: N, C, O, H, W, kernel, stride, padding, dilation, groups."""

    def __init__(self, rng: np.random.Generator, n, c, o, h, w, kernel, stride, padding, dilation, groups, dtype):
        self.name = f"{(n, c, o, h, w, kernel, stride, padding, dilation, groups)} {np.dtype(dtype).name}"
        self.arguments, self.dtype, self.groups = (stride, padding, dilation, groups), dtype, groups
        self.x = _numbers(rng, (n, c, h, w), dtype)
        self.weight = _numbers(rng, (o, c // groups, *kernel), dtype)
        self.bias = _numbers(rng, o, dtype)
        shape = F.conv2d(torch.empty(n, c, h, w), torch.empty(self.weight.shape), None, *self.arguments).shape
        self.upstream = _numbers(rng, tuple(shape), dtype)

    def outputs(self, device: str) -> list[backend.NDArray]:
        x, weight, bias, upstream = (put(device, array) for array in (self.x, self.weight, self.bias, self.upstream))
        return [
            backend.conv2d(x, weight, bias, *self.arguments),
            backend.conv2d_input_grad(upstream, weight, x.shape, *self.arguments),
            backend.conv2d_weight_grad(upstream, x, weight.shape, *self.arguments),
            backend.conv2d_bias_grad(upstream),
        ]

    def _by_torch(self, *arrays: np.ndarray) -> list[np.ndarray]:
        x, weight, bias = (torch.tensor(array.astype(np.float64), requires_grad=True) for array in arrays[:3])
        output = F.conv2d(x, weight, bias, *self.arguments)
        output.backward(torch.tensor(arrays[3].astype(np.float64)))
        return [output.detach().numpy(), *(leaf.grad.numpy() for leaf in (x, weight, bias))]

    def check(self, device: str, rung: str, bias_grad_rung: str | None = None) -> None:
        with mt.use_kernel("conv2d", rung), mt.use_kernel("conv2d_bias_grad", bias_grad_rung or "two_stage"):
            got = self.outputs(device)
        arrays = (self.x, self.weight, self.bias, self.upstream)
        wanted, magnitudes = self._by_torch(*arrays), self._by_torch(*(np.abs(array) for array in arrays))
        positions, taps = self.upstream[:, 0].size, self.weight[0].size
        lengths = (taps, taps * self.weight.shape[0] // max(self.weight.shape[1], 1), positions, positions)
        rungs = (rung, rung, rung, "two_stage")
        names = ("output", "input gradient", "weight gradient", "bias gradient")
        for name, output, values, scale, length, which in zip(
            names, got, wanted, magnitudes, lengths, rungs, strict=True
        ):
            bound = _relative(which, length, self.dtype) * scale
            within(output, values, bound, f"{rung} {bias_grad_rung or ''} {self.name}: {name}")
