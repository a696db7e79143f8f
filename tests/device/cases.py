"""One case an op: what to compute on a device, and what comes out in float64, with a bound for every element."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import mytensor_backend as backend
import numpy as np
import torch
import torch.nn.functional as F

Put = Callable[[np.ndarray], backend.NDArray]


@dataclass(frozen=True)
class Case:
    """call(put) -> the op's outputs; wanted: the same in float64; bounds: of |output - wanted|, 0 for the same bits."""

    name: str
    call: Callable[[Put], tuple]
    wanted: tuple
    bounds: tuple


def cases(op: str, rng: np.random.Generator, dtype, small: bool) -> Iterator[Case]:
    """The cases of an op. small: so few elements that every access can be watched."""
    yield from MAKERS[op](op, rng, dtype, small)


def _numbers(rng: np.random.Generator, shape, dtype) -> np.ndarray:
    return np.asarray(rng.normal(size=shape), dtype)


def _double(array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float64).copy())


def _eps(dtype) -> float:
    return float(np.finfo(dtype).eps)


def _torch(values: torch.Tensor) -> np.ndarray:
    return values.detach().numpy()


# ---------------------------------------------------------------------------------------------------------------------
# One element in, one element out
# ---------------------------------------------------------------------------------------------------------------------

# In units of eps times the result: CUDA's and the C library's functions are within 2 of the last place.
_UNARY = {"neg": (np.negative, 0), "abs": (np.abs, 0), "exp": (np.exp, 4), "log": (np.log, 4), "sqrt": (np.sqrt, 1)}
_UNARY |= {
    "tanh": (np.tanh, 4),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 6),
    "relu": (lambda x: np.maximum(x, 0), 0),
}


def unary_case(op, rng, dtype, shape) -> Case:
    x = _numbers(rng, shape, dtype)
    x = np.asarray(np.abs(x) + dtype(0.1)) if op in ("log", "sqrt") else x
    function, units = _UNARY[op]
    wanted = np.asarray(function(x.astype(np.float64)))
    bound = units * _eps(dtype) * np.maximum(np.abs(wanted), 1.0 if op == "log" else 0.0)
    return Case(f"{shape}", lambda put: (getattr(backend, op)(put(x)),), (wanted,), (bound,))


def _unary(op, rng, dtype, small):
    for shape in ((37,), (3, 5, 7), (0, 4)) if small else ((1031,), (4, 64), (0, 4)):
        yield unary_case(op, rng, dtype, shape)
    x = np.array([np.nan, np.inf, 0.0], dtype)
    wanted = _UNARY[op][0](x.astype(np.float64))
    yield Case("not finite", lambda put: (getattr(backend, op)(put(x)),), (wanted,), (0,))
    if op in ("neg", "abs"):
        x = np.array([0, 5, -7, np.iinfo(np.int32).min], np.int32)
        wanted = np.negative(x) if op == "neg" else np.abs(x)
        yield Case("int32", lambda put: (getattr(backend, op)(put(x)),), (wanted,), (0,))


def relu_backward_case(op, rng, dtype, shape) -> Case:
    upstream, output = _numbers(rng, shape, dtype), np.maximum(_numbers(rng, shape, dtype), dtype(0))
    wanted = np.where(output > 0, upstream, 0)
    return Case(f"{shape}", lambda put: (backend.relu_backward(put(upstream), put(output)),), (wanted,), (0,))


def _relu_backward(op, rng, dtype, small):
    for count in (5, 33) if small else (1031, 4096):
        yield relu_backward_case(op, rng, dtype, (count,))


_SHAPES = [
    ((6, 7), (6, 7)),
    ((3, 4, 5), (4, 1)),
    ((1, 5), (7, 1)),
    ((), (3, 2)),
    ((2, 1, 3, 1), (4, 1, 5)),
    ((0, 3), (3,)),
]


_FUNCTIONS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power}
_FUNCTIONS |= {"maximum": np.maximum, "minimum": np.minimum, "eq": np.equal, "ne": np.not_equal, "lt": np.less}
_FUNCTIONS |= {"le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}


_ROUNDED = {"div_trunc": "trunc", "div_floor": "floor"}


def rounded_case(op, name, a, b) -> Case:
    """Torch's quotient in the same dtype: a step of the rounding may lie between it and float64's."""
    wanted = torch.div(torch.from_numpy(a), torch.from_numpy(b), rounding_mode=_ROUNDED[op]).numpy()
    return Case(name, lambda put: (getattr(backend, op)(put(a), put(b)),), (wanted,), (0,))


def binary_case(op, rng, dtype, a_shape, b_shape) -> Case:
    units = {"add": 1, "sub": 1, "mul": 1, "div": 1, "pow": 8}.get(op, 0)
    a, b = (np.asarray(np.round(_numbers(rng, shape, dtype), 1)) for shape in (a_shape, b_shape))
    if op in _ROUNDED:
        return rounded_case(op, f"{a_shape} {b_shape}", a, b)
    if op in ("pow", "div"):
        a, b = np.asarray(np.abs(a) + dtype(0.5)), np.asarray(np.abs(b) + dtype(0.5))
    wanted = np.asarray(_FUNCTIONS[op](a.astype(np.float64), b.astype(np.float64)))
    bound = units * _eps(dtype) * np.abs(wanted)
    return Case(f"{a_shape} {b_shape}", lambda put: (getattr(backend, op)(put(a), put(b)),), (wanted,), (bound,))


def _binary(op, rng, dtype, small):
    function = _FUNCTIONS
    for a_shape, b_shape in _SHAPES:
        yield binary_case(op, rng, dtype, a_shape, b_shape)
    if op in ("maximum", "minimum"):
        a, b = np.array([np.nan, 1, np.nan, -np.inf], dtype), np.array([1, np.nan, np.nan, np.inf], dtype)
        yield Case("NaN", lambda put: (getattr(backend, op)(put(a), put(b)),), (function[op](a, b),), (0,))
    if op in _ROUNDED:
        tenths = np.asarray(np.arange(-40, 41), dtype) * dtype(0.1)  # near whole multiples of each other
        yield rounded_case(op, "tenths", tenths[:, None].copy(), np.array([0.1, -0.3, 1e-3, np.inf, 0], dtype))
        for kind in (np.int64, np.int32, np.uint8):
            a, b = (rng.integers(0 if kind == np.uint8 else -200, 200, 65).astype(kind) for _ in range(2))
            yield rounded_case(op, kind.__name__, a, b | kind(1))
    elif op == "pow":
        for kind in (np.int64, np.int32, np.uint8):
            a, b = rng.integers(0 if kind == np.uint8 else -200, 200, 65).astype(kind), np.arange(65).astype(kind)
            wanted = torch.pow(torch.from_numpy(a), torch.from_numpy(b)).numpy()
            call = lambda put, a=a, b=b: (backend.pow(put(a), put(b)),)  # noqa: E731
            yield Case(kind.__name__, call, (wanted,), (0,))
    elif op != "div":
        for kind in (np.int64, np.int32, np.uint8):
            a, b = (rng.integers(0, 200, 65, dtype=kind) for _ in range(2))
            call = lambda put, a=a, b=b: (getattr(backend, op)(put(a), put(b)),)  # noqa: E731
            yield Case(kind.__name__, call, (function[op](a, b),), (0,))


def where_case(op, rng, dtype, mask_shape, a_shape, b_shape) -> Case:
    mask = rng.integers(0, 3, mask_shape).astype(np.uint8)
    a, b = np.asarray(_numbers(rng, a_shape, dtype)), np.asarray(_numbers(rng, b_shape, dtype))
    wanted = np.where(mask != 0, a, b)
    name = f"{mask_shape} {a_shape} {b_shape}"
    return Case(name, lambda put: (backend.where(put(np.asarray(mask)), put(a), put(b)),), (wanted,), (0,))


def _where(op, rng, dtype, small):
    for shape in ((5, 7), (2, 3, 4)):
        yield where_case(op, rng, dtype, shape[-1:], shape, (*shape[:-1], 1))


def add_scaled_case(op, rng, dtype, a_shape, b_shape) -> Case:
    a, b = np.asarray(_numbers(rng, a_shape, dtype)), np.asarray(_numbers(rng, b_shape, dtype))
    wanted = np.asarray(a.astype(np.float64) + float(dtype(0.3)) * b.astype(np.float64))
    bound = 2 * _eps(dtype) * (np.abs(a) + 0.3 * np.abs(b))
    return Case(f"{a_shape} {b_shape}", lambda put: (backend.add_(put(a), put(b), 0.3),), (wanted,), (bound,))


def _add_scaled(op, rng, dtype, small):
    for a_shape, b_shape in (((4, 9), (4, 9)), ((3, 4, 5), (4, 1)), ((7,), ())):
        yield add_scaled_case(op, rng, dtype, a_shape, b_shape)


def broadcast_case(op, rng, dtype, shape, target) -> Case:
    x = np.asarray(_numbers(rng, shape, dtype))
    wanted = np.broadcast_to(x, target)

    def call(put):
        return backend.broadcast_to(put(x), target), backend.copy_(put(np.zeros(target, dtype)), put(x))

    return Case(f"{shape} {target}", call, (wanted, wanted), (0, 0))


def _broadcast(op, rng, dtype, small):
    for shape, target in (((3, 1), (2, 3, 5)), ((1,), (7,)), ((), (2, 3)), ((4, 6), (4, 6))):
        yield broadcast_case(op, rng, dtype, shape, target)


def fill_case(op, rng, dtype, shape) -> Case:
    call = lambda put: (backend.fill_(put(np.zeros(shape, dtype)), 2.5),)  # noqa: E731
    return Case(f"{shape}", call, (np.full(shape, 2.5),), (0,))


def _fill(op, rng, dtype, small):
    yield fill_case(op, rng, dtype, (3, 11))


def astype_case(op, rng, dtype, shape, kind) -> Case:
    x = np.asarray(rng.uniform(-300, 300, shape), dtype)
    wanted = backend.from_numpy(x).astype(getattr(backend, kind)).numpy()
    return Case(f"{shape} {kind}", lambda put: (put(x).astype(getattr(backend, kind)),), (wanted,), (0,))


def _astype(op, rng, dtype, small):
    x = np.array([0.0, -0.9, 1.9, 254.7, 300.0, -3.0, 2e9, 3e9, -3e9, 1e19, -1e19, np.nan, np.inf, -np.inf], dtype)
    for name in ("float32", "float64", "int64", "int32", "uint8"):
        kind = getattr(backend, name)
        wanted = backend.from_numpy(x).astype(kind).numpy()
        yield Case(f"to {name}", lambda put, kind=kind: (put(x).astype(kind),), (wanted,), (0,))
    numbers = np.array([0, 1, 255, 256, 300, -1, 2**31, 2**53 + 1], np.int64)
    for name in ("float32", "int32", "uint8"):
        kind = getattr(backend, name)
        wanted = backend.from_numpy(numbers).astype(kind).numpy()
        yield Case(f"int64 to {name}", lambda put, kind=kind: (put(numbers).astype(kind),), (wanted,), (0,))


# ---------------------------------------------------------------------------------------------------------------------
# Reductions, softmax
# ---------------------------------------------------------------------------------------------------------------------


def reduction_case(op, rng, dtype, shape, dims) -> Case:
    x = np.asarray(_numbers(rng, shape, dtype))
    axis = None if not dims else tuple(dims)  # torch's meaning of an empty list: all of them
    exact = x.astype(np.float64)
    function = {"sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min}[op]
    wanted = np.asarray(function(exact, axis))
    count = exact.size // max(wanted.size, 1)
    magnitude = np.abs(exact).sum(axis) / (count if op == "mean" else 1)
    bound = (count + 1) * _eps(dtype) * magnitude if op in ("sum", "mean") else 0
    return Case(f"{shape} {dims}", lambda put: (getattr(backend, op)(put(x), dims),), (wanted,), (bound,))


def _reduction(op, rng, dtype, small):
    shapes = [((5, 7), [0]), ((5, 7), [1]), ((3, 4, 5), [0, 2]), ((2, 3, 4, 5), [1, 3]), ((33,), None), ((4, 1), [1])]
    shapes += [((300, 3), [0])]  # two chunks of a column
    if not small:
        shapes += [((9001,), None), ((1100, 37), [0]), ((3, 5000), [1]), ((70, 3, 71), [0, 2])]
    for shape, dims in shapes:
        yield reduction_case(op, rng, dtype, shape, dims)
    if op != "mean":
        for kind in (np.int64, np.int32, np.uint8):
            x = rng.integers(0, 200, (5, 67), dtype=kind)
            wanted = x.sum(1, dtype=np.int64) if op == "sum" else {"amax": np.max, "amin": np.min}[op](x, 1)
            yield Case(kind.__name__, lambda put, x=x: (getattr(backend, op)(put(x), [1]),), (wanted,), (0,))
    if op in ("amax", "amin"):
        x = np.array([[1, np.nan, 3, 2], [np.inf, 2, -np.inf, 0]] * 20, dtype)
        wanted = np.max(x, 1) if op == "amax" else np.min(x, 1)
        yield Case("NaN", lambda put: (getattr(backend, op)(put(x), [1]),), (wanted,), (0,))


def argmax_case(op, rng, dtype, shape, dim) -> Case:
    x = np.round(_numbers(rng, shape, dtype))  # full of ties
    wanted = np.asarray(np.argmax(x, dim))
    return Case(f"{shape} {dim}", lambda put: (backend.argmax(put(x), dim),), (wanted,), (0,))


def _argmax(op, rng, dtype, small):
    for shape, dim in (((5, 7), 1), ((5, 7), 0), ((3, 41, 2), 1), ((70,), 0), ((3, 1), 1)):
        yield argmax_case(op, rng, dtype, shape, dim)
    x = np.array([[1, np.nan, 3, np.nan, 7], [2, 2, 2, 1, 0]], dtype)
    yield Case("NaN", lambda put: (backend.argmax(put(x), 1),), (np.array([1, 0]),), (0,))


def softmax_case(op, rng, dtype, shape, dim, scale) -> Case:
    """x - maximum is rounded by eps / 2 of it, a relative error of its exponential; then K additions, few roundings."""
    function = {"softmax": torch.softmax, "log_softmax": torch.log_softmax, "logsumexp": torch.logsumexp}[op]
    x = np.asarray(scale * rng.normal(size=shape), dtype)
    wanted = _torch(function(_double(x), dim))
    spread = x.astype(np.float64).max(dim, keepdims=True) - x.astype(np.float64)
    eps, length = _eps(dtype), shape[dim]
    if op == "softmax":
        bound = (length + 8 + spread) * eps * wanted + np.finfo(dtype).tiny
    elif op == "log_softmax":
        bound = (length + 8 + 2 * spread + np.log(length)) * eps
    else:
        bound = (length + 8 + np.abs(wanted)) * eps
    dims = [dim] if op == "logsumexp" else dim
    return Case(f"{shape} {dim} {scale}", lambda put: (getattr(backend, op)(put(x), dims),), (wanted,), (bound,))


def _softmax(op, rng, dtype, small):
    for shape, dim in (((5, 10), 1), ((4, 70), 1), ((7, 3), 0), ((2, 5, 3), 1), ((1, 1), 1)):
        for scale in (1, 1e3):
            yield softmax_case(op, rng, dtype, shape, dim, scale)


def softmax_backward_case(op, rng, dtype, shape, dim) -> Case:
    forward = backend.softmax if op == "softmax_backward" else backend.log_softmax
    output = forward(backend.from_numpy(_numbers(rng, shape, dtype)), dim).numpy()
    upstream = _numbers(rng, shape, dtype)
    y, u, eps = output.astype(np.float64), upstream.astype(np.float64), _eps(dtype)
    if op == "softmax_backward":
        wanted = y * (u - (u * y).sum(dim, keepdims=True))
        bound = (shape[dim] + 5) * eps * y * (np.abs(u) + np.abs(u * y).sum(dim, keepdims=True))
    else:
        wanted = u - np.exp(y) * u.sum(dim, keepdims=True)
        bound = (shape[dim] + 8) * eps * (np.abs(u) + np.exp(y) * np.abs(u).sum(dim, keepdims=True))
    call = lambda put: (getattr(backend, op)(put(upstream), put(output), dim),)  # noqa: E731
    return Case(f"{shape} {dim}", call, (wanted,), (bound,))


def _softmax_backward(op, rng, dtype, small):
    for shape, dim in (((5, 10), 1), ((4, 70), 1), ((7, 3), 0), ((2, 5, 3), 1)):
        yield softmax_backward_case(op, rng, dtype, shape, dim)


# ---------------------------------------------------------------------------------------------------------------------
# Losses
# ---------------------------------------------------------------------------------------------------------------------


def _loss_settings(rng, dtype, smoothing: bool, shapes):
    for shape in shapes:
        for reduction in ("mean", "sum", "none"):
            for weighted in (False, True):
                classes = shape[1]
                target = rng.integers(0, classes, shape[:1] + shape[2:])
                target.reshape(-1)[1::3] = -100
                weight = np.asarray(rng.uniform(0.5, 2, classes), dtype) if weighted else None
                yield shape, reduction, target, weight, 0.1 if smoothing and weighted else 0.0


def _with_gradient(loss_of, leaf: torch.Tensor, upstream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    leaf.requires_grad_()
    loss = loss_of(leaf)
    loss.backward(_double(upstream))
    return _torch(loss), leaf.grad.numpy()


_LOSS_SHAPES = ((7, 10), (5, 41), (3, 4, 5), (1, 1))


def _cross_entropy(op, rng, dtype, small, shapes=_LOSS_SHAPES):
    backward = op.endswith("backward")
    for shape, reduction, target, weight, smoothing in _loss_settings(rng, dtype, True, shapes):
        logits = np.asarray(3 * rng.normal(size=shape), dtype)
        upstream = np.asarray(rng.normal(size=target.shape if reduction == "none" else ()), dtype)
        weights = None if weight is None else _double(weight)
        loss_of = lambda x, t=target, w=weights, r=reduction, s=smoothing: F.cross_entropy(  # noqa: E731
            x, torch.from_numpy(t), w, reduction=r, label_smoothing=s
        )
        wanted, gradient = _with_gradient(loss_of, _double(logits), upstream)
        if not np.isfinite(wanted).all():  # the mean over nothing
            continue
        items, classes, eps = target.size, shape[1], _eps(dtype)

        def call(put, logits=logits, target=target, weight=weight, r=reduction, s=smoothing, upstream=upstream):
            w = None if weight is None else put(weight)
            loss, lse, total = backend.cross_entropy(put(logits), put(target), w, r, -100, s)
            if not backward:
                return (loss,)
            args = (put(upstream), put(logits), put(target), lse, total, w, r, -100, s)
            return (backend.cross_entropy_backward(*args),)

        # A logarithm's sum of `classes` terms for each item, of size |logits| + log(classes); weights up to 2.
        size = 2 * (2 * np.abs(logits).max() + np.log(classes) + 1)
        bound = (classes + 12 + items) * eps * size * (items if reduction == "sum" else 1)
        name = f"{shape} {reduction} {'weighted' if weight is not None else ''}"
        if backward:
            bound = (classes + 20 + 2 * np.abs(logits).max()) * eps * 2 * np.abs(upstream).max() * 2
        yield Case(name, call, (gradient if backward else wanted,), (bound,))


def _nll_loss(op, rng, dtype, small, shapes=_LOSS_SHAPES):
    backward = op.endswith("backward")
    for shape, reduction, target, weight, _ in _loss_settings(rng, dtype, False, shapes):
        logs = -np.abs(_numbers(rng, shape, dtype))
        upstream = np.asarray(rng.normal(size=target.shape if reduction == "none" else ()), dtype)
        weights = None if weight is None else _double(weight)
        loss_of = lambda x, t=target, w=weights, r=reduction: F.nll_loss(  # noqa: E731
            x, torch.from_numpy(t), w, reduction=r
        )
        wanted, gradient = _with_gradient(loss_of, _double(logs), upstream)
        if not np.isfinite(wanted).all():
            continue

        def call(put, logs=logs, target=target, weight=weight, r=reduction, upstream=upstream, shape=shape):
            w = None if weight is None else put(weight)
            loss, total = backend.nll_loss(put(logs), put(target), w, r)
            if not backward:
                return (loss,)
            return (backend.nll_loss_backward(put(upstream), put(target), shape, w, r, -100, total),)

        bound = 8 * _eps(dtype) * 2 * np.abs(logs).max() * (target.size if reduction == "sum" else 1)
        if backward:
            bound = 8 * _eps(dtype) * np.abs(gradient)
        yield Case(f"{shape} {reduction}", call, (gradient if backward else wanted,), (bound,))


def _reduce_losses(op, rng, dtype, small):
    yield from _nll_loss("nll_loss", rng, dtype, small)
    logs, target = -np.abs(_numbers(rng, (300, 2), dtype)), rng.integers(0, 2, 300)
    wanted = -np.take_along_axis(logs.astype(np.float64), target[:, None], 1).mean()
    call = lambda put: (backend.nll_loss(put(logs), put(target))[0],)  # noqa: E731
    yield Case("300 items", call, (np.asarray(wanted),), (4 * _eps(dtype) * np.abs(wanted),))


# ---------------------------------------------------------------------------------------------------------------------
# Pooling
# ---------------------------------------------------------------------------------------------------------------------

# (N, C, H, W), kernel, stride, padding, dilation, ceil_mode
_WINDOWS = [
    ((2, 3, 4, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((1, 2, 5, 12), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((2, 1, 7, 5), (3, 2), (2, 1), (1, 0), (1, 1), False),
    ((1, 3, 6, 7), (2, 3), (1, 2), (1, 1), (2, 1), False),
    ((3, 1, 5, 8), (3, 3), (2, 2), (1, 1), (1, 1), True),
]


def _max_pool2d(op, rng, dtype, small, windows=_WINDOWS):
    for shape, kernel, stride, padding, dilation, ceil in windows:
        x = np.round(_numbers(rng, shape, dtype), 0 if shape[3] == 8 else 3)  # some full of ties
        if x.size > 0:
            x[0, 0, -1, -1] = -np.inf
            x[0, 0, 0, x.shape[3] // 2] = np.nan if kernel == (2, 2) else 1
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil}
        output, indices = F.max_pool2d(torch.from_numpy(x), kernel, return_indices=True, **options)
        wanted = (output.numpy(), indices.numpy())
        name = f"{shape} {kernel} {stride} {padding} {dilation} {ceil}"
        if op == "max_pool2d":
            for short in (False, True):
                call = lambda put, x=x, k=kernel, o=options, s=short: (  # noqa: E731
                    backend.max_pool2d(put(x), k, **o, short_indices=s)
                )
                yield Case(f"{name} {'int32' if short else 'int64'}", call, wanted, (0, 0))
            for kind in (np.int64, np.int32, np.uint8):  # signed ones all below 0
                x = (rng.integers(0, 5, shape) - (0 if kind == np.uint8 else 9)).astype(kind)
                output, indices = F.max_pool2d(torch.from_numpy(x), kernel, return_indices=True, **options)
                call = lambda put, x=x, k=kernel, o=options: backend.max_pool2d(put(x), k, **o)  # noqa: E731
                yield Case(f"{name} {kind.__name__}", call, (output.numpy(), indices.numpy()), (0, 0))
            continue
        upstream = _numbers(rng, output.shape, dtype)
        places, gradient = indices.numpy(), np.zeros(shape)
        for place in np.ndindex(*output.shape):
            h, w = divmod(int(indices[place]), shape[3])
            gradient[place[0], place[1], h, w] += upstream[place]
        bound = np.prod(kernel) * _eps(dtype) * np.abs(upstream).max(initial=0) * np.prod(kernel)
        for window, index in (((), np.int64), ((kernel, stride, padding, dilation), np.int32)):
            call = lambda put, u=upstream, i=places, t=index, s=shape, w=window: (  # noqa: E731
                backend.max_pool2d_backward(put(u), put(i.astype(t)), s, *w),
            )
            yield Case(f"{name} {'window' if window else 'no window'}", call, (gradient,), (bound,))


def _avg_pool2d(op, rng, dtype, small, windows=_WINDOWS):
    for shape, kernel, stride, padding, _, ceil in windows:
        for include, override in ((True, None), (False, None), (True, 5)):
            x = _numbers(rng, shape, dtype)
            leaf = _double(x).requires_grad_()
            output = F.avg_pool2d(leaf, kernel, stride, padding, ceil, include, override)
            upstream = _numbers(rng, output.shape, dtype)
            output.backward(_double(upstream))
            arguments = (kernel, stride, padding, ceil, include, override)
            count = int(np.prod(kernel))
            if op == "avg_pool2d":
                call = lambda put, x=x, a=arguments: (backend.avg_pool2d(put(x), *a),)  # noqa: E731
                bound = (count + 2) * _eps(dtype) * np.abs(x).max(initial=0) * count
                yield Case(f"{shape} {arguments}", call, (_torch(output),), (bound,))
                whole = rng.integers(-(2**50), 2**50, shape)
                call = lambda put, x=whole, a=arguments: (backend.avg_pool2d(put(x), *a),)  # noqa: E731
                wanted = F.avg_pool2d(torch.from_numpy(whole), *arguments).numpy()
                yield Case(f"{shape} {arguments} int64", call, (wanted,), (0,))
            else:
                call = lambda put, u=upstream, s=shape, a=arguments: (  # noqa: E731
                    backend.avg_pool2d_backward(put(u), s, *a),
                )
                bound = (count + 2) * _eps(dtype) * np.abs(upstream).max(initial=0) * count
                yield Case(f"{shape} {arguments}", call, (leaf.grad.numpy(),), (bound,))


# ---------------------------------------------------------------------------------------------------------------------
# Moving elements
# ---------------------------------------------------------------------------------------------------------------------


def permute_case(op, rng, dtype, shape, dims) -> Case:
    x = rng.integers(0, 100, shape).astype(dtype)
    wanted = np.transpose(x, dims)
    return Case(f"{shape} {dims} {np.dtype(dtype)}", lambda put: (backend.permute(put(x), dims),), (wanted,), (0,))


def cat_case(op, rng, dtype, shape, dim, lengths) -> Case:
    parts = [rng.integers(0, 100, (*shape[:dim], length, *shape[dim + 1 :])).astype(dtype) for length in lengths]
    wanted = np.concatenate(parts, dim)
    name = f"{shape} {dim} {lengths} {np.dtype(dtype)}"
    return Case(name, lambda put: (backend.cat([put(part) for part in parts], dim),), (wanted,), (0,))


def narrow_case(op, rng, dtype, shape, dim, start, length) -> Case:
    name = f"{shape} {dim} {start} {length} {np.dtype(dtype)}"
    x = rng.integers(0, 100, shape).astype(dtype)
    inside = tuple(slice(start, start + length) if axis == dim else slice(None) for axis in range(len(shape)))
    part = np.ascontiguousarray(x[inside])
    if op == "narrow":
        return Case(name, lambda put: (backend.narrow(put(x), dim, start, length),), (part,), (0,))
    wanted = np.zeros_like(x)
    wanted[inside] = part
    return Case(name, lambda put: (backend.narrow_backward(put(part), shape, dim, start),), (wanted,), (0,))


def rows_case(op, rng, dtype, shape, count) -> Case:
    index = rng.integers(0, shape[0], count)
    if op == "index_select":
        x = _numbers(rng, shape, dtype)
        return Case(f"{shape} {count}", lambda put: (backend.index_select(put(x), put(index)),), (x[index],), (0,))
    upstream = _numbers(rng, (count, *shape[1:]), dtype)
    wanted, size = np.zeros(shape), np.zeros(shape)
    np.add.at(wanted, index, upstream.astype(np.float64))
    np.add.at(size, index, np.abs(upstream.astype(np.float64)))
    call = lambda put: (backend.index_select_backward(put(upstream), put(index), shape),)  # noqa: E731
    return Case(f"{shape} {count}", call, (wanted,), ((count + 1) * _eps(dtype) * size,))


def _permute(op, rng, dtype, small):
    shapes = [((5, 7), (1, 0)), ((3, 4, 5), (2, 0, 1)), ((2, 3, 4, 5), (0, 2, 3, 1)), ((3, 1, 4), (0, 1, 2))]
    if not small:
        shapes += [((33, 65), (1, 0)), ((3, 40, 37), (0, 2, 1)), ((35, 3, 34), (2, 1, 0))]
    for shape, dims in shapes:
        for kind in (dtype, np.uint8):
            yield permute_case(op, rng, kind, shape, dims)


def _slabs(op, rng, dtype, small):
    for kind in (dtype, np.uint8):
        x, y = (rng.integers(0, 100, shape).astype(kind) for shape in ((3, 7, 5), (3, 4, 5)))
        if op == "cat":
            call = lambda put, x=x, y=y: (backend.cat([put(x), put(y), put(x)], 1),)  # noqa: E731
            yield Case(f"{np.dtype(kind)}", call, (np.concatenate([x, y, x], 1),), (0,))
            continue
        for dim, start, length in ((1, 2, 4), (2, 1, 3), (0, 1, 2), (1, 3, 0)):
            part = np.take(x, range(start, start + length), dim)
            if op == "narrow":
                call = lambda put, x=x, a=(dim, start, length): (backend.narrow(put(x), *a),)  # noqa: E731
                yield Case(f"{np.dtype(kind)} {dim}", call, (part,), (0,))
            else:
                wanted = np.zeros_like(x)
                wanted[tuple(slice(start, start + length) if i == dim else slice(None) for i in range(3))] = part
                call = lambda put, p=part, a=(dim, start): (  # noqa: E731
                    backend.narrow_backward(put(p), (3, 7, 5), *a),
                )
                yield Case(f"{np.dtype(kind)} {dim}", call, (wanted,), (0,))


def _rows(op, rng, dtype, small):
    # The last one: more rows, and more columns, than a block has threads.
    few, many = np.array([4, 0, 4, 2, 4, 0], np.int64), rng.integers(0, 3, 530)
    for shape, index in (((5, 3), few), ((5,), few), ((5, 2, 3), few), ((4, 259), many)):
        if op == "index_select":
            x = _numbers(rng, shape, dtype)
            call = lambda put, x=x, i=index: (backend.index_select(put(x), put(i)),)  # noqa: E731
            yield Case(f"{shape}", call, (x[index],), (0,))
        else:
            upstream = _numbers(rng, (len(index), *shape[1:]), dtype)
            wanted = np.zeros(shape)
            np.add.at(wanted, index, upstream.astype(np.float64))
            call = lambda put, u=upstream, i=index, s=shape: (  # noqa: E731
                backend.index_select_backward(put(u), put(i), s),
            )
            most = np.bincount(index).max()
            yield Case(f"{shape}", call, (wanted,), (most * _eps(dtype) * np.abs(upstream).max() * most,))


# ---------------------------------------------------------------------------------------------------------------------
# Random numbers, batches, SGD
# ---------------------------------------------------------------------------------------------------------------------


def _draws(op, rng, dtype, small, counts=None):
    """The CPU's numbers, bit for bit."""
    draw = getattr(backend, op)
    for count in counts or ((1, 7, 130) if small else (4099,)):
        arguments = ((count,), -1.5, 2.0, int(rng.integers(2**63)), int(rng.integers(2**40)))
        kind = getattr(backend, np.dtype(dtype).name)
        wanted = draw(*arguments, kind, "cpu").numpy()

        def call(put, arguments=arguments, kind=kind):
            return (draw(*arguments, kind, put(np.zeros(1)).device),)

        yield Case(f"{count}", call, (wanted,), (0,))


def _gather_batch(op, rng, dtype, small, shapes=((6, 3, 4, 8), (5, 2, 3, 5)), count=4):
    for shape in shapes:
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        padding = 2
        index = rng.integers(0, shape[0], count)
        mean, std = (np.asarray(rng.uniform(0.3, 0.7, shape[1]), np.float32) for _ in range(2))
        flip, crop = rng.integers(0, 2, count, dtype=np.uint8), rng.integers(0, 2 * padding + 1, (count, 2))
        for flips, crops in ((None, None), (flip, None), (flip, crop)):
            arrays = [images, index, mean, std, flips, crops]

            def call(put, arrays=arrays, padding=0 if crops is None else padding):
                return (backend.gather_batch(*(None if a is None else put(a) for a in arrays), padding=padding),)

            yield Case(f"{shape} {crops is not None}", call, (call(backend.from_numpy)[0].numpy(),), (0,))


def _sgd(op, rng, dtype, small, shapes=((3, 5), (300,), (), (0, 4), (7,))):
    lr, momentum, dampening, decay = (float(dtype(number)) for number in (0.1, 0.9, 0.25, 0.01))
    for nesterov, first, moving in (
        (False, False, True),
        (True, False, True),
        (False, True, True),
        (False, True, False),
    ):
        lists = [[np.asarray(_numbers(rng, shape, dtype)) for shape in shapes] for _ in range(3)]
        damp = 0.0 if nesterov else dampening
        wanted = []
        speeds = []
        for p, g, v in zip(*([a.astype(np.float64) for a in arrays] for arrays in lists), strict=True):
            slope = g + decay * p
            speed = slope if first else momentum * v + (1 - damp) * slope
            direction = slope + momentum * speed if nesterov else speed
            wanted.append(p - lr * (direction if moving else slope))
            speeds.append(speed)

        def call(put, lists=lists, nesterov=nesterov, first=first, moving=moving, damp=damp):
            parameters, gradients, velocities = ([put(a.copy()) for a in arrays] for arrays in lists)
            settings = (lr, momentum if moving else 0.0, damp if moving else 0.0, decay, nesterov, first)
            backend.sgd_step_(parameters, gradients, velocities if moving else [], *settings)
            return (*parameters, *(velocities if moving else []))

        wanted += speeds if moving else []
        bounds = tuple(8 * _eps(dtype) * np.full(np.shape(values), 10.0) for values in wanted)
        yield Case(f"{nesterov} {first} {moving}", call, tuple(wanted), bounds)


MAKERS = dict.fromkeys(_UNARY, _unary)
MAKERS |= dict.fromkeys(("add", "sub", "mul", "div", *_ROUNDED, "pow", "maximum", "minimum"), _binary)
MAKERS |= dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge"), _binary)
MAKERS |= dict.fromkeys(("sum", "mean", "amax", "amin"), _reduction)
MAKERS |= dict.fromkeys(("softmax", "log_softmax", "logsumexp"), _softmax)
MAKERS |= dict.fromkeys(("softmax_backward", "log_softmax_backward"), _softmax_backward)
MAKERS |= dict.fromkeys(("cross_entropy", "cross_entropy_backward"), _cross_entropy)
MAKERS |= dict.fromkeys(("nll_loss", "nll_loss_backward"), _nll_loss)
MAKERS |= dict.fromkeys(("max_pool2d", "max_pool2d_backward"), _max_pool2d)
MAKERS |= dict.fromkeys(("avg_pool2d", "avg_pool2d_backward"), _avg_pool2d)
MAKERS |= dict.fromkeys(("cat", "narrow", "narrow_backward"), _slabs)
MAKERS |= dict.fromkeys(("index_select", "index_select_backward"), _rows)
MAKERS |= dict.fromkeys(("uniform", "normal"), _draws)
MAKERS |= {"relu_backward": _relu_backward, "where": _where, "add_": _add_scaled, "broadcast_to": _broadcast}
MAKERS |= {"fill_": _fill, "astype": _astype, "argmax": _argmax, "permute": _permute, "sgd_step_": _sgd}
MAKERS |= {"reduce_losses": _reduce_losses, "gather_batch": _gather_batch}
