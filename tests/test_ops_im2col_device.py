"""im2col, col2im and fill of the .cu files: every rung, on the emulator (watched) and on a GPU where there is one."""

from __future__ import annotations

import contextlib
import secrets

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import mytensor as mt

DEVICES = [
    device for device, is_there in (("simt", not mt.simt.problem()), ("cuda", backend.cuda_info()["gpus"])) if is_there
]
KERNELS = [(device, row["name"]) for device in DEVICES for row in backend.kernels("im2col", device)]

if not DEVICES:
    pytest.skip(f"no device for the .cu files: {mt.simt.problem()}", allow_module_level=True)


@st.composite
def geometries(draw):
    """(N, C, H, W), kernel, dilation, padding, stride: small, odd, height and width apart; the kernel fits."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, dilation, padding, stride = pair(1, 4), pair(1, 3), pair(0, 4), pair(1, 3)
    sizes = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        smallest = max(d * (k - 1) + 1 - 2 * p, 1)
        sizes.append(draw(st.integers(smallest, smallest + 7)))
    return (draw(st.integers(0, 3)), draw(st.integers(1, 4)), *sizes), kernel, dilation, padding, stride


def in_orders(device):
    """On the emulator, a with-block for each of two orders of the threads; on a GPU, one that changes nothing."""
    if device != "simt":
        return [contextlib.nullcontext]
    return [lambda: mt.simt.order("ascending"), lambda: mt.simt.order("descending")]


def watched(device):
    return mt.simt.watch() if device == "simt" else contextlib.nullcontext()


@contextlib.contextmanager
def debug_memory():
    """Outputs hold NaN before the kernel runs."""
    before = backend.memory_mode()
    backend.set_memory_mode("debug")
    try:
        yield
    finally:
        backend.set_memory_mode(before)


def compare(device, kernel, geometry, dtype, rng):
    """Both directions against torch: im2col moves elements, so exactly; col2im adds up to kh * kw of them."""
    shape, size, dilation, padding, stride = geometry
    x = rng.normal(size=shape).astype(dtype)
    with mt.use_kernel("im2col", kernel), watched(device), debug_memory():
        columns = backend.im2col(backend.from_numpy(x).to(device), size, dilation, padding, stride).cpu().numpy()
        wanted = unfold(x, size, dilation, padding, stride)
        np.testing.assert_array_equal(columns, wanted, strict=True)

        upstream = rng.normal(size=columns.shape).astype(dtype)
        image = backend.from_numpy(upstream).to(device)
        image = backend.col2im(image, shape[2:], size, dilation, padding, stride).cpu().numpy()
    exact = fold(upstream.astype(np.float64), shape, size, dilation, padding, stride)
    total = fold(np.abs(upstream).astype(np.float64), shape, size, dilation, padding, stride)
    bound = size[0] * size[1] * np.finfo(dtype).eps * total
    assert image.shape == exact.shape and np.isfinite(image).all()
    assert (np.abs(image - exact) <= bound).all()


def unfold(x, size, dilation, padding, stride):
    rows = x.shape[1] * size[0] * size[1]
    if x.shape[0] == 0:  # torch takes no empty batch here
        windows = torch.nn.functional.unfold(torch.zeros(1, *x.shape[1:]), size, dilation, padding, stride).shape[2]
        return np.zeros((0, rows, windows), x.dtype)
    return torch.nn.functional.unfold(torch.from_numpy(x), size, dilation, padding, stride).numpy()


def fold(columns, shape, size, dilation, padding, stride):
    if shape[0] == 0:
        return np.zeros(shape)
    return torch.nn.functional.fold(torch.from_numpy(columns), shape[2:], size, dilation, padding, stride).numpy()


@pytest.mark.parametrize(("device", "kernel"), KERNELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_rung_agrees_with_torch(device, kernel, dtype):
    run_seed = secrets.randbits(32)
    print(f"seed {run_seed}")
    rng = np.random.default_rng(run_seed)

    @seed(run_seed)
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(geometries())
    def check(geometry):
        for in_order in in_orders(device):
            with in_order():
                compare(device, kernel, geometry, dtype, rng)

    for in_order in in_orders(device):
        with in_order():
            # Several blocks, and a last one that is not full.
            compare(device, kernel, ((2, 3, 13, 11), (3, 2), (2, 1), (4, 1), (1, 2)), dtype, rng)
    check()


@pytest.mark.parametrize("device", DEVICES)
def test_gather_gives_the_same_bits_in_every_order(device, rng):
    columns = backend.from_numpy(rng.normal(size=(2, 27, 49)).astype(np.float32)).to(device)
    results = set()
    for order in ("ascending", "descending", "shuffled") if device == "simt" else ("",) * 3:
        with mt.simt.order(order) if order else contextlib.nullcontext():
            results.add(backend.col2im(columns, 7, 3, 1, 1, 1).cpu().numpy().tobytes())
    assert len(results) == 1


@pytest.mark.parametrize(("device", "kernel"), KERNELS)
def test_gradients_reach_the_cpu(device, kernel, rng):
    x = mt.tensor(rng.normal(size=(2, 2, 6, 5)), requires_grad=True)
    with mt.use_kernel("im2col", kernel):
        columns = mt.nn.functional.unfold(x.to(device), (2, 3), padding=1)
        upstream = rng.normal(size=columns.shape)
        columns.backward(mt.tensor(upstream, device=device))
    wanted = fold(upstream, (2, 2, 6, 5), (2, 3), (1, 1), (1, 1), (1, 1))
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8])
def test_fill(device, dtype):
    with watched(device):
        array = backend.full((3, 100), 7, getattr(backend, np.dtype(dtype).name), device)
        np.testing.assert_array_equal(array.cpu().numpy(), np.full((3, 100), 7, dtype), strict=True)
        backend.fill_(array, 9)
        assert array.version == 1 and set(array.cpu().numpy().ravel()) == {9}
        assert backend.full((0, 3), 1.0, backend.float32, device).shape == (0, 3)
