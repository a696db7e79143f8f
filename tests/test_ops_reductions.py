"""Reductions against float64, element by element."""

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import DTYPES, FLOATING, draw, for_all_threads, nd, same

from mytensor.check.comparison import within

pytestmark = pytest.mark.usefixtures("poisoned_memory")

CASES = [
    ((3, 5, 7, 11), None),
    ((3, 5, 7, 11), (0, 2, 3)),
    ((3, 5, 7, 11), (1, 3)),
    ((3, 5, 7, 11), (0, 2)),
    ((3, 5, 7, 11), (-1,)),
    ((3, 5, 7, 11), 0),
    ((3, 1, 7, 1), (1, 2)),
    ((5, 1), (1,)),
    ((), None),
    ((1,), (0,)),
    ((9001,), None),
    ((3, 9001), (1,)),
    ((9001, 3), (0,)),
    ((1030, 301), (0,)),
    ((70, 3, 130), (0, 2)),
    ((0, 3), (1,)),
]


def as_axes(dims, ndim):
    return tuple(range(ndim)) if dims is None else dims


@pytest.mark.parametrize("keepdim", (False, True))
@pytest.mark.parametrize("shape, dims", CASES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_sum_and_mean(dtype, shape, dims, keepdim, rng):
    x = draw(rng, shape, dtype)
    axes = as_axes(dims, x.ndim)
    exact, magnitude = (v.astype(np.longdouble).sum(axes, keepdims=keepdim) for v in (x, np.abs(x)))
    count = max(x.size // max(exact.size, 1), 1)
    # The bound in csrc/cpu/reduction.cpp, and the last rounding.
    summation = (4096 + np.log2(count) + 1) * np.finfo(np.float64).eps
    bound = np.asarray(summation * magnitude + np.finfo(dtype).eps * np.abs(exact), np.float64)
    within(backend.sum(nd(x), dims, keepdim), np.asarray(exact, np.float64), bound)
    within(backend.mean(nd(x), dims, keepdim), np.asarray(exact / count, np.float64), 2 * bound / count)


@pytest.mark.parametrize("shape, dims", CASES, ids=str)
@pytest.mark.parametrize("dtype", (np.int64, np.int32, np.uint8))
def test_sum_of_integers(dtype, shape, dims, rng):
    x = draw(rng, shape, dtype)
    same(backend.sum(nd(x), dims), torch.sum(torch.from_numpy(x), as_axes(dims, x.ndim)))


@pytest.mark.parametrize("keepdim", (False, True))
@pytest.mark.parametrize("shape, dims", CASES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_amax_and_amin(dtype, shape, dims, keepdim, rng):
    x = draw(rng, shape, dtype)
    axes = as_axes(dims, x.ndim)
    same(backend.amax(nd(x), dims, keepdim), x.max(axes, keepdims=keepdim))
    same(backend.amin(nd(x), dims, keepdim), x.min(axes, keepdims=keepdim))


@pytest.mark.parametrize("shape", ((3, 5, 7, 11), (9001,), (2, 600), (600, 2), (1,), (5, 0)))
@pytest.mark.parametrize("dtype", DTYPES)
def test_argmax(dtype, shape, rng):
    x = draw(rng, shape, dtype)
    ties = rng.integers(0, 3, shape).astype(dtype)
    for dim, length in enumerate(shape):
        if length == 0:
            continue
        for array in (x, ties):  # numpy, too, takes the first of equal ones
            same(backend.argmax(nd(array), dim), np.argmax(array, dim))
            same(backend.argmax(nd(array), dim - len(shape), True), np.argmax(array, dim, keepdims=True))


@pytest.mark.parametrize("dtype", FLOATING)
def test_nan_and_infinity(dtype, rng):
    x = draw(rng, (7, 5, 40), dtype)
    x[1, 2, 3] = x[1, 2, 30] = x[6, 4, 39] = x[0, 0, 0] = np.nan
    x[3, 3, 3], x[3, 3, 5], x[4] = np.inf, -np.inf, -np.inf
    tensor = torch.from_numpy(x)
    for dim in range(3):
        same(backend.amax(nd(x), dim), torch.amax(tensor, dim))
        same(backend.amin(nd(x), dim), torch.amin(tensor, dim))
        same(backend.argmax(nd(x), dim), torch.argmax(tensor, dim))
        for op in ("sum", "mean"):
            ours = getattr(backend, op)(nd(x), dim).numpy()
            theirs = getattr(torch, op)(tensor, dim).numpy()
            np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
            np.testing.assert_array_equal(ours[~np.isfinite(ours)], theirs[~np.isfinite(theirs)])


def test_nothing_to_reduce():
    nothing = nd(np.zeros((3, 0, 5), np.float32))
    same(backend.sum(nothing, 1), np.zeros((3, 5), np.float32))
    same(backend.sum(nothing), np.float32(0))
    same(backend.sum(nothing, 0), np.zeros((0, 5), np.float32))
    same(backend.mean(nothing, 1), np.full((3, 5), np.nan, np.float32))
    same(backend.amax(nothing, 0), np.zeros((0, 5), np.float32))
    same(backend.argmax(nothing, 0), np.zeros((0, 5), np.int64))
    for op in (backend.amax, backend.amin, backend.argmax):
        with pytest.raises(ValueError, match="no elements"):
            op(nothing, 1)
    with pytest.raises(ValueError):
        backend.amax(nothing)


def test_errors():
    x = nd(np.zeros((2, 3), np.float32))
    with pytest.raises(IndexError, match="dimension 2"):
        backend.sum(x, 2)
    with pytest.raises(ValueError, match="twice"):
        backend.sum(x, (1, -1))
    with pytest.raises(TypeError):
        backend.mean(nd(np.zeros(3, np.int64)))
    with pytest.raises(IndexError):
        backend.argmax(x, -3)
    with pytest.raises(IndexError):
        backend.argmax(nd(np.float32(1)), 0)
    for shape in ((3, 3), (2,), (1, 2, 3)):
        with pytest.raises(ValueError):
            backend.sum_to_shape(x, shape)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize(
    "shape, target",
    [
        ((4, 3, 5), (3, 1)),
        ((4, 3, 5), (5,)),
        ((4, 3, 5), ()),
        ((4, 3, 5), (4, 3, 5)),
        ((4, 3, 5), (4, 1, 5)),
        ((0, 3), (1, 3)),
    ],
)
def test_sum_to_shape_is_the_adjoint_of_broadcast_to(dtype, shape, target, rng):
    leaf = torch.zeros(target, dtype=torch.float64, requires_grad=True)
    upstream = draw(rng, shape, dtype)
    leaf.broadcast_to(shape).backward(torch.from_numpy(upstream.astype(np.float64)))
    count = max(upstream.size, 1)
    within(
        backend.sum_to_shape(nd(upstream), target),
        leaf.grad.numpy(),
        count * np.finfo(dtype).eps * max(np.abs(upstream).sum(), 1),
    )


def test_accuracy_of_long_sums():
    x = np.full(3_000_001, 0.1, np.float32)
    exact = 3_000_001 * float(np.float32(0.1))
    assert abs(float(backend.sum(nd(x)).item()) - exact) <= np.finfo(np.float32).eps * exact


def test_same_bits_for_any_number_of_threads(rng):
    x = nd(draw(rng, (130, 17, 300), np.float32))
    for dims in (None, 0, 1, 2, (0, 2), (0, 1)):
        for op in (backend.sum, backend.mean, backend.amax):
            for_all_threads(lambda op=op, dims=dims: op(x, dims))
    for_all_threads(lambda: backend.argmax(x, 1))
