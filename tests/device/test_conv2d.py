"""Convolution and its gradients on a device: every rung against torch in float64, in two orders, and watched."""

import secrets

import mytensor_backend as backend
import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
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


@st.composite
def geometries(draw):
    """Small, odd, height and width apart; the kernel fits."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, padding, dilation = pair(1, 4), pair(1, 3), pair(0, 4), pair(1, 3)
    sizes = []
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        smallest = max(d * (k - 1) + 1 - 2 * p, 1)
        sizes.append(draw(st.integers(smallest, smallest + 7)))
    groups = draw(st.integers(1, 3))
    channels = [groups * draw(st.integers(1, 5)) for _ in range(2)]
    return (draw(st.integers(0, 3)), *channels, *sizes, kernel, stride, padding, dilation, groups)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_rung_equals_float64(rung, dtype, device, rng):
    for geometry in GEOMETRIES:
        ConvCase(rng, *geometry, dtype).check(device, rung)


@pytest.mark.parametrize("rung", BIAS_GRAD_RUNGS)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_bias_gradient_equals_float64(rung, dtype, device, rng):
    for geometry in GEOMETRIES:
        ConvCase(rng, *geometry, dtype).check(device, "naive", rung)


@pytest.mark.parametrize("rung", RUNGS)
def test_geometries_drawn_by_chance(rung, device, rng):
    @seed(secrets.randbits(32))
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(geometries())
    def equals_float64(geometry):
        ConvCase(rng, *geometry, np.float32).check(device, rung)

    equals_float64()


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
            ConvCase(rng, *geometry, np.float32).check("simt", "naive", rung)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("bias_grad_rung", BIAS_GRAD_RUNGS)
def test_the_bits_do_not_depend_on_the_order(rung, bias_grad_rung, rng):
    case = ConvCase(rng, 5, 4, 6, 9, 11, (3, 2), (2, 1), (1, 1), (1, 2), 2, np.float32)
    bits = []
    for order in ("ascending", "descending", "shuffled"):
        with mt.simt.order(order), mt.use_kernel("conv2d", rung), mt.use_kernel("conv2d_bias_grad", bias_grad_rung):
            bits.append([output.cpu().numpy().tobytes() for output in case.outputs("simt")])
    assert bits[0] == bits[1] == bits[2]


def test_what_32_bits_cannot_count_is_refused(device):
    x, weight = (backend.full((1, 1, 1, 1), 1.0, backend.float32, device) for _ in range(2))
    with pytest.raises(NotImplementedError, match=r"conv2d: the stride is \(1, 536870913\)"):
        backend.conv2d(x, weight, None, (1, 2**29 + 1), (0, 0), (1, 1), 1)
    backend.conv2d(x, weight, None, (1, 2**29), (0, 0), (1, 1), 1)
