"""The emulator: what kernels may use works, each fault is found at its line, right kernels pass, traces are exact."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import mytensor_backend as backend
import numpy as np
import pytest
from emulated import ROOT, Kernels, on_simt

import mytensor as mt

if mt.simt.problem():
    pytest.skip(f"no device simt: {mt.simt.problem()}", allow_module_level=True)

FEATURES, FAULTS = Kernels("features"), Kernels("faults")
ORDERS = ("ascending", "descending", "shuffled")


@pytest.fixture(params=["fast", "watched"])
def build(request):
    """Both builds of the kernels."""
    if request.param == "fast":
        yield "fast"
    else:
        with mt.simt.watch():
            yield "watched"


@pytest.fixture(params=ORDERS)
def any_order(request):
    """Every order in which the threads may start."""
    with mt.simt.order(request.param, seed=7):
        yield request.param


def run(name: str, *inputs: np.ndarray, out, numbers=()) -> np.ndarray:
    """The kernel's last array: `out` is its shape (it then holds nothing) or its first values."""
    is_shape = isinstance(out, tuple)
    output = backend.empty(out, mt.float32, "simt") if is_shape else on_simt(out)
    FEATURES.run(name, *map(on_simt, inputs), output, numbers=numbers)
    return output.cpu().numpy()


# ---------------------------------------------------------------------------------------------------------------------
# Features
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("build", "any_order")
class TestFeatures:
    def test_barriers(self, rng):
        x = rng.integers(-99, 99, 1000).astype(np.float32)
        got = run("block_sums", x, out=(8,))
        np.testing.assert_array_equal(got, np.pad(x, (0, 24)).reshape(8, 128).sum(1))

    @pytest.mark.parametrize("positive", [0, 5, 77])
    def test_votes_of_a_block(self, rng, positive):
        x = rng.permutation(np.where(np.arange(77) < positive, 3, -3)).astype(np.int32)
        got = run("votes_of_block", x, out=np.zeros(3, np.int32))
        np.testing.assert_array_equal(got, [positive, positive == 77, positive > 0])

    def test_dynamic_shared_memory(self, rng):
        x = rng.normal(size=(6, 35))
        np.testing.assert_array_equal(run("reverse", x, out=np.zeros((6, 35))), x[:, ::-1])

    def test_shuffles_in_a_warp_that_is_not_full(self, rng):
        x = rng.integers(-99, 99, 77).astype(np.float32)
        got = run("warp_sums", x, out=(3,))
        np.testing.assert_array_equal(got, np.pad(x, (0, 19)).reshape(3, 32).sum(1))

    @pytest.mark.parametrize("width", [32, 8, 2])
    def test_shuffles(self, rng, width):
        x = rng.integers(-99, 99, 32).astype(np.int32)
        lane, first = np.arange(32), np.arange(32) // width * width
        up = np.where(lane - 2 >= first, lane - 2, lane)
        down = np.where(lane + 5 < first + width, lane + 5, lane)
        wanted = [x[first + 3 % width], x[up], x[down], x[lane ^ 1]]
        got = run("shuffles", x, out=np.zeros((4, 32), np.int32), numbers=(width,))
        np.testing.assert_array_equal(got, wanted)

    def test_shuffles_of_parts_of_a_warp(self, rng):
        x = rng.integers(-(2**40), 2**40, 32)
        low, high = x[:16].sum(), -x[16:].sum()
        got = run("half_warps", x, out=np.zeros((2, 32), np.int64))
        np.testing.assert_array_equal(got, [[low] * 16 + [high] * 16, [low + high] * 32])

    @pytest.mark.parametrize("threshold", [-2.0, 0.0, 2.0])
    def test_votes_of_a_warp(self, rng, threshold):
        x = np.where(rng.uniform(-1, 1, 32) > threshold, 1, 0).astype(np.int32)
        ballot = sum(1 << lane for lane in range(0, 32, 2) if x[lane])
        got = run("warp_votes", x, out=np.zeros(4, np.int32))
        np.testing.assert_array_equal(got, [ballot, ballot != 0, ballot == 0x55555555, ballot.bit_count()])

    def test_syncwarp_orders_memory(self, rng):
        x = rng.integers(0, 99, 64).astype(np.int32)
        np.testing.assert_array_equal(run("exchange", x, out=np.zeros(64, np.int32)), x.reshape(32, 2)[:, ::-1].ravel())

    def test_integer_atomics(self, rng):
        x = rng.integers(1, 7, 1001).astype(np.int32)
        start = np.array([0] * 8 + [-5, 99], np.int32)
        got = run("histogram", x, out=start)
        np.testing.assert_array_equal(got, [*np.bincount(x, minlength=8), x.max(), x.min()])

    def test_floating_atomics(self, rng):
        x = rng.integers(-99, 99, 100).astype(np.float32)
        sums = on_simt(np.zeros(1, np.float32)), on_simt(np.zeros(1))
        FEATURES.run("atomic_sums", on_simt(x), sums[0], on_simt(x.astype(np.float64) / 4), sums[1])
        assert sums[0].item() == x.sum() and sums[1].item() == x.sum() / 4

    def test_a_hand_over_between_blocks(self, rng):
        x = rng.integers(-99, 99, (7, 32)).astype(np.float32)
        got = run("last_block_sum", x, np.zeros(1, np.int32), out=(1,))
        assert got[0] == x.sum()

    def test_a_lock_inside_a_warp(self):
        got = run("locked_count", np.zeros(1, np.int32), out=np.zeros(1, np.int32))
        assert got[0] == 3 * 64

    def test_vectors(self, rng):
        x = rng.normal(size=52).astype(np.float32)
        np.testing.assert_array_equal(run("twice", x, out=(52,)), 2 * x)

    @pytest.mark.parametrize("rounds", [0, 1, 4])
    def test_barriers_of_the_grid(self, rng, rounds):
        x = rng.integers(-9, 9, 77).astype(np.float32)
        buffers = on_simt(x), backend.empty((77,), mt.float32, "simt")
        FEATURES.run("ring", *buffers, numbers=(rounds,))
        for _ in range(rounds):
            x = np.roll(x, 1) + np.roll(x, -1)
        np.testing.assert_array_equal(buffers[rounds % 2].cpu().numpy(), x)

    def test_tiles(self, rng):
        x = rng.integers(0, 99, 64).astype(np.int32)
        got = run("tile_sums", x, out=np.zeros(64, np.int32))
        np.testing.assert_array_equal(got, np.repeat(x.reshape(8, 8).sum(1), 8))

    @pytest.mark.parametrize("pieces", [1, 2, 5])
    def test_asynchronous_copies(self, rng, pieces):
        x = rng.normal(size=(pieces, 32)).astype(np.float32)
        np.testing.assert_array_equal(run("pipelined", x, out=(pieces, 32)), x[:, ::-1] + np.float32(1))

    def test_tensor_cores_tf32(self, rng):
        a, b = rng.normal(size=(16, 24)).astype(np.float32), rng.normal(size=(24, 16)).astype(np.float32)
        got = run("tensor_tf32", a, np.ascontiguousarray(b.T), out=(16, 16))
        self.check_product(got, a, b, 2.0**-11)

    def test_tensor_cores_bf16(self, rng):
        a, b = rng.normal(size=(16, 32)).astype(np.float32), rng.normal(size=(32, 16)).astype(np.float32)
        got = run("tensor_bf16", a, b, out=(16, 16)).T
        self.check_product(got, a, b, 2.0**-8)

    @staticmethod
    def check_product(got, a, b, rounding):
        """Both factors are rounded (by `rounding`, relatively), and a float sum of K terms."""
        exact = a.astype(np.float64) @ b.astype(np.float64)
        size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
        bound = (2 * rounding + rounding**2 + a.shape[1] * 2.0**-24 * 2) * size
        assert np.isfinite(got).all() and (np.abs(got - exact) <= bound).all()
        # And rounded they are: float's own precision would be a different kernel.
        assert np.abs(got - exact).max() > a.shape[1] * 2.0**-24 * size.max()


def test_many_blocks_on_several_workers(rng):
    x = rng.integers(-99, 99, 300_000).astype(np.float32)
    before = backend.simt_settings()["workers"]
    try:
        backend.set_simt_settings(workers=3)
        got = run("block_sums", x, out=(2344,))
    finally:
        backend.set_simt_settings(workers=before)
    np.testing.assert_array_equal(got, np.pad(x, (0, 32)).reshape(2344, 128).sum(1))


# ---------------------------------------------------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------------------------------------------------

# Fault -> what the report says besides kernel and line.
WATCHED_FAULTS = {
    "past_end": ["block (2,0,0) thread (0,0,0)", "writes element 64 of 'a'", "has 64 elements"],
    "before_start": ["thread (0,0,0)", "reads element -1 of 'a'"],
    "far_outside": ["thread (5,0,0)", "reads element 40000000 of 'a'"],
    "null_pointer": ["thread (0,0,0)", "reads address 0x8"],
    "freed": ["thread (0,0,0)", "which was freed"],
    "fixed_array": ["thread (16,0,0)", "index 16", "float [16]"],
    "dynamic_end": ["thread (31,0,0)", "writes element 32 of 'dynamic shared memory'", "has 32 elements"],
    "not_written": ["thread (9,0,0)", "reads element 9 of 'a'", "nobody has written"],
    "shared_not_written": ["thread (20,0,0)", "reads element 20 of 'tile'", "nobody has written"],
    "dynamic_not_written": ["thread (7,0,0)", "reads element 7 of 'dynamic shared memory'", "nobody has written"],
    "dynamic_race": ["element 32 of 'dynamic shared memory'", "a race", "reads it"],
    "blocks_read_and_write": [
        *("block (1,0,0) thread (3,0,0)", "block (0,0,0) thread (0,0,0)", "element 5 of 'a'", "a race"),
    ],
    "missing_barrier": ["element 32 of 'tile'", "a race", "reads it"],
    "blocks_race": ["block (1,0,0)", "block (0,0,0)", "element 0 of 'a'", "a race"],
    "warp_race": ["'tile'", "a race"],
    "no_fence": ["block (3,0,0)", "element 1 of 'a'", "block (0,0,0)", "a race"],
    "read_beside_atomic": ["element 0 of 'a'", "a race", "updates (atomically)"],
    "atomic_beside_write": ["thread (1,0,0) updates (atomically) element 0 of 'a'", "writes it", "a race"],
    "early_exit": ["thread (40,0,0)", "__syncthreads", "has ended without reaching it"],
    "divergent": ["thread (8,0,0)", "thread (0,0,0) waits at another"],
    "wrong_mask": ["thread (0,0,0)", "0xffff0000", "own lane 0"],
    "shuffle_from_nobody": ["lane 20, which does not take part"],
    "half_a_vote": ["waits at a warp vote", "__syncwarp"],
    "endless": ["endless loop", "50000 steps"],
    "misaligned": ["reads 16 bytes at element 1 of 'a'", "no multiple of 16"],
    "divides": ["divides an integer by zero"],
    "recursion": ["no stack left"],
    "no_wait": ["reads element 0 of 'tile'", "nobody has written"],
}
# What also the fast build notices, at no cost.
FAST_FAULTS = [
    *("far_outside", "freed", "null_pointer", "early_exit", "divergent", "wrong_mask", "shuffle_from_nobody"),
    *("half_a_vote", "divides", "recursion"),
]


def arrays() -> tuple[backend.NDArray, backend.NDArray]:
    return on_simt(np.arange(64, dtype=np.float32)), backend.empty((64,), mt.float32, "simt")


def check_that_all_is_well():
    x, out = arrays()
    FAULTS.run("right", x, out)
    np.testing.assert_array_equal(out.cpu().numpy(), 2 * np.arange(64))


def fault_of(name: str, first_value: float | None = None) -> str:
    x, out = arrays()
    if first_value is not None:
        out = on_simt(np.full(64, first_value, np.float32))
    with pytest.raises(mt.simt.SimtError) as caught:
        FAULTS.run(name, x, out)
    return str(caught.value)


@pytest.mark.parametrize("name", WATCHED_FAULTS)
def test_watched_faults_are_named(name):
    with mt.simt.watch(steps=50_000 if name == "endless" else 10**9):
        report = fault_of(name, 0.0 if name in ("blocks_race", "no_fence", "read_beside_atomic") else None)
        assert report.startswith(f"kernel {name}: ")
        for words in WATCHED_FAULTS[name]:
            assert words in report, report
        assert f"tests/simt/faults.cu:{FAULTS.line_of(f'FAULT {name}')}" in report, report
        check_that_all_is_well()


@pytest.mark.parametrize("name", FAST_FAULTS)
def test_fast_faults_end_the_launch_and_not_python(name):
    report = fault_of(name)
    assert report.startswith(f"kernel {name}: ") and "tests/simt/faults.cu:" in report, report
    check_that_all_is_well()


def test_a_write_just_past_an_array_is_noticed_without_watching():
    x, out = on_simt(np.zeros(62, np.float32)), backend.empty((62,), mt.float32, "simt")  # 8 bytes less than whole 16s
    with pytest.raises(mt.simt.SimtError, match="kernel past_end wrote element 62 of 'a', which has 62 elements"):
        FAULTS.run("past_end", x, out)
    check_that_all_is_well()


@pytest.mark.parametrize("name", ["missing_barrier", "warp_race", "blocks_race", "not_written"])
def test_what_is_found_does_not_depend_on_the_order(name, any_order):
    with mt.simt.watch():
        assert f"faults.cu:{FAULTS.line_of(f'FAULT {name}')}" in fault_of(name, 0.0 if name == "blocks_race" else None)


def test_impossible_launches_are_refused():
    assert "1 to 1024" in fault_of("nothing")
    with pytest.raises(NotImplementedError, match="takes 34359738368 blocks, and a CUDA grid has at most 2147483647"):
        FAULTS.run("too_many_blocks", *arrays())
    check_that_all_is_well()


def test_memory_of_another_device_is_refused():
    with pytest.raises(ValueError, match=r"on cpu; move it with \.to"):
        FAULTS.run("right", backend.empty((4,), mt.float32, "cpu"), arrays()[1])


def test_order_shows_a_missing_barrier_even_unwatched():
    results = []
    for name in ORDERS:
        with mt.simt.order(name, seed=1):
            x, out = arrays()
            FAULTS.run("missing_barrier", x, out)
            results.append(out.cpu().numpy())
    wanted = np.arange(64)[::-1]
    assert any(not np.array_equal(result, wanted) for result in results)


def test_shared_memory_is_poisoned_when_a_block_starts():
    x, out = arrays()
    for _ in range(2):
        FAULTS.run("shared_not_written", x, out)
        np.testing.assert_array_equal(out.cpu().numpy()[:32], [*range(20), *[np.nan] * 12])


@pytest.mark.parametrize("build_kind", ["fast", "watched"])
def test_ctrl_c_ends_a_kernel_that_waits_for_ever(build_kind):
    def press():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    x, out = on_simt(np.zeros(64, np.float32)), on_simt(np.zeros(64, np.float32))
    FAULTS._library(build_kind)  # compiled before the clock runs
    presser = threading.Thread(target=press)
    settings = mt.simt.watch() if build_kind == "watched" else mt.simt.order("ascending")
    with settings:
        with pytest.raises(KeyboardInterrupt):
            presser.start()
            try:
                FAULTS.run("spins", x, out)
            finally:
                presser.join()
        check_that_all_is_well()


def test_a_fork_of_python_can_launch():
    program = """
        import os, sys
        import numpy as np
        import mytensor as mt
        F = mt.nn.functional
        x = mt.tensor(np.random.rand(8, 3, 32, 32).astype(np.float32), device="simt")
        wanted = F.unfold(x, 3).cpu().numpy()
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(F.unfold(x, 3).cpu().numpy(), wanted) else 1)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, timeout=60)
    assert done.returncode == 0


def test_a_crash_elsewhere_still_reaches_the_handler_of_before():
    program = """
        import ctypes, faulthandler
        faulthandler.enable()
        import mytensor as mt
        mt.nn.functional.unfold(mt.zeros(1, 1, 4, 4, device="simt"), 3)
        ctypes.string_at(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGSEGV and "Fatal Python error: Segmentation fault" in done.stderr


# ---------------------------------------------------------------------------------------------------------------------
# Trace
# ---------------------------------------------------------------------------------------------------------------------


def test_a_trace_holds_every_access(rng):
    x = rng.integers(-9, 9, (1, 2, 4, 5)).astype(np.float32)
    image = on_simt(x)
    with mt.use_kernel("im2col", "naive"), mt.simt.trace() as trace:
        columns = backend.im2col(image, (3, 2), 1, (1, 0), (2, 1)).cpu().numpy()
    (launch,) = trace.launches
    assert launch.kernel == "im2col_naive" and launch.grid == (1, 1, 1) and launch.block == (256, 1, 1)
    table = launch.accesses
    writes, reads = table[table["kind"] == "write"], table[table["kind"] == "read"]
    assert set(writes["array"]) == {"columns"} and set(reads["array"]) == {"image"}
    # Every element of the columns once, by the thread of its number, with the value that it then has.
    assert sorted(writes["index"]) == list(range(columns.size))
    np.testing.assert_array_equal(writes["value"], columns.ravel()[writes["index"]])
    rows, windows = columns.shape[1:]
    thread = writes["block"] * 256 + writes["thread"]
    np.testing.assert_array_equal(writes["index"], thread % rows * windows + thread // rows)
    # Reads: what is inside the image, and no more.
    inside = backend.im2col(on_simt(np.ones_like(x)), (3, 2), 1, (1, 0), (2, 1)).cpu().numpy()
    assert len(reads) == inside.sum()
    np.testing.assert_array_equal(reads["value"], x.ravel()[reads["index"]])
    text = (ROOT / "csrc/cuda/im2col.cu").read_text().splitlines()
    assert {row["file"] for row in table} == {"csrc/cuda/im2col.cu"}
    assert all("columns[" in text[line - 1] for line in set(writes["line"]))
    assert all("image[place]" in text[line - 1] for line in set(reads["line"]))


def test_the_coalesced_rung_needs_fewer_sectors():
    image = on_simt(np.zeros((1, 4, 16, 16), np.float32))
    sectors = {}
    for kernel in ("naive", "coalesced"):
        with mt.use_kernel("im2col", kernel), mt.simt.trace() as trace:
            backend.im2col(image, 3, 1, 1, 1)
        (row,) = [row for row in trace.coalescing() if row.kind == "write"]
        assert row.array == "columns" and row.requests == 4 * 9 * 256 // 32 and row.ideal == 4
        sectors[kernel] = row.sectors
    assert sectors["coalesced"] == 4 and sectors["naive"] > 25


def test_coalescing_of_vectors():
    with mt.simt.trace() as trace:
        run("twice", np.zeros(256, np.float32), out=(256,))
    rows = {row.kind: row for row in trace.coalescing()}
    assert rows["read"].requests == rows["write"].requests == 2  # 64 threads
    assert rows["read"].sectors == rows["read"].ideal == 16  # 32 threads of 16 bytes
    counts = trace.launches[0].accesses["count"]
    assert set(counts) == {4}


@pytest.mark.parametrize(("padding", "passes"), [(0, 32), (1, 1)])
def test_bank_conflicts(rng, padding, passes):
    x = rng.normal(size=(32, 32)).astype(np.float32)
    with mt.simt.trace() as trace:
        np.testing.assert_array_equal(run("transpose", x, out=(32, 32), numbers=(padding,)), x.T)
    rows = {row.kind: row for row in trace.bank_conflicts()}
    assert rows["write"].passes == rows["write"].ideal == 1
    assert rows["read"].line == FEATURES.line_of("COLUMN")
    assert rows["read"].passes == rows["read"].worst == passes and rows["read"].requests == 32


def test_shared_values_are_traced(rng):
    x = rng.normal(size=128).astype(np.float32)
    with mt.simt.trace() as trace:
        run("block_sums", x, out=(1,))
    table = trace.launches[0].accesses
    stores = table[(table["array"] == "partial") & (table["kind"] == "write")][:128]
    np.testing.assert_array_equal(stores["value"], x[stores["thread"]])


def test_writes_that_follow_each_other_have_their_own_values():
    with mt.simt.trace() as trace:
        run("votes_of_block", np.array([5, -5] * 6, np.int32), out=np.zeros(3, np.int32))
    table = trace.launches[0].accesses
    stores = table[table["kind"] == "write"]
    assert stores["thread"].tolist() == [7] * 3 and stores["index"].tolist() == [0, 1, 2]
    assert stores["value"].tolist() == [6, 0, 1]


def test_a_trace_has_a_limit():
    with mt.simt.trace(limit=100) as trace, pytest.raises(mt.simt.SimtError, match="one more than a trace may hold"):
        run("twice", np.zeros(1024, np.float32), out=(1024,))
    assert len(trace.launches[0].accesses) == 100
    check_that_all_is_well()


def test_barriers_are_counted_once_a_block():
    a, b = on_simt(np.ones((40, 36), np.float32)), on_simt(np.ones((36, 24), np.float32))
    with mt.use_kernel("matmul", "tiled"), mt.simt.trace() as trace:
        backend.matmul(a, b)
    blocks, steps = 3 * 2, 3  # tiles of 16 x 16, pieces of the sum of 16
    lines = trace.barriers()
    assert [line.passed for line in lines] == [blocks * steps] * 2 and lines[0].line < lines[1].line
    source = (ROOT / "csrc" / "cuda" / "matmul.cu").read_text(encoding="utf-8").splitlines()
    assert all("__syncthreads()" in source[line.line - 1] for line in lines)
    assert set(trace.launches[0].accesses["kind"]) == {"read", "write"}, "a barrier is no access"
    with mt.use_kernel("matmul", "naive"), mt.simt.trace() as trace:
        backend.matmul(a, b)
    assert trace.barriers() == []


def test_settings_end_with_their_block():
    before = backend.simt_settings()
    with mt.simt.watch(), mt.simt.order("shuffled", seed=3), mt.simt.trace(limit=5):
        inside = backend.simt_settings()
        assert inside["watch"] and inside["trace"] and inside["order"] == "shuffled" and inside["trace_limit"] == 5
    assert backend.simt_settings() == before
    with pytest.raises(ValueError, match="'ascending', 'descending', 'shuffled'"):
        mt.simt.order("sideways")


# ---------------------------------------------------------------------------------------------------------------------
# The device
# ---------------------------------------------------------------------------------------------------------------------


class TestDevice:
    def test_there_and_back(self, rng):
        for dtype in (np.float32, np.float64, np.int64, np.int32, np.uint8):
            x = rng.integers(0, 99, (2, 3)).astype(dtype)
            tensor = mt.tensor(x, device="simt")
            assert tensor.device == "simt" and tensor.cpu().device == "cpu"
            np.testing.assert_array_equal(tensor.cpu().numpy(), x)
            np.testing.assert_array_equal(tensor.clone().cpu().numpy(), x)
            assert tensor.to("simt") is tensor and tensor.tolist() == x.tolist()

    def test_numpy_and_dlpack_say_to_copy_first(self):
        tensor = mt.zeros(2, device="simt")
        for convert in (tensor.numpy, lambda: np.asarray(tensor), tensor.__dlpack__, tensor.__dlpack_device__):
            with pytest.raises(TypeError, match=r"\.cpu\(\)"):
                convert()

    def test_gradients_cross_devices(self, rng):
        x = mt.tensor(rng.normal(size=(1, 2, 5, 4)).astype(np.float32), requires_grad=True)
        columns = mt.nn.functional.unfold(x.to("simt"), (2, 3))
        upstream = mt.tensor(rng.normal(size=columns.shape).astype(np.float32))
        columns.cpu().backward(upstream)
        wanted = backend.col2im(upstream.array, (5, 4), (2, 3))
        np.testing.assert_allclose(x.grad.numpy(), wanted.numpy(), rtol=1e-6)

    def test_fill_copy_item(self):
        tensor = mt.full((3, 2), 2.5, device="simt")
        assert tensor.tolist() == [[2.5] * 2] * 3
        backend.fill_(tensor.array, -1)
        backend.copy_(tensor.array, mt.tensor([[1.0, 2], [3, 4], [5, 6]]).array)
        assert tensor.tolist() == [[1, 2], [3, 4], [5, 6]]
        host = mt.zeros(3, 2)
        backend.copy_(host.array, tensor.array)
        assert host.tolist() == tensor.tolist()
        assert mt.tensor(7.0, device="simt").item() == 7
        with pytest.raises(ValueError, match="one shape"):
            backend.copy_(tensor.array, mt.zeros(2).array)

    def test_unwritten_memory_is_known_through_copies(self):
        empty = backend.empty((1, 1, 3, 3), mt.float32, "simt").clone()
        with mt.simt.watch(), pytest.raises(mt.simt.SimtError, match="nobody has written"):
            backend.im2col(empty, 2)

    def test_debug_memory_is_poisoned(self):
        before = backend.memory_mode()
        try:
            backend.set_memory_mode("debug")
            assert all(math.isnan(value) for value in mt.empty(5, device="simt").tolist())
        finally:
            backend.set_memory_mode(before)

    def test_mixed_devices_are_refused(self):
        with pytest.raises(ValueError, match="simt"):
            mt.zeros(2, device="simt") + mt.zeros(2)

    def test_memory_is_counted_by_device(self):
        before = backend.memory_stats("simt")["allocated"]
        tensor = mt.zeros(1000, device="simt")
        assert backend.memory_stats("simt")["allocated"] == before + 4000
        del tensor
        assert backend.memory_stats("simt")["allocated"] == before

    def test_kernels_of_all_devices_are_listed(self):
        rows = mt.kernels("im2col", "simt")
        assert [row["name"] for row in rows] == ["coalesced", "naive", "atomic"]
        assert [row["selected"] for row in rows] == [True, False, False] and rows[0]["oldest_gpu"] == (7, 5)
        with mt.use_kernel("im2col", "atomic"):
            chosen = {(row["device"], row["name"]) for row in mt.kernels("im2col") if row["selected"]}
        assert {("cpu", "rows"), ("simt", "atomic")} <= chosen


def test_settings_change_together_or_not_at_all():
    before = backend.simt_settings()
    with pytest.raises(TypeError, match="no setting 'colour'"):
        backend.set_simt_settings(seed=before["seed"] + 1, colour="red")
    assert backend.simt_settings() == before
