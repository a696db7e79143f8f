"""im2col, col2im and fill on a device: every rung, on the emulator watched and in two orders of the threads.

Shapes drawn by chance: test_drawn.py.
"""

import contextlib

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from products import Im2colCase

import mytensor as mt

RUNGS = [row["name"] for row in backend.kernels("im2col", "simt")]

# (N, C, H, W), kernel, dilation, padding, stride.
GEOMETRIES = [
    ((2, 3, 13, 11), (3, 2), (2, 1), (4, 1), (1, 2)),  # several blocks, and a last one that is not full
    ((3, 2, 6, 9), (2, 3), (2, 1), (1, 2), (1, 3)),
    ((1, 1, 1, 1), (3, 1), (1, 1), (1, 0), (1, 1)),  # one-pixel image
    ((2, 1, 4, 3), (2, 2), (1, 1), (3, 4), (2, 1)),  # padding wider than the kernel
    ((0, 2, 5, 4), (3, 2), (1, 1), (1, 0), (1, 1)),  # empty batch
]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rung_equals_float64(rung, dtype, device, rng):
    for geometry in GEOMETRIES:
        Im2colCase(rng, *geometry, dtype).check(device, rung)


@pytest.mark.parametrize("order", ("ascending", "descending"))
@pytest.mark.parametrize("rung", RUNGS)
def test_a_watched_rung(rung, order, rng):
    with mt.simt.order(order), mt.simt.watch():
        for geometry in GEOMETRIES:
            Im2colCase(rng, *geometry, np.float32).check("simt", rung)


def test_gather_gives_the_same_bits_in_every_order(device, rng):
    columns = backend.from_numpy(rng.normal(size=(2, 27, 49)).astype(np.float32)).to(device)
    results = set()
    for order in ("ascending", "descending", "shuffled") if device == "simt" else ("",) * 3:
        with mt.simt.order(order) if order else contextlib.nullcontext():
            results.add(backend.col2im(columns, 7, 3, 1, 1, 1).cpu().numpy().tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("rung", RUNGS)
def test_gradients_reach_the_cpu(rung, device, rng):
    x = mt.tensor(rng.normal(size=(2, 2, 6, 5)), requires_grad=True)
    with mt.use_kernel("im2col", rung):
        columns = mt.nn.functional.unfold(x.to(device), (2, 3), padding=1)
        upstream = rng.normal(size=columns.shape)
        columns.backward(mt.tensor(upstream, device=device))
    wanted = torch.nn.functional.fold(torch.from_numpy(upstream), (6, 5), (2, 3), padding=1).numpy()
    np.testing.assert_allclose(x.grad.numpy(), wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8])
def test_fill(device, dtype):
    with mt.simt.watch():
        array = backend.full((3, 100), 7, getattr(backend, np.dtype(dtype).name), device)
        np.testing.assert_array_equal(array.cpu().numpy(), np.full((3, 100), 7, dtype), strict=True)
        backend.fill_(array, 9)
        assert array.version == 1 and set(array.cpu().numpy().ravel()) == {9}
        assert backend.full((0, 3), 1.0, backend.float32, device).shape == (0, 3)
