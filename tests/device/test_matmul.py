"""Matrix products on a device: every rung against float64, in two orders of the threads, and watched."""

import itertools

import mytensor_backend as backend
import numpy as np
import pytest
from products import MatmulCase

import mytensor as mt

RUNGS = [row["name"] for row in backend.kernels("matmul", "simt")]
TRANSPOSED = list(itertools.product((False, True), repeat=2))

# batch, m, k, n: one tile, several and parts of one; whole float4s and not; sums long enough for slices; nothing to
# sum, nothing at all.
SIZES = [
    (1, 5, 7, 3),
    (2, 33, 65, 70),
    (1, 130, 20, 129),
    (1, 64, 1030, 12),
    (3, 8, 16, 20),
    (1, 128, 36, 132),
    (1, 17, 0, 5),
    (0, 3, 4, 5),
    (1, 1, 300, 1),
]
# What can be watched access by access: every branch of the loaders, two pieces of the sum, slices.
SMALL_SIZES = [(1, 5, 7, 3), (2, 18, 33, 20), (1, 9, 200, 12), (1, 12, 20, 16)]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_rung_equals_float64(rung, dtype, device, rng):
    for sizes, transposed in itertools.product(SIZES, TRANSPOSED):
        MatmulCase(rng, sizes, transposed, dtype).check(device, rung)


@pytest.mark.parametrize("order", ("ascending", "descending"))
@pytest.mark.parametrize("rung", RUNGS)
def test_a_watched_rung(rung, order, rng):
    with mt.simt.order(order), mt.simt.watch():
        for sizes, transposed in itertools.product(SMALL_SIZES, TRANSPOSED):
            MatmulCase(rng, sizes, transposed, np.float32).check("simt", rung)
        MatmulCase(rng, SMALL_SIZES[1], (True, False), np.float64).check("simt", rung)


@pytest.mark.parametrize("rung", RUNGS)
def test_the_bits_do_not_depend_on_the_order(rung, rng):
    case = MatmulCase(rng, (1, 37, 310, 21), (False, True), np.float32)
    bits = []
    for order in ("ascending", "descending", "shuffled"):
        with mt.simt.order(order), mt.use_kernel("matmul", rung):
            bits.append([output.cpu().numpy().tobytes() for output in case.outputs("simt")])
    assert bits[0] == bits[1] == bits[2]


def test_neighbouring_threads_read_neighbours_in_the_coalesced_rung():
    a, b = (backend.full((32, 32), 1.0, backend.float32, "simt") for _ in range(2))

    def sectors_of_writes(rung):
        with mt.use_kernel("matmul", rung), mt.simt.trace() as trace:
            backend.matmul(a, b)
        (line,) = [line for line in trace.coalescing() if line.array == "output" and line.kind == "write"]
        return line.sectors

    assert sectors_of_writes("naive") == 32  # each thread of a warp writes into a sector of its own
    assert sectors_of_writes("coalesced") == 4  # 32 floats, 8 in a sector


def test_a_tile_of_shared_memory_is_read_without_bank_conflicts():
    a, b = (backend.full((64, 16), 1.0, backend.float32, "simt") for _ in range(2))
    for rung in ("tiled", "register_blocked"):
        with mt.use_kernel("matmul", rung), mt.simt.trace() as trace:
            backend.matmul(a, b, transpose_b=True)
        reads = [line for line in trace.bank_conflicts() if line.kind == "read"]
        assert reads and all(line.worst == 1 for line in reads), rung
