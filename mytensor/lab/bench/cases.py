"""What is measured: for every op, the same work for ours and for torch, at named sizes. (Not the draws, uniform and
normal: torch's are other numbers, so that no result could be compared.)

A case knows the arithmetic and the least traffic of its work: every input read once, every output written once. A
kernel that moves more than that gets no credit for it, so its GB/s say how near it is to what the work needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mytensor_backend as backend
import numpy as np

from mytensor.lab.bounds import sum_of_products_bound
from mytensor.optional import torch

F, aten = torch.nn.functional, torch.ops.aten

Bound = Callable[[float, torch.Tensor, Sequence[torch.Tensor]], "torch.Tensor | float"]
EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Case:
    """One op at one size.

    draw(rng): the arguments as numpy arrays, float32 where they are real numbers.
    ours(*NDArrays), torch(*tensors): prepare what the call needs besides and return the call; its results are arrays in
        the same order on both sides.
    bound(unit, wanted, arguments): how far an element may be from `wanted`, where the float64 results and arguments are
        torch's, and unit is the relative error to which the kernel rounds its factors (0: it does not).
    flops: floating-point operations of a call, 0 where it only moves. bytes: the least a call must move.
    devices: where the size is worth measuring.
    """

    op: str
    size: str
    draw: Callable[[np.random.Generator], tuple[np.ndarray, ...]]
    ours: Callable[..., Callable[[], Any]]
    torch: Callable[..., Callable[[], Any]]
    bound: Bound
    flops: int
    bytes: int
    devices: tuple[str, ...] = ("cpu", "cuda")


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def _bytes(*shapes: tuple[int, ...]) -> int:
    """Of float32 arrays."""
    return 4 * sum(int(np.prod(shape)) for shape in shapes)


# ---------------------------------------------------------------------------------------------------------------------
# How right is right
# ---------------------------------------------------------------------------------------------------------------------


def same_bits(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> float:
    """What only moves numbers or chooses among them."""
    return 0.0


def within_sums(length: int, operation: Callable[..., Callable[[], torch.Tensor]]) -> Bound:
    """Sums of `length` products, in any order."""

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        magnitude = operation(*(argument.abs() for argument in arguments))()
        return sum_of_products_bound(length, np.float32, unit) * magnitude

    return bound


def within_softmax(classes: int, logarithm: bool) -> Bound:
    """x - maximum is rounded by eps / 2 of it, a relative error of its exponential; then `classes` additions."""

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        spread = 2 * arguments[0].abs().max()
        relative = (classes + 8 + 2 * spread + np.log(classes)) * EPS
        return relative * torch.ones_like(wanted) if logarithm else relative * wanted

    return bound


def within_softmax_backward(classes: int, logarithm: bool) -> Bound:
    """y (u - sum of u y), or u - exp(y) (sum of u): a sum of `classes` terms, then a few roundings."""

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        u, y = arguments[0].abs(), arguments[1]
        if logarithm:
            return (classes + 8) * EPS * (u + y.exp() * u.sum(1, keepdim=True))
        return (classes + 5) * EPS * y * (u + (u * y).sum(1, keepdim=True))

    return bound


def within_loss_gradient(rows: int, classes: int) -> Bound:
    """(p - y) / rows, where p is a softmax and y is 1 at the target, else 0."""

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        logits, target = arguments
        relative = (classes + 20 + 4 * logits.abs().max()) * EPS
        return relative * (torch.softmax(logits, 1) + F.one_hot(target, classes)) / rows

    return bound


def within_largest(units: float) -> Bound:
    """So many eps of the largest number that goes in or comes out: short chains of additions and multiplications."""

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> float:
        numbers = [wanted, *(argument for argument in arguments if argument.is_floating_point())]
        return units * EPS * max(float(number.abs().max()) for number in numbers)

    return bound


def within_relative(units: float) -> Bound:
    """So many eps of each result: one rounded function of exact arguments."""

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        return units * EPS * wanted.abs()

    return bound


# ---------------------------------------------------------------------------------------------------------------------
# Products
# ---------------------------------------------------------------------------------------------------------------------


def matmul_case(
    size: str, m: int, k: int, n: int, transposed: tuple[bool, bool] = (False, False), devices=("cpu", "cuda")
) -> Case:
    """(m, k) @ (k, n); transposed: which factor lies in memory the other way round."""
    a_shape, b_shape = ((k, m) if transposed[0] else (m, k)), ((n, k) if transposed[1] else (k, n))

    def by_torch(a: torch.Tensor, b: torch.Tensor) -> Callable[[], torch.Tensor]:
        left, right = (a.T if transposed[0] else a), (b.T if transposed[1] else b)
        return lambda: left @ right

    return Case(
        "matmul",
        size,
        lambda rng: (_normal(rng, *a_shape), _normal(rng, *b_shape)),
        lambda a, b: lambda: backend.matmul(a, b, *transposed),
        by_torch,
        within_sums(k, by_torch),
        flops=2 * m * k * n,
        bytes=_bytes(a_shape, b_shape, (m, n)),
        devices=devices,
    )


def conv_cases(
    layer: str, n: int, c: int, o: int, side: int, kernel: int, devices=("cpu", "cuda"), stride: int = 1
) -> list[Case]:
    """Forward and both gradients of a square convolution (n, c, side, side) -> (n, o, ...), padded by kernel // 2."""
    padding, out = kernel // 2, (side + 2 * (kernel // 2) - kernel) // stride + 1
    x_shape, w_shape, y_shape = (n, c, side, side), (o, c, kernel, kernel), (n, o, out, out)
    ours = (stride, padding, 1, 1)
    geometry = [stride, stride], [padding, padding], [1, 1], False, [0, 0], 1
    flops = 2 * n * o * out * out * c * kernel * kernel
    moved = _bytes(x_shape, w_shape, y_shape)

    def forward(x: torch.Tensor, w: torch.Tensor) -> Callable[[], torch.Tensor]:
        return lambda: F.conv2d(x, w, None, stride, padding)

    def input_gradient(upstream: torch.Tensor, w: torch.Tensor) -> Callable[[], torch.Tensor]:
        x = upstream.new_empty(x_shape)  # only its shape is looked at
        return lambda: aten.convolution_backward(upstream, x, w, None, *geometry, [True, False, False])[0]

    def weight_gradient(upstream: torch.Tensor, x: torch.Tensor) -> Callable[[], torch.Tensor]:
        w = upstream.new_empty(w_shape)
        return lambda: aten.convolution_backward(upstream, x, w, None, *geometry, [False, True, False])[1]

    def case(what: str, first: tuple[int, ...], second: tuple[int, ...], call, by_torch, length: int) -> Case:
        return Case(
            "conv2d",
            f"{layer}, {what}",
            lambda rng: (_normal(rng, *first), _normal(rng, *second)),
            call,
            by_torch,
            within_sums(length, by_torch),
            flops=flops,
            bytes=moved,
            devices=devices,
        )

    taps = kernel * kernel
    return [
        case("forward", x_shape, w_shape, lambda x, w: lambda: backend.conv2d(x, w, None, *ours), forward, c * taps),
        case(
            *("input gradient", y_shape, w_shape),
            lambda u, w: lambda: backend.conv2d_input_grad(u, w, x_shape, *ours),
            *(input_gradient, o * taps),
        ),
        case(
            *("weight gradient", y_shape, x_shape),
            lambda u, x: lambda: backend.conv2d_weight_grad(u, x, w_shape, *ours),
            *(weight_gradient, n * out * out),
        ),
    ]


def bias_gradient_case(size: str, n: int, c: int, side: int) -> Case:
    shape = (n, c, side, side)
    by_torch = lambda u: lambda: u.sum((0, 2, 3))  # noqa: E731
    return Case(
        "conv2d_bias_grad",
        size,
        lambda rng: (_normal(rng, *shape),),
        lambda u: lambda: backend.conv2d_bias_grad(u),
        by_torch,
        within_sums(n * side * side, by_torch),
        flops=int(np.prod(shape)),
        bytes=_bytes(shape, (c,)),
    )


def im2col_cases(layer: str, n: int, c: int, side: int, kernel: int) -> list[Case]:
    image, padding = (n, c, side, side), kernel // 2
    columns = (n, c * kernel * kernel, side * side)
    fold = lambda x: lambda: F.fold(x, (side, side), kernel, padding=padding)  # noqa: E731
    moved = _bytes(image, columns)
    return [
        Case(
            "im2col",
            f"{layer}, im2col",
            lambda rng: (_normal(rng, *image),),
            lambda x: lambda: backend.im2col(x, kernel, 1, padding),
            lambda x: lambda: F.unfold(x, kernel, padding=padding),
            same_bits,
            flops=0,
            bytes=moved,
        ),
        Case(
            "im2col",
            f"{layer}, col2im",
            lambda rng: (_normal(rng, *columns),),
            lambda x: lambda: backend.col2im(x, side, kernel, 1, padding),
            fold,
            within_sums(kernel * kernel, fold),
            flops=0,
            bytes=moved,
        ),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# What moves more than it computes
# ---------------------------------------------------------------------------------------------------------------------


def pooling_cases(layer: str, n: int, c: int, side: int) -> list[Case]:
    image, pooled = (n, c, side, side), (n, c, side // 2, side // 2)

    def upstream_and_indices(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = torch.from_numpy(_normal(rng, *image))
        return _normal(rng, *pooled), F.max_pool2d(x, 2, return_indices=True)[1].numpy()

    def backward(upstream: torch.Tensor, indices: torch.Tensor) -> Callable[[], torch.Tensor]:
        x = upstream.new_empty(image)  # only its shape is looked at
        window = [2, 2], [2, 2], [0, 0], [1, 1], False
        return lambda: aten.max_pool2d_with_indices_backward(upstream, x, *window, indices)

    moved = _bytes(image, pooled) + 2 * _bytes(pooled)  # the indices are int64
    return [
        Case(
            "max_pool2d",
            f"{layer}, forward",
            lambda rng: (_normal(rng, *image),),
            lambda x: lambda: backend.max_pool2d(x, 2),
            lambda x: lambda: F.max_pool2d(x, 2, return_indices=True),
            same_bits,
            flops=0,
            bytes=moved,
        ),
        Case(
            "max_pool2d_backward",
            f"{layer}, backward",
            upstream_and_indices,
            lambda u, i: lambda: backend.max_pool2d_backward(u, i, image, 2, 2, 0, 1),
            backward,
            same_bits,  # windows that do not overlap: nothing is added
            flops=0,
            bytes=moved,
        ),
    ]


def average_cases(layer: str, n: int, c: int, side: int) -> list[Case]:
    image, pooled = (n, c, side, side), (n, c, side // 2, side // 2)

    def backward(upstream: torch.Tensor) -> Callable[[], torch.Tensor]:
        x = upstream.new_empty(image)  # only its shape is looked at
        return lambda: aten.avg_pool2d_backward(upstream, x, [2, 2], [2, 2], [0, 0], False, True, None)

    forward = lambda x: lambda: F.avg_pool2d(x, 2)  # noqa: E731
    return [
        Case(
            *("avg_pool2d", f"{layer}, forward", lambda rng: (_normal(rng, *image),)),
            lambda x: lambda: backend.avg_pool2d(x, 2),
            *(forward, within_sums(4, forward)),
            flops=4 * int(np.prod(pooled)),
            bytes=_bytes(image, pooled),
        ),
        Case(
            *("avg_pool2d_backward", f"{layer}, backward", lambda rng: (_normal(rng, *pooled),)),
            lambda u: lambda: backend.avg_pool2d_backward(u, image, 2),
            *(backward, same_bits),  # windows that do not overlap: a division by four
            flops=0,
            bytes=_bytes(image, pooled),
        ),
    ]


def elementwise_cases(size: str, shape: tuple[int, ...]) -> list[Case]:
    """Every op that works element by element and is no ladder."""

    def case(
        op: str, inputs: int, bound: Bound, ours=None, by_torch=None, draw=_normal, moved: int | None = None
    ) -> Case:
        name = {"neg": "negative"}.get(op, op)
        return Case(
            *(op, size, lambda rng: tuple(draw(rng, *shape) for _ in range(inputs))),
            ours or (lambda *arrays: lambda: getattr(backend, op)(*arrays)),
            by_torch or (lambda *tensors: lambda: getattr(torch, name)(*tensors)),
            bound,
            flops=0,
            bytes=(inputs + 1) * _bytes(shape) if moved is None else moved,
        )

    def positive(rng: np.random.Generator, *shape: int) -> np.ndarray:
        return rng.uniform(0.5, 4.0, shape).astype(np.float32)

    def masked(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        return rng.integers(0, 2, shape, dtype=np.uint8), _normal(rng, *shape), _normal(rng, *shape)

    def whole(rng: np.random.Generator, *shape: int) -> np.ndarray:
        return rng.integers(1, 1000, shape).astype(np.float32)  # no quotient is nearer to a whole number than 1 / 1000

    def rounded(mode: str) -> Callable[..., Callable[[], torch.Tensor]]:
        return lambda a, b: lambda: torch.div(a, b, rounding_mode=mode)

    elements = int(np.prod(shape))
    mask_bytes = 2 * _bytes(shape) + elements  # a mask's element takes a byte
    row = (1, *shape[1:])
    return [
        *(case(op, 1, same_bits) for op in ("neg", "abs")),
        *(case(op, 1, within_relative(2), draw=positive) for op in ("exp", "log", "sqrt")),
        *(case(op, 1, within_relative(8)) for op in ("tanh", "sigmoid")),
        *(case(op, 2, within_largest(1)) for op in ("add", "sub")),
        case("mul", 2, within_relative(1)),
        case("div", 2, within_relative(2), draw=positive),
        case("div_trunc", 2, same_bits, by_torch=rounded("trunc"), draw=whole),
        case("div_floor", 2, same_bits, by_torch=rounded("floor"), draw=whole),
        case("pow", 2, within_relative(16), draw=positive),
        *(case(op, 2, same_bits) for op in ("maximum", "minimum")),
        *(case(op, 2, same_bits, moved=mask_bytes) for op in ("eq", "ne", "lt", "le", "gt", "ge")),
        Case(
            *("where", size, masked),
            lambda mask, a, b: lambda: backend.where(mask, a, b),
            lambda mask, a, b: lambda: torch.where(mask.bool(), a, b),
            same_bits,
            flops=0,
            bytes=3 * _bytes(shape) + elements,
        ),
        case(
            *("add_", 2, within_largest(1)),
            lambda a, b: lambda: backend.add_(a, b),
            lambda a, b: lambda: a.add_(b),
        ),
        case(
            *("fill_", 1, same_bits),
            lambda a: lambda: backend.fill_(a, 2.5),
            lambda a: lambda: a.fill_(2.5),
            moved=_bytes(shape),
        ),
        case(
            *("astype", 1, same_bits),
            lambda a: lambda: a.astype(backend.int64),
            lambda a: lambda: a.to(torch.int64),
            moved=3 * _bytes(shape),
        ),
        Case(
            *("broadcast_to", size, lambda rng: (_normal(rng, *row),)),
            lambda a: lambda: backend.broadcast_to(a, shape),
            lambda a: lambda: a.expand(shape).contiguous(),
            same_bits,
            flops=0,
            bytes=_bytes(row, shape),
        ),
    ]


def relu_cases(size: str, shape: tuple[int, ...]) -> list[Case]:
    return [
        Case(
            "relu",
            size,
            lambda rng: (_normal(rng, *shape),),
            lambda x: lambda: backend.relu(x),
            lambda x: lambda: torch.relu(x),
            same_bits,
            flops=0,
            bytes=_bytes(shape, shape),
        ),
        Case(
            "relu_backward",
            size,
            lambda rng: (_normal(rng, *shape), np.maximum(_normal(rng, *shape), 0)),
            lambda u, y: lambda: backend.relu_backward(u, y),
            lambda u, y: lambda: aten.threshold_backward(u, y, 0),
            same_bits,
            flops=0,
            bytes=_bytes(shape, shape, shape),
        ),
    ]


def softmax_cases(size: str, rows: int, classes: int) -> list[Case]:
    shape = (rows, classes)
    cases = []
    for op, ours, by_torch in (
        ("softmax", lambda x: lambda: backend.softmax(x, 1), lambda x: lambda: torch.softmax(x, 1)),
        ("log_softmax", lambda x: lambda: backend.log_softmax(x, 1), lambda x: lambda: torch.log_softmax(x, 1)),
        ("logsumexp", lambda x: lambda: backend.logsumexp(x, [1]), lambda x: lambda: torch.logsumexp(x, 1)),
    ):
        cases.append(
            Case(
                *(op, size, lambda rng: (_normal(rng, *shape),), ours, by_torch),
                within_softmax(classes, logarithm=op != "softmax"),
                flops=0,
                bytes=_bytes(shape, shape if op != "logsumexp" else (rows,)),
            )
        )

    def output_of(function, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return _normal(rng, *shape), function(torch.from_numpy(_normal(rng, *shape)), 1).numpy()

    for op, forward, by_aten in (
        ("softmax_backward", torch.softmax, aten._softmax_backward_data),
        ("log_softmax_backward", torch.log_softmax, aten._log_softmax_backward_data),
    ):
        cases.append(
            Case(
                *(op, size, lambda rng, forward=forward: output_of(forward, rng)),
                lambda u, y, op=op: lambda: getattr(backend, op)(u, y, 1),
                lambda u, y, by_aten=by_aten: lambda: by_aten(u, y, 1, u.dtype),
                within_softmax_backward(classes, logarithm=op == "log_softmax_backward"),
                flops=0,
                bytes=_bytes(shape, shape, shape),
            )
        )
    return cases


def cross_entropy_cases(size: str, rows: int, classes: int) -> list[Case]:
    shape = (rows, classes)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return 3 * _normal(rng, *shape), rng.integers(0, classes, rows)

    def ours_backward(logits, target):
        _, log_sum_exp, total = backend.cross_entropy(logits, target)
        one = backend.full((), 1.0, backend.float32, logits.device)
        return lambda: backend.cross_entropy_backward(one, logits, target, log_sum_exp, total, None, "mean", -100, 0.0)

    def torch_backward(logits: torch.Tensor, target: torch.Tensor) -> Callable[[], torch.Tensor]:
        logs = torch.log_softmax(logits, 1)
        _, total = aten.nll_loss_forward(logs, target, None, 1, -100)
        one = logits.new_ones(())

        def call() -> torch.Tensor:  # what loss.backward() runs
            gradient = aten.nll_loss_backward(one, logs, target, None, 1, -100, total)
            return aten._log_softmax_backward_data(gradient, logs, 1, logits.dtype)

        return call

    return [
        Case(
            *("cross_entropy", size, draw),
            lambda x, t: lambda: backend.cross_entropy(x, t)[0],
            lambda x, t: lambda: F.cross_entropy(x, t),
            # Each item's loss as of log_softmax, then the mean of `rows` of them.
            lambda unit, wanted, arguments: (classes + rows + 16) * EPS * 4 * float(arguments[0].abs().max()),
            flops=0,
            bytes=_bytes(shape) + 8 * rows,
        ),
        Case(
            *("cross_entropy_backward", size, draw, ours_backward, torch_backward),
            within_loss_gradient(rows, classes),
            flops=0,
            bytes=_bytes(shape, shape) + 8 * rows,
        ),
    ]


def reduction_cases(size: str, shape: tuple[int, int], dim: int | None) -> list[Case]:
    dims = None if dim is None else [dim]
    count = int(np.prod(shape)) if dim is None else shape[dim]
    results = () if dim is None else (shape[1 - dim],)

    def case(op: str, by_torch, bound: Bound) -> Case:
        return Case(
            *(op, size, lambda rng: (_normal(rng, *shape),)),
            lambda x: lambda: getattr(backend, op)(x, dims),
            *(by_torch, bound),
            flops=0,
            bytes=_bytes(shape, results),
        )

    add = lambda x: lambda: torch.sum(x, dims)  # noqa: E731
    mean = lambda x: lambda: torch.mean(x, dims)  # noqa: E731
    cases = [
        case("sum", add, within_sums(count, add)),
        case("mean", mean, within_sums(count, mean)),
        case("amax", lambda x: lambda: torch.amax(x, dims or []), same_bits),
        case("amin", lambda x: lambda: torch.amin(x, dims or []), same_bits),
    ]
    if dim is not None:
        cases.append(
            Case(
                *("argmax", size, lambda rng: (_normal(rng, *shape),)),
                lambda x: lambda: backend.argmax(x, dim),
                lambda x: lambda: torch.argmax(x, dim),
                same_bits,
                flops=0,
                bytes=_bytes(shape) + 2 * _bytes(results),
            )
        )
    return cases


def permute_case(size: str, shape: tuple[int, ...], dims: tuple[int, ...]) -> Case:
    return Case(
        *("permute", size, lambda rng: (_normal(rng, *shape),)),
        lambda x: lambda: backend.permute(x, dims),
        lambda x: lambda: x.permute(dims).contiguous(),
        same_bits,
        flops=0,
        bytes=_bytes(shape, shape),
    )


def slab_cases(size: str, rows: int, columns: int) -> list[Case]:
    shape, half = (rows, columns), columns // 2
    narrow_backward = lambda u: lambda: aten.slice_backward(u, shape, 1, 0, half, 1)  # noqa: E731
    return [
        Case(
            *("cat", size, lambda rng: (_normal(rng, rows, half), _normal(rng, rows, half))),
            lambda x, y: lambda: backend.cat([x, y], 1),
            lambda x, y: lambda: torch.cat([x, y], 1),
            same_bits,
            flops=0,
            bytes=2 * _bytes(shape),
        ),
        Case(
            *("narrow", size, lambda rng: (_normal(rng, *shape),)),
            lambda x: lambda: backend.narrow(x, 1, 0, half),
            lambda x: lambda: x.narrow(1, 0, half).contiguous(),
            same_bits,
            flops=0,
            bytes=_bytes(shape),
        ),
        Case(
            *("narrow_backward", size, lambda rng: (_normal(rng, rows, half),)),
            lambda u: lambda: backend.narrow_backward(u, shape, 1, 0),
            narrow_backward,
            same_bits,
            flops=0,
            bytes=_bytes(shape) + _bytes((rows, half)),
        ),
    ]


def select_case(size: str, rows: int, selected: int, width: int) -> Case:
    return Case(
        *("index_select", size),
        lambda rng: (_normal(rng, rows, width), rng.integers(0, rows, selected)),
        lambda x, i: lambda: backend.index_select(x, i),
        lambda x, i: lambda: x.index_select(0, i),
        same_bits,
        flops=0,
        bytes=2 * _bytes((selected, width)) + 8 * selected,
    )


def rows_case(size: str, rows: int, selected: int, width: int) -> Case:
    shape = (rows, width)
    by_torch = lambda u, i: lambda: u.new_zeros(shape).index_add_(0, i, u)  # noqa: E731

    def bound(unit: float, wanted: torch.Tensor, arguments: Sequence[torch.Tensor]) -> torch.Tensor:
        upstream, index = arguments
        most = int(torch.bincount(index).max())  # rows that are added up at one place
        return (most + 2) * EPS * by_torch(upstream.abs(), index)()

    return Case(
        *("index_select_backward", size),
        lambda rng: (_normal(rng, selected, width), rng.integers(0, rows, selected)),
        lambda u, i: lambda: backend.index_select_backward(u, i, shape),
        by_torch,
        bound,
        flops=0,
        bytes=_bytes(shape, (selected, width)) + 8 * selected,
    )


MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def batch_case(size: str, images: int, batch: int) -> Case:
    """A batch of CIFAR-10's shape, gathered from a data set of uint8 images that stays where it is, and normalised."""
    shape = (images, 3, 32, 32)

    def ours(pixels, index):
        mean, std = (backend.from_numpy(np.array(values, np.float32)).to(pixels.device) for values in (MEAN, STD))
        return lambda: backend.gather_batch(pixels, index, mean, std)

    def by_torch(pixels: torch.Tensor, index: torch.Tensor) -> Callable[[], torch.Tensor]:
        mean, std = (torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (MEAN, STD))
        return lambda: (pixels[index].float() / 255 - mean) / std

    return Case(
        *("gather_batch", size),
        lambda rng: (rng.integers(0, 256, shape, dtype=np.uint8), rng.permutation(images)[:batch]),
        *(ours, by_torch),
        lambda unit, wanted, arguments: 8 * EPS,  # numbers up to 1, three roundings each; torch's are float32 too
        flops=0,
        bytes=batch * 3 * 32 * 32 * 5 + 8 * batch,
    )


def sgd_case(size: str, shapes: Sequence[tuple[int, ...]]) -> Case:
    """One step with momentum over all parameters of a network; torch's is its fused one."""
    lr, momentum, count = 0.01, 0.9, len(shapes)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        return tuple(_normal(rng, *shape) for _ in range(3) for shape in shapes)

    def lists(arrays: Sequence[Any]) -> tuple[list, list, list]:
        return list(arrays[:count]), list(arrays[count : 2 * count]), list(arrays[2 * count :])

    def ours(*arrays):
        parameters, gradients, velocities = lists(arrays)

        def call():
            backend.sgd_step_(parameters, gradients, velocities, lr, momentum, 0.0, 0.0, False, False)
            return parameters

        return call

    def by_torch(*arrays: torch.Tensor) -> Callable[[], list[torch.Tensor]]:
        parameters, gradients, velocities = lists(arrays)
        optimizer = torch.optim.SGD(parameters, lr=lr, momentum=momentum, fused=parameters[0].dtype == torch.float32)
        for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
            parameter.grad = gradient
            optimizer.state[parameter]["momentum_buffer"] = velocity

        def call() -> list[torch.Tensor]:
            optimizer.step()
            return parameters

        return call

    return Case(
        *("sgd_step_", size, draw, ours, by_torch),
        within_largest(8),
        flops=0,
        bytes=5 * _bytes(*shapes),  # parameter and velocity are read and written, the gradient is read
    )


def losses_case(size: str, rows: int) -> Case:
    """The mean of the items' losses: nll_loss, of which the rungs choose how the losses are added up."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return -np.abs(_normal(rng, rows, 10)), rng.integers(0, 10, rows)

    return Case(
        *("reduce_losses", size, draw),
        lambda x, t: lambda: backend.nll_loss(x, t)[0],
        lambda x, t: lambda: F.nll_loss(x, t),
        lambda unit, wanted, arguments: (rows + 2) * EPS * float(arguments[0].abs().mean() + 1),
        flops=0,
        bytes=rows * (4 + 8),
    )


def nll_cases(size: str, rows: int, classes: int) -> list[Case]:
    shape = (rows, classes)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return -np.abs(_normal(rng, *shape)), rng.integers(0, classes, rows)

    def ours_backward(logs, target):
        _, total = backend.nll_loss(logs, target)
        one = backend.full((), 1.0, backend.float32, logs.device)
        return lambda: backend.nll_loss_backward(one, target, shape, None, "mean", -100, total)

    def torch_backward(logs: torch.Tensor, target: torch.Tensor) -> Callable[[], torch.Tensor]:
        _, total = aten.nll_loss_forward(logs, target, None, 1, -100)
        one = logs.new_ones(())
        return lambda: aten.nll_loss_backward(one, logs, target, None, 1, -100, total)

    return [
        Case(
            *("nll_loss", size, draw),
            lambda x, t: lambda: backend.nll_loss(x, t, None, "none")[0],
            lambda x, t: lambda: F.nll_loss(x, t, reduction="none"),
            same_bits,  # an element is looked up and its sign changed
            flops=0,
            bytes=rows * (4 + 8 + 4),
        ),
        Case(
            *("nll_loss_backward", size, draw, ours_backward, torch_backward),
            within_relative(2),
            flops=0,
            bytes=_bytes(shape) + 8 * rows,
        ),
    ]


LENET = [(6, 3, 3, 3), (6,), (16, 6, 3, 3), (16,), (120, 1024), (120,), (84, 120), (84,), (10, 84), (10,)]

CASES: list[Case] = [
    matmul_case("LeNet fc1, forward", 64, 1024, 120, (False, True)),
    matmul_case("LeNet fc1, weight gradient", 120, 64, 1024, (True, False)),
    matmul_case("LeNet fc1, input gradient", 64, 120, 1024),
    matmul_case("square 512", 512, 512, 512),
    matmul_case("square 1024", 1024, 1024, 1024),
    matmul_case("square 2048", 2048, 2048, 2048),
    matmul_case("square 2048, b transposed", 2048, 2048, 2048, (False, True), devices=("cuda",)),
    matmul_case("odd 1000 x 999 x 1001", 1000, 999, 1001),
    matmul_case("square 4096", 4096, 4096, 4096, devices=("cuda",)),
    *conv_cases("LeNet conv1", 64, 3, 6, 32, 3),
    *conv_cases("LeNet conv2", 64, 6, 16, 16, 3),
    *conv_cases("64 channels of 32 x 32", 64, 64, 64, 32, 3),
    *conv_cases("128 channels of 28 x 28", 16, 128, 128, 28, 3),
    *conv_cases("256 channels of 14 x 14", 64, 256, 256, 14, 3, devices=("cuda",)),
    *conv_cases("64 channels of 56 x 56, stride 2", 32, 64, 128, 56, 3, devices=("cuda",), stride=2),
    bias_gradient_case("LeNet conv1", 64, 6, 32),
    bias_gradient_case("64 channels of 32 x 32", 64, 64, 32),
    *im2col_cases("LeNet conv1", 64, 3, 32, 3),
    *im2col_cases("64 channels of 32 x 32", 16, 64, 32, 3),
    *pooling_cases("LeNet pool1", 64, 6, 32),
    *pooling_cases("64 channels of 64 x 64", 64, 64, 64),
    *average_cases("64 channels of 64 x 64", 64, 64, 64),
    *elementwise_cases("16 million", (16, 1024, 1024)),
    *relu_cases("LeNet relu1", (64, 6, 32, 32)),
    *relu_cases("16 million", (16, 1024, 1024)),
    *softmax_cases("64 x 10", 64, 10),
    *softmax_cases("8192 x 1000", 8192, 1000),
    *cross_entropy_cases("64 x 10", 64, 10),
    *cross_entropy_cases("8192 x 1000", 8192, 1000),
    *reduction_cases("all of 4096 x 4096", (4096, 4096), None),
    *reduction_cases("rows of 4096 x 4096", (4096, 4096), 1),
    *reduction_cases("columns of 4096 x 4096", (4096, 4096), 0),
    permute_case("transpose of 4096 x 4096", (4096, 4096), (1, 0)),
    permute_case("channels last, 64 x 64 x 56 x 56", (64, 64, 56, 56), (0, 2, 3, 1)),
    *slab_cases("halves of 4096 x 4096", 4096, 4096),
    select_case("8192 rows of 256 out of 1000", 1000, 8192, 256),
    rows_case("8192 rows of 256 into 1000", 1000, 8192, 256),
    batch_case("64 of 50000 images", 50_000, 64),
    batch_case("1024 of 50000 images", 50_000, 1024),
    sgd_case("LeNet", LENET),
    sgd_case("40 tensors of a million", [(1024, 1024)] * 40),
    losses_case("64 items", 64),
    losses_case("65536 items", 65536),
    *nll_cases("8192 x 1000", 8192, 1000),
]
