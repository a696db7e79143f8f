"""Convolution and its gradients on a device: every rung against torch in float64, in two orders, and watched."""

import mytensor_backend as backend
import numpy as np
import pytest
from products import ConvCase

import mytensor as mt

RUNGS = [row["name"] for row in backend.kernels("conv2d", "simt")]
BIAS_GRAD_RUNGS = [row["name"] for row in backend.kernels("conv2d_bias_grad", "simt")]

# N, C, O, H, W, kernel, stride, padding, dilation, groups.
GEOMETRIES = [
    (2, 3, 4, 5, 7, (3, 2), (1, 1), (1, 0), (1, 1), 1),
    (3, 3, 6, 32, 32, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # LeNet's two
    (2, 6, 16, 16, 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    (2, 6, 21, 9, 17, (3, 5), (1, 1), (2, 1), (1, 1), 3),
    (2, 4, 6, 13, 15, (3, 2), (1, 1), (2, 1), (2, 3), 2),
    (1, 5, 29, 11, 17, (4, 3), (2, 3), (1, 2), (1, 2), 1),
    (2, 4, 8, 9, 13, (1, 1), (1, 1), (0, 0), (1, 1), 4),  # the kernel sees one pixel
    (1, 1, 1, 1, 1, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # one-pixel image
    (2, 2, 3, 10, 13, (3, 3), (1, 1), (5, 6), (1, 1), 1),  # padding wider than the kernel
    (0, 3, 4, 8, 18, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # empty batch
    (70, 2, 5, 6, 9, (2, 3), (3, 1), (0, 1), (1, 1), 1),  # stride larger than the kernel; more images than slices
    (2, 7, 14, 8, 8, (3, 3), (1, 1), (1, 1), (1, 1), 7),  # depthwise
    (1, 1, 2, 26, 24, (24, 22), (1, 1), (1, 0), (1, 1), 1),  # more taps than direct holds in shared memory
    (1, 65, 70, 6, 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),  # more channels than a tile or a chunk
]
SMALL_GEOMETRIES = [
    (2, 3, 4, 5, 7, (3, 2), (1, 1), (1, 0), (1, 1), 1),
    (2, 4, 6, 5, 9, (3, 2), (2, 1), (2, 1), (2, 3), 2),
    (1, 9, 10, 6, 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_rung_equals_float64(rung, dtype, device, rng):
    for geometry in GEOMETRIES:
        ConvCase(rng, *geometry, dtype).check(device, rung)


@pytest.mark.parametrize("rung", BIAS_GRAD_RUNGS)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_bias_gradient_equals_float64(rung, dtype, device, rng):
    for geometry in GEOMETRIES:
        ConvCase(rng, *geometry, dtype).check_bias_grad(device, rung)


@pytest.mark.parametrize("order", ("ascending", "descending"))
@pytest.mark.parametrize("rung", RUNGS)
def test_a_watched_rung(rung, order, rng):
    with mt.simt.order(order), mt.simt.watch():
        for geometry in SMALL_GEOMETRIES:
            ConvCase(rng, *geometry, np.float32).check("simt", rung)
        ConvCase(rng, *SMALL_GEOMETRIES[0], np.float64).check("simt", rung)


@pytest.mark.parametrize("order", ("ascending", "descending"))
@pytest.mark.parametrize("rung", BIAS_GRAD_RUNGS)
def test_a_watched_bias_gradient(rung, order, rng):
    with mt.simt.order(order), mt.simt.watch():
        for geometry in SMALL_GEOMETRIES:
            ConvCase(rng, *geometry, np.float32).check_bias_grad("simt", rung)


@pytest.mark.parametrize("rung", RUNGS)
def test_the_bits_do_not_depend_on_the_order(rung, rng):
    case = ConvCase(rng, 5, 4, 6, 9, 11, (3, 2), (2, 1), (1, 1), (1, 2), 2, np.float32)
    bits = []
    for order in ("ascending", "descending", "shuffled"):
        with mt.simt.order(order), mt.use_kernel("conv2d", rung):
            bits.append([output.cpu().numpy().tobytes() for output in case.outputs("simt")])
    assert bits[0] == bits[1] == bits[2]


@pytest.mark.parametrize("rung", BIAS_GRAD_RUNGS)
def test_the_bits_of_a_bias_gradient_do_not_depend_on_the_order(rung, rng):
    case = ConvCase(rng, 5, 4, 6, 9, 11, (3, 2), (2, 1), (1, 1), (1, 2), 2, np.float32)
    bits = set()
    for order in ("ascending", "descending", "shuffled"):
        with mt.simt.order(order), mt.use_kernel("conv2d_bias_grad", rung):
            bits.add(case.bias_grad("simt").cpu().numpy().tobytes())
    assert len(bits) == 1


def test_what_32_bits_cannot_count_is_refused(device):
    x, weight = (backend.full((1, 1, 1, 1), 1.0, backend.float32, device) for _ in range(2))
    with pytest.raises(NotImplementedError, match=r"conv2d: the stride is \(1, 536870913\)"):
        backend.conv2d(x, weight, None, (1, 2**29 + 1), (0, 0), (1, 1), 1)
    backend.conv2d(x, weight, None, (1, 2**29), (0, 0), (1, 1), 1)


def test_counts_that_do_not_fit_32_bits_are_refused(device):
    one = backend.full((1, 1, 1, 1), 1.0, backend.float32, device)
    with pytest.raises(NotImplementedError, match="conv2d_weight_grad: 2147483648 elements in a channel's kernel"):
        backend.conv2d_weight_grad(one, one, (1, 1, 2**16, 2**15), (2, 2), (2**15, 2**14))
