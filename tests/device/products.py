"""Matrix products, convolutions and columns on a device against float64, element by element, with derived bounds."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np
import torch
import torch.nn.functional as F

import mytensor as mt
from mytensor.check.comparison import within
from mytensor.lab.bounds import sum_of_products_bound

# The tensor cores' rungs round both factors, by u = 2^-11 (tf32) or 2^-8 (bfloat16): an error of 2 u + u^2 a product.
_UNITS = {"tensor_core_tf32": 2**-11, "tensor_core": 2**-11, "tensor_core_bf16": 2**-8}


def _relative(rung: str, length: int, dtype) -> float:
    """The bound of a sum of `length` products and a bias."""
    u = _UNITS.get(rung, 0.0) if dtype == np.float32 else 0.0  # float64 goes to another rung
    return sum_of_products_bound(length, dtype, u)


def put(device: str, array: np.ndarray) -> backend.NDArray:
    return backend.from_numpy(np.ascontiguousarray(array)).to(device)


def _numbers(rng: np.random.Generator, shape, dtype) -> np.ndarray:
    return np.asarray(rng.normal(size=shape), dtype)


class MatmulCase:
    """op(a) . op(b), where sizes is (batch, m, k, n); a batch of one also without it, and with b transposed linear."""

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
            within(output.cpu(), values, relative * scale, f"{rung} {self.name}")


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
        """Of conv2d's kernels: output, gradient of the input, of the weight."""
        x, weight, bias, upstream = (put(device, array) for array in (self.x, self.weight, self.bias, self.upstream))
        return [
            backend.conv2d(x, weight, bias, *self.arguments),
            backend.conv2d_input_grad(upstream, weight, x.shape, *self.arguments),
            backend.conv2d_weight_grad(upstream, x, weight.shape, *self.arguments),
        ]

    def bias_grad(self, device: str) -> backend.NDArray:
        return backend.conv2d_bias_grad(put(device, self.upstream))

    def _by_torch(self, *arrays: np.ndarray) -> list[np.ndarray]:
        x, weight, bias = (torch.tensor(array.astype(np.float64), requires_grad=True) for array in arrays[:3])
        output = F.conv2d(x, weight, bias, *self.arguments)
        output.backward(torch.tensor(arrays[3].astype(np.float64)))
        return [output.detach().numpy(), *(leaf.grad.numpy() for leaf in (x, weight))]

    def check(self, device: str, rung: str) -> None:
        with mt.use_kernel("conv2d", rung):
            got = self.outputs(device)
        arrays = (self.x, self.weight, self.bias, self.upstream)
        wanted, magnitudes = self._by_torch(*arrays), self._by_torch(*(np.abs(array) for array in arrays))
        positions, taps = self.upstream[:, 0].size, self.weight[0].size
        lengths = (taps, taps * self.weight.shape[0] // max(self.weight.shape[1], 1), positions)
        names = ("output", "input gradient", "weight gradient")
        for name, output, values, scale, length in zip(names, got, wanted, magnitudes, lengths, strict=True):
            within(output.cpu(), values, _relative(rung, length, self.dtype) * scale, f"{rung} {self.name}: {name}")

    def check_bias_grad(self, device: str, rung: str) -> None:
        with mt.use_kernel("conv2d_bias_grad", rung):
            got = self.bias_grad(device)
        exact = self.upstream.astype(np.float64)
        bound = _relative("", self.upstream[:, 0].size, self.dtype) * np.abs(exact).sum((0, 2, 3))
        within(got.cpu(), exact.sum((0, 2, 3)), bound, f"{rung} {self.name}: bias gradient")


class Im2colCase:
    """Both directions: im2col moves elements, so exactly; col2im adds up to kh * kw of them."""

    def __init__(self, rng: np.random.Generator, shape, kernel, dilation, padding, stride, dtype):
        self.name = f"{(shape, kernel, dilation, padding, stride)} {np.dtype(dtype).name}"
        self.arguments, self.kernel, self.dtype = (kernel, dilation, padding, stride), kernel, dtype
        self.x = _numbers(rng, shape, dtype)
        self.columns = self._unfold()
        self.upstream = _numbers(rng, self.columns.shape, dtype)

    def _unfold(self) -> np.ndarray:
        if self.x.shape[0] > 0:
            return F.unfold(torch.from_numpy(self.x), *self.arguments).numpy()
        one = F.unfold(torch.zeros(1, *self.x.shape[1:]), *self.arguments)  # torch takes no empty batch here
        return np.zeros((0, *one.shape[1:]), self.dtype)

    def _fold(self, columns: np.ndarray) -> np.ndarray:
        if self.x.shape[0] == 0:
            return np.zeros(self.x.shape)
        return F.fold(torch.from_numpy(columns.astype(np.float64)), self.x.shape[2:], *self.arguments).numpy()

    def outputs(self, device: str) -> list[backend.NDArray]:
        return [
            backend.im2col(put(device, self.x), *self.arguments),
            backend.col2im(put(device, self.upstream), self.x.shape[2:], *self.arguments),
        ]

    def check(self, device: str, rung: str) -> None:
        with mt.use_kernel("im2col", rung):
            columns, image = self.outputs(device)
        within(columns.cpu(), self.columns, np.zeros(self.columns.shape), f"im2col {rung} {self.name}")
        bound = np.prod(self.kernel) * float(np.finfo(self.dtype).eps) * self._fold(np.abs(self.upstream))
        within(image.cpu(), self._fold(self.upstream), bound, f"col2im {rung} {self.name}")
