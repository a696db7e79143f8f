"""NDArray: memory shared with numpy and DLPack and how long it lives, the allocator's modes, threads."""

import ctypes
import gc
import os
import signal
import threading
import time
import weakref

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import DTYPES, draw, nd

import mytensor as mt
from mytensor import check


@pytest.fixture(params=["caching", "plain", "debug"])
def memory_mode(request):
    before = backend.memory_mode()
    backend.set_memory_mode(request.param)
    yield request.param
    gc.collect()
    backend.check_red_zones()
    backend.set_memory_mode(before)


class Watched(np.ndarray):
    """A numpy array whose end can be watched: plain ones have no weak references."""


def watched(shape) -> Watched:
    return np.zeros(shape, np.float32).view(Watched)


# ---------------------------------------------------------------------------------------------------------------------
# numpy
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (2, 0, 4), (2, 3, 1, 7)])
def test_numpy_and_back_share_memory(dtype, shape, rng):
    source = draw(rng, shape, dtype)
    array = backend.from_numpy(source)
    view = array.numpy()
    check.equal(view, source)
    assert (array.shape, array.ndim, array.size, array.nbytes) == (shape, source.ndim, source.size, source.nbytes)
    assert array.dtype.name == np.dtype(dtype).name
    if source.size:
        assert np.shares_memory(view, source)
        view[...] = 1
        assert (source == 1).all()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda a: a.T, id="transposed"),
        pytest.param(lambda a: a[:, ::2], id="strided"),
        pytest.param(lambda a: a[::-1], id="backwards"),
        pytest.param(lambda a: a.astype(">f4"), id="big-endian"),
        pytest.param(lambda a: np.broadcast_to(a[:1], (4, 6)), id="broadcast"),
        pytest.param(lambda a: _read_only(a), id="read-only"),
        pytest.param(lambda a: _unaligned(a), id="unaligned"),
    ],
)
def test_arrays_that_cannot_be_shared_are_copied(make):
    source = make(np.arange(24, dtype=np.float32).reshape(4, 6))
    before = source.copy()
    for array in (backend.from_numpy(source), mt.from_numpy(source).array, mt.tensor(source).array):
        check.equal(array.numpy(), before.astype(np.float32))
        backend.fill_(array, 7.0)
        np.testing.assert_array_equal(source, before)


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    unaligned = memory[1:].view(array.dtype).reshape(array.shape)
    unaligned[...] = array
    return unaligned


def test_a_numpy_array_lives_as_long_as_the_ndarray_over_it():
    source = watched((3, 5))
    gone = weakref.ref(source)
    array = backend.from_numpy(source)
    again = array.reshape((15,))
    del source, array
    gc.collect()
    assert gone() is not None
    backend.fill_(again, 2.0)
    assert (gone() == 2).all()
    del again
    gc.collect()
    assert gone() is None


def test_an_ndarrays_memory_lives_as_long_as_a_view_of_it(memory_mode):
    allocated = backend.memory_stats()["allocated"]
    array = backend.full((100, 7), 3.0)
    view = array.numpy()[10:20]
    del array
    gc.collect()
    others = [backend.full((100, 7), 5.0) for _ in range(10)]
    assert (view == 3).all()
    assert backend.memory_stats()["allocated"] > allocated
    del view, others
    gc.collect()
    assert backend.memory_stats()["allocated"] == allocated


def test_bool_becomes_uint8_and_other_types_are_refused():
    assert backend.from_numpy(np.array([True, False])).dtype == backend.uint8
    for dtype in (np.float16, np.complex64, np.int16, np.uint32, "U3", object, "datetime64[s]"):
        with pytest.raises(TypeError, match="float32, float64, int64, int32, uint8"):
            backend.from_numpy(np.zeros(3, dtype))


def test_array_protocol(rng):
    array = nd(draw(rng, (3, 4), np.float32))
    assert np.shares_memory(np.asarray(array), array.numpy())
    assert not np.shares_memory(np.array(array), array.numpy())
    assert np.asarray(array, dtype=np.float64).dtype == np.float64


# ---------------------------------------------------------------------------------------------------------------------
# DLPack
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_shares_memory_both_ways(dtype, rng):
    array = nd(draw(rng, (3, 5), dtype))
    tensor = torch.from_dlpack(array)
    check.equal(tensor, array)
    tensor[1, 2] = 9
    assert array.numpy()[1, 2] == 9
    assert np.shares_memory(np.from_dlpack(array), array.numpy())

    theirs = torch.from_numpy(draw(rng, (2, 3, 4), dtype))
    ours = backend.from_dlpack(theirs)
    check.equal(ours, theirs)
    theirs[0, 0, 0] = 5
    assert ours.numpy()[0, 0, 0] == 5


def test_dlpack_keeps_memory_alive(memory_mode):
    allocated = backend.memory_stats()["allocated"]
    tensor = torch.from_dlpack(backend.full((50, 3), 4.0))
    gc.collect()
    others = [backend.full((50, 3), 5.0) for _ in range(10)]
    assert (tensor == 4).all()
    del tensor, others
    backend.full((3,), 1.0).__dlpack__()  # a capsule that nobody takes
    gc.collect()
    assert backend.memory_stats()["allocated"] == allocated

    source = watched((3, 5))
    gone = weakref.ref(source)
    array = backend.from_dlpack(source)
    del source
    gc.collect()
    assert gone() is not None
    del array
    gc.collect()
    assert gone() is None


def test_dlpack_takes_offsets_and_refuses_what_it_cannot_share():
    theirs = torch.arange(24.0).reshape(4, 6)
    check.equal(backend.from_dlpack(theirs[1:3]), theirs[1:3])
    check.equal(backend.from_dlpack(theirs[:0]), theirs[:0])
    for strided in (theirs.T, theirs[:, ::2]):
        with pytest.raises(ValueError, match="not contiguous"):
            backend.from_dlpack(strided)
    with pytest.raises(TypeError, match="float32, float64, int64, int32, uint8"):
        backend.from_dlpack(theirs.half())
    with pytest.raises(TypeError, match="__dlpack__"):
        backend.from_dlpack([1, 2, 3])

    class Used:
        capsule = backend.full((2,), 1.0).__dlpack__()

        def __dlpack__(self, **options):
            return self.capsule

    used = Used()
    backend.from_dlpack(used)
    with pytest.raises(TypeError, match="already used"):
        backend.from_dlpack(used)


# ---------------------------------------------------------------------------------------------------------------------
# Shape, storage, version
# ---------------------------------------------------------------------------------------------------------------------


def test_reshape_shares_and_clone_does_not():
    array = backend.full((2, 6), 1.0)
    reshaped, clone = array.reshape((3, -1)), array.clone()
    assert reshaped.shape == (3, 4) and reshaped.shares_storage(array) and not clone.shares_storage(array)
    backend.fill_(reshaped, 2.0)
    assert (array.numpy() == 2).all() and (clone.numpy() == 1).all()
    assert array.version == reshaped.version == 1 and clone.version == 0
    assert array.shares_storage(clone, None, reshaped) and not array.shares_storage(clone, None, 3.0)
    assert backend.versions(clone, None, reshaped, 3.0) == (0, 0, 1, 0) and backend.versions() == ()


@pytest.mark.parametrize("shape", [(5,), (-1, 5), (-1, -1), (3, -2), (0, -1), (2**62, 4), (-(2**63), 2)])
def test_reshapes_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="reshape"):
        backend.full((2, 6), 1.0).reshape(shape)


def test_items_and_len():
    assert backend.full((1, 1), 2.5).item() == 2.5
    assert type(backend.full((), 3, backend.int64).item()) is int
    assert len(backend.full((4, 2), 0.0)) == 4
    with pytest.raises(ValueError, match=r"\(2,\)"):
        backend.full((2,), 1.0).item()
    with pytest.raises(TypeError, match="without dimensions"):
        len(backend.full((), 1.0))


# ---------------------------------------------------------------------------------------------------------------------
# The allocator
# ---------------------------------------------------------------------------------------------------------------------


def test_the_cache_hands_blocks_out_again():
    backend.set_memory_mode("plain")
    backend.set_memory_mode("caching")
    before = backend.memory_stats()
    first = backend.empty((1000,))
    address = first.data_ptr
    assert address % 64 == 0
    del first
    during = backend.memory_stats()
    second = backend.empty((990,))  # the same size class
    after = backend.memory_stats()
    assert second.data_ptr == address
    assert during["reserved"] - before["reserved"] >= 4000 and during["allocated"] == before["allocated"]
    assert after["cache_hits"] == before["cache_hits"] + 1
    del second
    backend.empty_cache()
    assert backend.memory_stats()["reserved"] == before["reserved"]


def test_plain_returns_memory_at_once():
    backend.set_memory_mode("plain")
    try:
        before = backend.memory_stats()
        array = backend.empty((1000,))
        del array
        after = backend.memory_stats()
        assert after["reserved"] == before["reserved"] and after["cache_hits"] == before["cache_hits"]
    finally:
        backend.set_memory_mode("caching")


def test_peaks():
    gc.collect()
    backend.reset_peak_memory_stats()
    before = backend.memory_stats()
    arrays = [backend.empty((1000, 100)) for _ in range(3)]
    del arrays
    after = backend.memory_stats()
    assert after["peak_allocated"] - before["allocated"] >= 3 * 400_000
    assert after["peak_allocated"] <= after["peak_reserved"]
    backend.reset_peak_memory_stats()
    assert backend.memory_stats()["peak_allocated"] == backend.memory_stats()["allocated"]


def test_debug_fills_with_nan(poisoned_memory):
    for dtype in (backend.float32, backend.float64):
        assert np.isnan(backend.empty((3, 5), dtype).numpy()).all()
    for dtype in (backend.int64, backend.int32):
        assert (backend.empty((7,), dtype).numpy() == -1).all()


@pytest.mark.parametrize("at", [-1, -4096, 20, 20 + 4095])
@pytest.mark.parametrize("is_freed", [False, True])
def test_debug_sees_writes_outside(at, is_freed):
    backend.set_memory_mode("debug")
    try:
        array = backend.empty((5,))
        ctypes.c_ubyte.from_address(array.data_ptr + at).value = 0x11
        if is_freed:
            del array
        with pytest.raises(RuntimeError, match=f"{at - 20 if at > 0 else -at} bytes {'past' if at > 0 else 'before'}"):
            backend.check_red_zones()
        if not is_freed:
            ctypes.c_ubyte.from_address(array.data_ptr + at).value = 0xA5  # repaired
        backend.check_red_zones()
    finally:
        backend.set_memory_mode("caching")


def test_arrays_outlive_a_change_of_mode():
    before = backend.memory_stats()["allocated"]
    arrays = []
    for mode in ("caching", "debug", "plain", "caching"):
        backend.set_memory_mode(mode)
        arrays.append(backend.full((33,), 1.0))
    assert all((array.numpy() == 1).all() for array in arrays)
    del arrays
    backend.check_red_zones()
    assert backend.memory_stats()["allocated"] == before


def test_unknown_modes():
    with pytest.raises(ValueError, match="'cached' is not one of 'caching', 'plain', 'debug'"):
        backend.set_memory_mode("cached")


# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    before = backend.get_num_threads()
    yield backend.set_num_threads
    backend.set_num_threads(before)


@pytest.mark.parametrize("count", [0, -1, 1025])
def test_numbers_of_threads_out_of_range(count):
    with pytest.raises(ValueError, match="1 to 1024"):
        backend.set_num_threads(count)


def _training_step(seed: int) -> list[np.ndarray]:
    """Everything a LeNet step touches, on sizes where kernels do wake threads."""
    rng = np.random.default_rng(seed)
    functional = mt.nn.functional
    x = mt.tensor(rng.standard_normal((37, 3, 32, 32)).astype(np.float32), requires_grad=True)
    weight = mt.tensor(rng.standard_normal((17, 3, 5, 5)).astype(np.float32), requires_grad=True)
    bias = mt.tensor(rng.standard_normal(17).astype(np.float32), requires_grad=True)
    matrix = mt.tensor(rng.standard_normal((10, 17 * 7 * 7)).astype(np.float32), requires_grad=True)
    hidden = functional.max_pool2d(functional.relu(functional.conv2d(x, weight, bias)), 2)
    hidden = functional.avg_pool2d(hidden, 2).flatten(1)
    loss = functional.cross_entropy(functional.linear(hidden, matrix), mt.tensor(rng.integers(0, 10, 37)))
    loss.backward()
    columns = functional.unfold(x.detach(), 3)
    tensors = [
        loss.detach(),
        x.grad,
        weight.grad,
        bias.grad,
        matrix.grad,
        columns,
        columns.sum((0, 2)),
        columns.softmax(1),
    ]
    return [tensor.numpy() for tensor in tensors]


def test_the_same_bits_for_any_number_of_threads(threads):
    threads(1)
    wanted = _training_step(7)
    for count in (2, 3, 5):
        threads(count)
        for got, want in zip(_training_step(7), wanted, strict=True):
            check.equal(got, want, name=f"with {count} threads")


def test_python_threads_at_once():
    wanted = [_training_step(seed) for seed in range(3)]
    got: dict[int, list[np.ndarray]] = {}
    workers = [threading.Thread(target=lambda seed=seed: got.update({seed: _training_step(seed)})) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for seed in range(3):
        for one, other in zip(got[seed], wanted[seed], strict=True):
            check.equal(one, other)


def test_kernels_release_the_gil():
    a = backend.full((1500, 1500), 1.0)
    backend.select_kernel("matmul", "naive")  # slow on purpose
    is_done = threading.Event()

    def multiply():
        backend.matmul(a, a)
        is_done.set()

    try:
        worker = threading.Thread(target=multiply)
        worker.start()
        steps = 0
        while not is_done.wait(0.001):
            steps += 1
        worker.join()
    finally:
        backend.select_kernel("matmul", None)
    assert steps > 10  # with the GIL held, the loop would have stood still


def test_kernels_run_in_a_forked_child():
    a = backend.full((300, 300), 1.0)
    backend.matmul(a, a)  # the parent's pool of threads is running
    child = os.fork()
    if child == 0:
        os._exit(0 if (backend.matmul(a, a).numpy() == 300).all() else 1)
    for _ in range(600):
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child waits for threads that it does not have")
    assert status == 0
