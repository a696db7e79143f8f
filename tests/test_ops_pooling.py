"""Max and average pooling against torch, element by element."""

import mytensor_backend as backend
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from arrays import FLOATING, draw, for_all_threads, nd, same

from mytensor.check.comparison import within

pytestmark = pytest.mark.usefixtures("poisoned_memory")

# shape, kernel_size, stride, padding, dilation, ceil_mode
GEOMETRIES = [
    ((2, 3, 32, 32), 2, None, 0, 1, False),
    ((3, 2, 16, 16), 2, 2, 0, 1, False),
    ((2, 3, 7, 11), 2, 2, 0, 1, False),
    ((2, 3, 18, 38), 3, 2, 1, 1, False),  # half as large, by windows that overlap
    ((2, 3, 7, 11), 2, 2, 0, 1, True),
    ((2, 3, 19, 37), (3, 2), (2, 1), (1, 1), 1, False),
    ((1, 2, 21, 35), (2, 5), (1, 2), (1, 2), (3, 2), False),
    ((1, 2, 21, 35), (2, 5), (1, 2), (1, 2), (3, 2), True),
    ((2, 1, 13, 29), 3, 1, 1, 1, False),
    ((2, 1, 23, 50), (3, 4), (3, 3), (0, 2), 1, True),
    ((2, 2, 9, 33), 1, 2, 0, 1, False),
    ((2, 3, 5, 4), (5, 4), None, 0, 1, False),
    ((2, 3, 1, 1), 3, 1, 1, 1, False),
    ((2, 2, 3, 3), 4, 3, 0, 1, True),  # one window, which reaches beyond the input
    ((0, 3, 8, 9), 2, None, 0, 1, False),
]
WITHOUT_DILATION = [geometry for geometry in GEOMETRIES if geometry[4] == 1]


@pytest.fixture(params=("vectorised", "naive"))
def kernel(request):
    backend.select_kernel("max_pool2d", request.param)
    yield
    backend.select_kernel("max_pool2d", None)


def numbers_with(kind, rng, shape, dtype):
    x = draw(rng, shape, dtype)
    if kind == "ties":
        return rng.integers(-2, 2, shape).astype(dtype)
    if kind == "nan":
        x[rng.random(shape) < 0.1] = np.nan
    if kind == "minus infinity":
        x[rng.random(shape) < 0.7] = -np.inf
    if kind == "negative":  # padding by 0 would win
        x = -np.abs(x)
    return x


@pytest.mark.parametrize("short", (False, True), ids=("int64", "int32"))
@pytest.mark.parametrize("kind", ("ties", "nan", "minus infinity", "negative"))
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_max_pool2d(dtype, geometry, kind, short, kernel, rng):
    shape, *window = geometry
    x = numbers_with(kind, rng, shape, dtype)
    output, indices = backend.max_pool2d(nd(x), *window, short_indices=short)
    wanted, wanted_indices = F.max_pool2d(torch.from_numpy(x), *window, return_indices=True)
    same(output, wanted)
    same(indices, wanted_indices.to(torch.int32 if short else torch.int64))


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", (np.uint8, np.int32, np.int64))
def test_max_pool2d_of_integers(dtype, geometry, kernel, rng):
    """Of the whole range, beyond what a double holds; and of few values, for ties; all negative ones besides."""
    shape, *window = geometry
    for x in (
        draw(rng, shape, dtype),
        rng.integers(0, 3, shape).astype(dtype),
        (-2 - rng.integers(0, 3, shape)).astype(dtype),
    ):
        output, indices = backend.max_pool2d(nd(x), *window)
        wanted, wanted_indices = F.max_pool2d(torch.from_numpy(x), *window, return_indices=True)
        same(output, wanted)
        same(indices, wanted_indices)


@pytest.mark.parametrize("divisor_override", (None, 3, -7))
@pytest.mark.parametrize("count_include_pad", (True, False))
@pytest.mark.parametrize("geometry", WITHOUT_DILATION, ids=str)
def test_avg_pool2d_of_int64(geometry, count_include_pad, divisor_override, rng):
    shape, kernel_size, stride, padding, _, ceil_mode = geometry
    arguments = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    x = rng.integers(-(2**57), 2**57, shape)
    same(backend.avg_pool2d(nd(x), *arguments), F.avg_pool2d(torch.from_numpy(x), *arguments))


def test_average_of_the_smallest_integer_by_minus_one():
    x = np.full((1, 1, 3, 20), -(2**63))
    same(backend.avg_pool2d(nd(x), 1, divisor_override=-1), x)


@pytest.mark.parametrize("index", (np.int64, np.int32))
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_max_pool2d_backward(dtype, geometry, index, rng):
    shape, *window = geometry
    x = torch.from_numpy(numbers_with("ties", rng, shape, np.float64)).requires_grad_()
    output, indices = F.max_pool2d(x, *window, return_indices=True)
    upstream = draw(rng, tuple(output.shape), dtype)
    output.backward(torch.from_numpy(upstream.astype(np.float64)), retain_graph=True)
    gradient, x.grad = x.grad, None
    output.backward(torch.from_numpy(np.abs(upstream).astype(np.float64)))
    # At most as many additions as windows cover an element: all elements of the kernel.
    additions = np.prod(np.broadcast_to(window[0], 2))
    bound = additions * np.finfo(dtype).eps * x.grad.numpy()
    within(backend.max_pool2d_backward(nd(upstream), nd(indices.numpy().astype(index)), shape), gradient.numpy(), bound)


@pytest.mark.parametrize("index", (np.int64, np.int32))
@pytest.mark.parametrize("stray", (0, 1, 50))
@pytest.mark.parametrize("dtype", FLOATING)
def test_max_pool2d_backward_goes_where_the_indices_say(dtype, stray, index, rng):
    """Also where outputs point into another's 2x2 window, which no forward pass of 2x2 windows would say."""
    planes, height, width = 6, 8, 44
    upstream = draw(rng, (2, 3, height // 2, width // 2), dtype)
    rows, columns = np.mgrid[0 : height // 2, 0 : width // 2]
    corner = rng.integers(0, 2, (2, *upstream.shape))
    indices = (2 * rows + corner[0]) * width + 2 * columns + corner[1]
    indices.reshape(-1)[rng.choice(indices.size, stray, replace=False)] = rng.integers(0, height * width, stray)
    wanted, magnitude = np.zeros((2, planes, height * width))
    flat = (np.arange(planes)[:, None], indices.reshape(planes, -1))
    np.add.at(wanted, flat, upstream.reshape(planes, -1))
    np.add.at(magnitude, flat, np.abs(upstream.reshape(planes, -1)))
    indices = indices.astype(index)
    gradient = backend.max_pool2d_backward(nd(upstream), nd(indices), (2, 3, height, width))
    within(gradient.reshape((planes, -1)), wanted, 50 * np.finfo(dtype).eps * magnitude)
    beyond_32_bits = (2**32 + 1,) if index == np.int64 else ()  # 1 in its lower 32 bits
    for wrong in (height * width, -1, *beyond_32_bits):
        outside = indices.copy()
        outside[1, 2, 0, 0] = wrong
        with pytest.raises(IndexError, match=f"not below {height * width}"):
            backend.max_pool2d_backward(nd(upstream), nd(outside), (2, 3, height, width))


@pytest.mark.parametrize("divisor_override", (None, 3, -7))
@pytest.mark.parametrize("count_include_pad", (True, False))
@pytest.mark.parametrize("geometry", WITHOUT_DILATION, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_avg_pool2d(dtype, geometry, count_include_pad, divisor_override, rng):
    shape, kernel_size, stride, padding, _, ceil_mode = geometry
    arguments = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    values = draw(rng, shape, dtype)

    def reference(array, backward_of=None):
        x = torch.from_numpy(array.astype(np.float64)).requires_grad_()
        output = F.avg_pool2d(x, *arguments)
        if backward_of is None:
            return output.detach().numpy()
        output.backward(torch.from_numpy(backward_of.astype(np.float64)))
        return x.grad.numpy()

    # A sum over the kernel's elements at most, and a division; the same number of additions on the way back.
    eps = (np.prod(np.broadcast_to(kernel_size, 2)) + 1) * np.finfo(dtype).eps
    wanted = reference(values)
    within(backend.avg_pool2d(nd(values), *arguments), wanted, eps * np.abs(reference(np.abs(values))))
    upstream = draw(rng, wanted.shape, dtype)
    bound = eps * np.abs(reference(values, np.abs(upstream)))
    within(backend.avg_pool2d_backward(nd(upstream), shape, *arguments), reference(values, upstream), bound)


def test_nan_and_infinity_in_averages(rng):
    x = draw(rng, (2, 3, 9, 21), np.float32)
    x[0, 1, 4, 5], x[1, 2, 3, 4], x[1, 2, 3, 5] = np.nan, np.inf, -np.inf
    ours = backend.avg_pool2d(nd(x), (2, 3), 1, 1).numpy()
    theirs = F.avg_pool2d(torch.from_numpy(x), (2, 3), 1, 1).numpy()
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
    np.testing.assert_array_equal(ours[~np.isfinite(theirs)], theirs[~np.isfinite(theirs)])


def test_threads(kernel, rng):
    x = nd(draw(rng, (5, 7, 33, 29), np.float32))
    output, indices = backend.max_pool2d(x, 3, 2, 1)
    upstream = nd(draw(rng, output.shape, np.float32))
    for i in range(2):
        for_all_threads(lambda i=i: backend.max_pool2d(x, 3, 2, 1)[i])
    for_all_threads(lambda: backend.max_pool2d_backward(upstream, indices, x.shape))
    for_all_threads(lambda: backend.avg_pool2d(x, 3, 2, 1))
    for_all_threads(lambda: backend.avg_pool2d_backward(upstream, x.shape, 3, 2, 1))


def test_errors():
    x = nd(np.zeros((2, 3, 4, 5), np.float32))
    for pool in (backend.max_pool2d, backend.avg_pool2d):
        with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
            pool(nd(np.zeros((3, 4, 5), np.float32)), 2)
        with pytest.raises(ValueError, match="kernel_size"):
            pool(x, 0)
        with pytest.raises(ValueError, match="stride"):
            pool(x, 2, (1, 0))
        with pytest.raises(ValueError, match="at most half"):
            pool(x, 3, 1, 2)
        with pytest.raises(ValueError, match="covers 6 elements"):
            pool(x, (2, 6))
        with pytest.raises(ValueError, match="may be empty"):
            pool(nd(np.zeros((2, 3, 0, 5), np.float32)), 2)
    for dtype in (np.uint8, np.int32):
        with pytest.raises(TypeError, match="wanted float32, float64 or int64"):
            backend.avg_pool2d(nd(np.zeros((2, 3, 4, 5), dtype)), 2)
    with pytest.raises(ValueError, match="nothing but padding"):
        backend.max_pool2d(nd(np.zeros((1, 1, 2, 2), np.float32)), 2, 1, 1, 3)
    with pytest.raises(ValueError, match="divisor_override"):
        backend.avg_pool2d(x, 2, divisor_override=0)

    upstream, indices = nd(np.ones((2, 3, 2, 2), np.float32)), np.zeros((2, 3, 2, 2), np.int64)
    for wrong in (20, -1, 2**40):
        indices[1, 2, 1, 0] = wrong
        with pytest.raises(IndexError, match="not below 20"):
            backend.max_pool2d_backward(upstream, nd(indices), x.shape)
    with pytest.raises(ValueError, match="indices"):
        backend.max_pool2d_backward(upstream, nd(indices[:1]), x.shape)
    with pytest.raises(TypeError, match="int64"):
        backend.max_pool2d_backward(upstream, nd(indices.astype(np.float32)), x.shape)
    with pytest.raises(ValueError, match="batch and channels"):
        backend.max_pool2d_backward(upstream, nd(indices), (3, 2, 4, 5))
    with pytest.raises(ValueError, match=r"\(2, 3, 3, 4\)"):
        backend.avg_pool2d_backward(upstream, x.shape, 2, 1)
