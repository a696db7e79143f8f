"""conv2d and its gradients, im2col, col2im: every kernel of their tables against torch in float64, by element."""

import secrets

import mytensor_backend as backend
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mytensor import check

# batch, in and out channels, height, width, kernel, stride, padding, dilation, groups. Rows are longer and shorter than
# a vector (2 to 16 elements), a multiple of it and not; output channels fill one tile, several, and part of one.
GEOMETRIES = [
    (2, 3, 4, 5, 7, (3, 2), (1, 1), (1, 0), (1, 1), 1),
    (3, 3, 6, 32, 32, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (5, 6, 16, 16, 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 6, 21, 19, 37, (3, 5), (1, 1), (2, 1), (1, 1), 3),
    (2, 4, 6, 13, 35, (3, 2), (1, 1), (2, 1), (2, 3), 2),
    (1, 5, 29, 11, 17, (4, 3), (2, 3), (1, 2), (1, 2), 1),
    (2, 4, 8, 9, 23, (1, 1), (1, 1), (0, 0), (1, 1), 4),  # the kernel sees one pixel
    (1, 1, 1, 1, 1, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # one-pixel image
    (2, 2, 3, 20, 33, (3, 3), (1, 1), (5, 6), (1, 1), 1),  # padding wider than the kernel
    (0, 3, 4, 8, 18, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # empty batch
    (19, 2, 15, 6, 9, (2, 3), (3, 1), (0, 1), (1, 1), 1),  # stride larger than the kernel; more images than slots
    (2, 7, 14, 28, 28, (3, 3), (1, 1), (1, 1), (1, 1), 7),  # depthwise
]
DTYPES = [np.float32, np.float64]


def kernels(op):
    return [row["name"] for row in backend.kernels(op) if row["device"] == "cpu"]


@pytest.fixture(autouse=True)
def poisoned_memory():
    """New arrays are NaN between red zones; default kernels and thread number afterwards."""
    mode, threads = backend.memory_mode(), backend.get_num_threads()
    backend.set_memory_mode("debug")
    yield
    backend.check_red_zones()
    backend.set_memory_mode(mode)
    backend.set_num_threads(threads)
    for op in ("conv2d", "im2col"):
        backend.select_kernel(op, None)


@pytest.fixture
def rng():
    """Fresh random numbers; the seed is in the output of a test that fails."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def nd(array):
    return backend.from_numpy(np.ascontiguousarray(array))


def torch_conv(x, weight, bias, upstream, geometry):
    """Output and gradients of input, weight and bias, in float64."""
    leaves = [torch.tensor(array.astype(np.float64), requires_grad=True) for array in (x, weight, bias)]
    output = F.conv2d(*leaves, *geometry)
    output.backward(torch.tensor(upstream.astype(np.float64)))
    return [output.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


def our_conv(x, weight, bias, upstream, geometry):
    x, weight, bias, upstream = nd(x), nd(weight), nd(bias), nd(upstream)
    return [
        backend.conv2d(x, weight, bias, *geometry),
        backend.conv2d_input_grad(upstream, weight, x.shape, *geometry),
        backend.conv2d_weight_grad(upstream, x, weight.shape, *geometry),
        backend.conv2d_bias_grad(upstream),
    ]


def draw_conv(rng, dtype, n, c, o, h, w, kernel, stride, padding, dilation, groups):
    """input, weight, bias, upstream, and the rest of the arguments."""
    x, weight, bias = (rng.standard_normal(s).astype(dtype) for s in [(n, c, h, w), (o, c // groups, *kernel), (o,)])
    geometry = (stride, padding, dilation, groups)
    shape = F.conv2d(torch.empty(x.shape), torch.empty(weight.shape), None, *geometry).shape
    return (x, weight, bias, rng.standard_normal(shape).astype(dtype)), geometry


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", GEOMETRIES, ids=str)
@pytest.mark.parametrize("kernel", kernels("conv2d"))
def test_conv2d_and_gradients(kernel, case, dtype, rng):
    backend.select_kernel("conv2d", kernel)
    arrays, geometry = draw_conv(rng, dtype, *case)
    wanted = torch_conv(*arrays, geometry)
    magnitudes = torch_conv(*(np.abs(array) for array in arrays), geometry)
    weight, upstream = arrays[1], arrays[3]
    taps, pixels = weight[0].size, upstream[:, 0].size
    lengths = [taps + 1, weight[:, 0].size + 1, pixels + 1, pixels + 1]
    by_threads = {}
    for threads in (1, 2, 3):
        backend.set_num_threads(threads)
        by_threads[threads] = our_conv(*arrays, geometry)
    names = ["output", "input gradient", "weight gradient", "bias gradient"]
    for name, got, want, magnitude, length in zip(names, by_threads[1], wanted, magnitudes, lengths, strict=True):
        check.close(got, want, reduction_length=length, magnitude=magnitude, dtype=dtype, name=name)
    for threads in (2, 3):
        for name, got, want in zip(names, by_threads[threads], by_threads[1], strict=True):
            check.equal(got, want, name=f"{name} with {threads} threads")


@pytest.mark.parametrize("kernel", kernels("conv2d"))
def test_nan_and_infinity_stay_in_their_sums(kernel, rng):
    """A NaN at the right edge of rows that are not whole vectors: in the results that use it, and in no others.

    The infinity is away from the edge: infinity times the zeros of the padding is NaN where they are multiplied, and
    nothing where a kernel skips them.
    """
    backend.select_kernel("conv2d", kernel)
    case = (2, 2, 3, 4, 28, (3, 3), (1, 1), (1, 1), (1, 1), 1)
    (x, weight, bias, upstream), geometry = draw_conv(rng, np.float32, *case)
    x[1, 0, 2, -1], upstream[0, 1, 2, 13] = np.nan, np.inf
    wanted = torch_conv(x, weight, bias, upstream, geometry)
    for got, want in zip(our_conv(x, weight, bias, upstream, geometry), wanted, strict=True):
        np.testing.assert_array_equal(np.isfinite(got.numpy()), np.isfinite(want))


def test_padding_defaults_to_half_the_kernel(rng):
    x, weight = rng.standard_normal((2, 3, 9, 11)), rng.standard_normal((4, 3, 5, 3))
    check.equal(backend.conv2d(nd(x), nd(weight)), backend.conv2d(nd(x), nd(weight), padding=(2, 1)))


@pytest.mark.parametrize("case", [case for case in GEOMETRIES if case[0] > 0], ids=str)
@pytest.mark.parametrize("kernel", kernels("im2col"))
def test_im2col_and_col2im(kernel, case, rng):
    backend.select_kernel("im2col", kernel)
    n, c, _, h, w, size, stride, padding, dilation, _ = case
    x = rng.standard_normal((n, c, h, w))
    wanted = F.unfold(torch.tensor(x), size, dilation, padding, stride).numpy()
    check.equal(backend.im2col(nd(x), size, dilation, padding, stride), wanted)
    columns = rng.standard_normal(wanted.shape)
    image, magnitude = (
        F.fold(torch.tensor(a), (h, w), size, dilation, padding, stride).numpy() for a in (columns, np.abs(columns))
    )
    got = backend.col2im(nd(columns), (h, w), size, dilation, padding, stride)
    check.close(got, image, reduction_length=size[0] * size[1], magnitude=magnitude)


@pytest.mark.parametrize("kernel", kernels("im2col"))
def test_im2col_of_an_empty_batch(kernel):
    backend.select_kernel("im2col", kernel)
    columns = backend.im2col(nd(np.zeros((0, 2, 5, 4))), (3, 2))
    assert columns.shape == (0, 12, 9)
    assert backend.col2im(columns, (5, 4), (3, 2)).shape == (0, 2, 5, 4)


def ones(*shape, dtype=np.float32):
    return nd(np.ones(shape, dtype))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: backend.conv2d(ones(3, 8, 8), ones(4, 3, 3, 3)), ValueError, "N, C, H, W"),
        (lambda: backend.conv2d(ones(1, 3, 8, 8), ones(3, 3)), ValueError, "out_channels"),
        (lambda: backend.conv2d(ones(1, 2, 8, 8), ones(4, 3, 3, 3)), ValueError, "2 channels"),
        (lambda: backend.conv2d(ones(1, 4, 8, 8), ones(6, 4, 3, 3), groups=2), ValueError, "groups 2"),
        (lambda: backend.conv2d(ones(1, 4, 8, 8), ones(5, 2, 3, 3), groups=2), ValueError, "share"),
        (lambda: backend.conv2d(ones(1, 4, 8, 8), ones(5, 4, 3, 3), groups=0), ValueError, "groups"),
        (lambda: backend.conv2d(ones(1, 3, 8, 8), ones(4, 3, 3, 3), ones(3)), ValueError, "bias"),
        (lambda: backend.conv2d(ones(1, 3, 8, 8), ones(4, 3, 3, 3, dtype=np.float64)), TypeError, "float64"),
        (lambda: backend.conv2d(ones(1, 3, 8, 8, dtype=np.int64), ones(4, 3, 3, 3)), TypeError, "int64"),
        (lambda: backend.conv2d(ones(1, 3, 4, 4), ones(4, 3, 5, 7), padding=1), ValueError, "covers 7"),
        (lambda: backend.conv2d(ones(1, 0, 4, 4), ones(4, 0, 3, 3)), ValueError, "at least 1"),
        (lambda: backend.conv2d(ones(1, 3, 0, 4), ones(4, 3, 3, 3)), ValueError, "only the batch may be empty"),
        (lambda: backend.conv2d(ones(1, 3, 4, 4), ones(4, 3, 3, 3), stride=0), ValueError, "stride"),
        (lambda: backend.conv2d(ones(1, 3, 4, 4), ones(4, 3, 3, 3), padding=-1), ValueError, "padding"),
        (lambda: backend.conv2d(ones(1, 3, 4, 4), ones(4, 3, 3, 3), dilation=(1, 0)), ValueError, "dilation"),
        (lambda: backend.conv2d(ones(1, 3, 4, 4), ones(4, 3, 3, 3), padding=2**40), ValueError, "larger than"),
        (lambda: backend.conv2d_input_grad(ones(1, 4, 5, 4), ones(4, 3, 3, 3), (1, 3, 4, 4)), ValueError, "upstream"),
        (lambda: backend.conv2d_input_grad(ones(1, 4, 4, 4), ones(4, 3, 3, 3), (-1, 3, 4, 4)), ValueError, "input"),
        (lambda: backend.conv2d_weight_grad(ones(1, 4, 5, 4), ones(1, 3, 4, 4), (4, 3, 3, 3)), ValueError, "upstream"),
        (lambda: backend.conv2d_bias_grad(ones(4, 5, 4)), ValueError, "out_channels"),
        (lambda: backend.im2col(ones(1, 3, 4, 4), 5), ValueError, "covers 5"),
        (lambda: backend.im2col(ones(1, 3, 4, 4), 0), ValueError, "kernel_size"),
        (lambda: backend.col2im(ones(1, 10, 4), (3, 3), 2), ValueError, "multiple"),
        (lambda: backend.col2im(ones(1, 12, 5), (3, 3), 2), ValueError, "5 windows"),
        (lambda: backend.col2im(ones(1, 12, 4), (0, 3), 2), ValueError, "output_size"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
