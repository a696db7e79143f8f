"""What surrounds the kernels on a GPU: streams, events, memory, copies that overlap, errors, measuring.

Each test here needs a GPU and is skipped elsewhere; tests/test_cuda.py has what can be tested without one.
"""

import functools
import gc
import math
import os
import re
import subprocess
import sys
import textwrap
import threading
import time

import mytensor_backend as backend
import numpy as np
import pytest
import torch

import mytensor as mt
from mytensor.__main__ import main
from mytensor.data import synthetic
from mytensor.timing import measure

pytestmark = pytest.mark.skipif(not mt.cuda.is_available(), reason=f"needs a GPU: {mt.cuda.problem()}")

MEBIBYTE = 2**20
FLOATS = MEBIBYTE // 4  # of float32 in one


@pytest.fixture(autouse=True)
def emulator():
    """These tests need the GPU only, so they run where the emulator cannot (tests/device/conftest.py skips others)."""


@pytest.fixture(autouse=True)
def clean():
    """No work of an earlier test is under way, and nothing of it lies in the cache."""
    gc.collect()
    mt.cuda.synchronize()
    mt.cuda.empty_cache()
    yield
    assert mt.cuda.current_stream() == mt.cuda.default_stream()
    mt.cuda.synchronize()


@functools.cache
def factor() -> backend.NDArray:
    return backend.full((2048, 2048), 1.0, backend.float32, "cuda")


def one_product() -> None:
    with mt.use_kernel("matmul", "naive"):
        backend.matmul(factor(), factor())


@functools.cache
def products_of_busy() -> int:
    return math.ceil(0.3 / min(measure(one_product, device="cuda", repeats=3, warmup=1)))


def busy() -> None:
    """Work for the current stream that takes it at least 0.3 s, given in far less.

    While it runs, tests take memory from the cache only: asking the driver for new memory may wait for the GPU.
    """
    for _ in range(products_of_busy()):
        one_product()


@pytest.fixture(scope="module", autouse=True)
def calibrated():
    if mt.cuda.is_available():
        products_of_busy()  # measured before any test has work under way


def numbers(tensor: mt.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


# ---------------------------------------------------------------------------------------------------------------------
# What is there
# ---------------------------------------------------------------------------------------------------------------------


def test_facts():
    assert mt.cuda.problem() is None and mt.cuda.device_count() >= 1 and mt.cuda.current_device() == 0
    assert mt.cuda.get_device_capability() >= (8, 0)
    free, total = mt.cuda.mem_get_info()
    assert 0 < free <= total
    assert backend.cuda_info()["gpus"][0]["total_memory"] >= total
    if torch.cuda.is_available():
        assert mt.cuda.get_device_name() == torch.cuda.get_device_name(0)
        assert mt.cuda.get_device_capability(0) == torch.cuda.get_device_capability(0)
        assert mt.cuda.device_count() == torch.cuda.device_count()


def test_the_gpu_is_where_training_happens_unless_somebody_says_otherwise(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda count, seed: synthetic(24, seed))
    assert mt.default_device() == "cuda" and mt.ones(2).device == "cpu"
    arguments = ["train", "--synthetic", "--epochs", "1", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert f"device cuda ({mt.cuda.get_device_name()} is here)" in capsys.readouterr().out


# ---------------------------------------------------------------------------------------------------------------------
# Streams and events
# ---------------------------------------------------------------------------------------------------------------------


def test_streams_run_beside_each_other():
    side = mt.cuda.Stream()

    def threes() -> list[float]:
        return numbers(mt.ones(1000, device="cuda") * 3).tolist()

    assert threes() == [3.0] * 1000
    with mt.cuda.stream(side):
        busy()
    assert threes() == [3.0] * 1000  # on the default stream, which does not wait for the other
    assert not side.query(), "the copy to the CPU waited for another stream than its own"
    side.synchronize()
    assert side.query()


def test_streams_come_from_a_pool():
    streams = [mt.cuda.Stream() for _ in range(40)]
    assert len(set(streams)) == 32 and mt.cuda.default_stream() not in streams
    assert mt.cuda.Stream(priority=-1) not in streams
    with pytest.raises(ValueError, match="a stream's priority is 2; wanted 0, or -1"):
        mt.cuda.Stream(priority=2)


@pytest.mark.parametrize("how", ("nothing", "wait_stream", "wait_event", "event.wait", "synchronize"))
def test_a_stream_sees_what_it_waited_for(how):
    side, x = mt.cuda.Stream(), mt.zeros(1000, device="cuda")
    assert (numbers(x.clone()) == 0).all()
    side.wait_stream(mt.cuda.current_stream())
    with mt.cuda.stream(side):
        busy()
        x.fill_(1.0)
        event = side.record_event()
    if how == "wait_stream":
        mt.cuda.current_stream().wait_stream(side)
    elif how == "wait_event":
        mt.cuda.current_stream().wait_event(event)
    elif how == "event.wait":
        event.wait()
    elif how == "synchronize":
        event.synchronize()
    seen = numbers(x.clone())
    # Without waiting the default stream reads first: else the other cases would prove nothing.
    np.testing.assert_array_equal(seen, np.zeros(1000) if how == "nothing" else np.ones(1000))
    side.synchronize()


def test_events_tell_when_and_how_long():
    start, end = mt.cuda.Event(enable_timing=True), mt.cuda.Event(enable_timing=True)
    assert start.query()  # never recorded: nothing to wait for
    with pytest.raises(ValueError, match="must have been recorded"):
        start.elapsed_time(end)
    began = time.perf_counter()
    start.record()
    busy()
    end.record()
    assert not end.query() and "recorded" in repr(end)
    with pytest.raises(RuntimeError, match="has not happened yet"):
        start.elapsed_time(end)
    end.synchronize()
    wall = time.perf_counter() - began
    assert end.query() and "happened" in repr(end)
    assert 0.2 < start.elapsed_time(end) / 1000 <= wall
    with pytest.raises(ValueError, match="enable_timing=True"):
        mt.cuda.Event().elapsed_time(end)


def test_measure_agrees_with_a_clock():
    mt.cuda.synchronize()
    began = time.perf_counter()
    seconds = measure(one_product, device="cuda", repeats=20, warmup=0)
    wall = time.perf_counter() - began
    assert len(seconds) == 20 and 0.5 * wall < sum(seconds) <= wall
    together = measure(one_product, device="cuda", repeats=5, warmup=1, inner=4)
    assert 0.5 < np.median(together) / np.median(seconds) < 2
    side = mt.cuda.Stream()
    with mt.cuda.stream(side):
        assert 0.5 < np.median(measure(one_product, device="cuda", repeats=5)) / np.median(seconds) < 2


def test_threads_compute_on_streams_of_their_own():
    x, weight = mt.randn(8, 3, 33, 31), mt.randn(5, 3, 3, 3)

    def step() -> np.ndarray:
        a = x.detach().to("cuda").requires_grad_()
        w = weight.detach().to("cuda").requires_grad_()
        loss = mt.nn.functional.conv2d(a, w, padding=1).relu().sum()  # its gradients use scratch memory
        loss.backward()
        return np.concatenate([numbers(loss).ravel(), numbers(a.grad).ravel(), numbers(w.grad).ravel()])

    wanted = step()
    got, failures = [], []

    def worker() -> None:
        try:
            with mt.cuda.stream(mt.cuda.Stream()):
                for _ in range(20):
                    got.append(step())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(got) == 80
    for result in got:
        np.testing.assert_array_equal(result, wanted)


def test_numbers_beside_tensors_do_not_wait_for_the_gpu():
    x = mt.ones(1000, device="cuda")

    def compute() -> mt.Tensor:
        y = 2 - x * 3
        y += 4
        y.fill_(5)
        return mt.where(y > 1, y, 0.0)

    compute()
    busy()
    y = compute()
    assert not mt.cuda.current_stream().query(), "a number's way to the GPU waited for the work before it"
    assert (numbers(y) == 5).all()


@pytest.mark.parametrize("wait", ("synchronize", "cpu", "item"))
def test_python_goes_on_while_a_thread_waits_for_the_gpu(wait):
    x = mt.ones((), device="cuda")
    busy()
    waiter = threading.Thread(
        target={"synchronize": mt.cuda.synchronize, "cpu": x.cpu, "item": x.item}[wait]  # all on the busy stream
    )
    waiter.start()
    turns = 0
    while waiter.is_alive():
        time.sleep(0.001)
        turns += 1
    waiter.join()
    assert turns > 20, "the GIL was held"


# ---------------------------------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------------------------------


def test_a_block_is_reused_at_once_on_its_stream():
    x = mt.ones(FLOATS, device="cuda")
    address = x.array.data_ptr
    busy()
    y = x + 1
    del x
    before = mt.cuda.memory_stats()["cache_hits"]
    z = mt.zeros(FLOATS, device="cuda")  # queued behind the reading
    assert z.array.data_ptr == address and mt.cuda.memory_stats()["cache_hits"] == before + 1
    assert (numbers(y) == 2).all() and (numbers(z) == 0).all()


@pytest.mark.parametrize("said_by", ("the op", "record_stream"))
def test_a_block_in_use_on_another_stream_is_left_alone(said_by):
    side = mt.cuda.Stream()
    cached = [mt.zeros(FLOATS, device="cuda") for _ in range(4)]
    side.wait_stream(mt.cuda.current_stream())
    with mt.cuda.stream(side):
        assert (numbers(cached[0] + 1) == 1).all()
    side.synchronize()
    del cached
    x = mt.ones(FLOATS, device="cuda")
    address = x.array.data_ptr
    side.wait_stream(mt.cuda.current_stream())
    with mt.cuda.stream(side):
        busy()
        if said_by == "the op":
            y = x + 1
        else:
            x.record_stream(side)
    del x
    others = [mt.zeros(FLOATS, device="cuda") for _ in range(3)]  # would overwrite it
    assert address not in [other.array.data_ptr for other in others]
    assert not side.query(), "the GPU was faster than the test"
    side.synchronize()
    assert said_by != "the op" or (numbers(y) == 2).all()
    assert mt.zeros(FLOATS, device="cuda").array.data_ptr == address


def test_a_block_of_one_stream_is_not_given_to_another():
    side = mt.cuda.Stream()
    x = mt.ones(FLOATS, device="cuda")
    address = x.array.data_ptr
    del x
    with mt.cuda.stream(side):
        assert mt.zeros(FLOATS, device="cuda").array.data_ptr != address
    assert mt.zeros(FLOATS, device="cuda").array.data_ptr == address


def test_statistics_and_empty_cache():
    before = mt.cuda.memory_allocated()
    mt.cuda.reset_peak_memory_stats()
    x = mt.empty(64 * FLOATS, device="cuda")
    assert mt.cuda.memory_allocated() == before + 64 * MEBIBYTE
    del x
    assert mt.cuda.memory_allocated() == before and mt.cuda.max_memory_allocated() == before + 64 * MEBIBYTE
    assert mt.cuda.memory_reserved() >= before + 64 * MEBIBYTE
    free, _ = mt.cuda.mem_get_info()
    mt.cuda.empty_cache()
    # Other programs take and give back memory of this GPU at the same time: once in a while the sum must show ours.
    assert any(mt.cuda.mem_get_info()[0] >= free + 64 * MEBIBYTE or time.sleep(0.1) for _ in range(50))
    assert mt.cuda.memory_reserved() == before and mt.cuda.max_memory_reserved() >= before + 64 * MEBIBYTE


def test_out_of_memory_comes_after_the_cache_was_given_back_and_says_how_much():
    free, total = mt.cuda.mem_get_info()
    most = free // 10 * 6
    x = mt.empty(most, dtype=mt.uint8, device="cuda")
    del x  # now in the cache
    y = mt.empty(free // 10 * 7, dtype=mt.uint8, device="cuda")  # fits only without the cached block
    held = mt.cuda.memory_allocated() // MEBIBYTE
    with pytest.raises(MemoryError) as raised:
        mt.empty(free // 10 * 7, dtype=mt.uint8, device="cuda")
    told = re.search(
        r"asked for (\d+) MiB more on cuda; mytensor holds (\d+) MiB in use and had (\d+) MiB cached .*; the GPU has "
        r"(\d+) MiB free of (\d+) MiB",
        str(raised.value),
    )
    assert told, str(raised.value)
    asked, in_use, _, left, of = map(int, told.groups())
    assert asked >= free // 10 * 7 // MEBIBYTE and in_use == held and left < asked and of == total // MEBIBYTE
    del y
    with pytest.raises(MemoryError, match="asked for"):
        mt.empty(100 * total, dtype=mt.uint8, device="cuda")
    assert mt.ones(3, device="cuda").sum().item() == 3


@pytest.mark.parametrize("mode", ("plain", "debug"))
def test_other_memory_modes_with_streams(mode):
    side = mt.cuda.Stream()
    previous = mt.memory_mode()
    mt.set_memory_mode(mode)
    try:
        x = mt.ones(FLOATS, device="cuda")
        side.wait_stream(mt.cuda.current_stream())
        with mt.cuda.stream(side):
            y = x * 2
            del x
            if mode == "debug":
                assert np.isnan(numbers(mt.empty(5, device="cuda"))).all()
            assert (numbers(y) == 2).all()
    finally:
        mt.set_memory_mode(previous)


# ---------------------------------------------------------------------------------------------------------------------
# Pinned memory
# ---------------------------------------------------------------------------------------------------------------------


def test_pinned_memory():
    x = mt.tensor([[1, 2, 3]], dtype=mt.int64)
    pinned = x.pin_memory()
    assert pinned.is_pinned() and not x.is_pinned() and pinned.pin_memory() is pinned
    assert pinned.dtype == x.dtype and pinned.tolist() == x.tolist() and pinned.device == "cpu"
    assert (pinned + 1).tolist() == [[2, 3, 4]]  # an ordinary array of the CPU
    assert pinned.to("cuda", non_blocking=True).cpu().tolist() == x.tolist()
    assert mt.empty(0, 3).pin_memory().to("cuda", non_blocking=True).shape == (0, 3)
    with pytest.raises(ValueError, match="only memory of the CPU can be pinned"):
        x.cuda().pin_memory()


def test_a_copy_from_pinned_memory_overlaps_with_compute():
    values = np.arange(16 * FLOATS, dtype=np.float32)
    pinned, side = mt.tensor(values).pin_memory(), mt.cuda.Stream()
    with mt.cuda.stream(side):
        pinned.to("cuda")
    busy()
    with mt.cuda.stream(side):
        there = pinned.to("cuda", non_blocking=True)
    side.synchronize()
    assert not mt.cuda.current_stream().query(), "the copy waited for the compute of another stream"
    np.testing.assert_array_equal(numbers(there), values)


def test_a_blocking_copy_waits_for_its_stream():
    pinned = mt.zeros(FLOATS).pin_memory()
    busy()
    there = pinned.to("cuda")
    assert mt.cuda.current_stream().query(), "pinned memory might be written while it is read"
    busy()
    there.cpu()
    assert mt.cuda.current_stream().query()


def test_a_copy_to_pinned_memory_is_queued_too():
    x = mt.ones(FLOATS, device="cuda")
    mt.zeros(FLOATS).pin_memory()
    busy()
    x.fill_(2.0)
    back = x.to("cpu", non_blocking=True)
    done = mt.cuda.current_stream().record_event()
    assert back.is_pinned() and not done.query(), "the call waited"
    done.synchronize()
    assert (back.numpy() == 2).all()
    assert not x.to("cpu").is_pinned()


def test_pinned_memory_in_flight_is_not_reused():
    cached = [mt.zeros(FLOATS).pin_memory() for _ in range(2)]
    cached[0].cuda()
    del cached
    pinned = mt.full((FLOATS,), 7.0).pin_memory()
    address = pinned.array.data_ptr
    busy()
    there = pinned.cuda(non_blocking=True)
    assert not mt.cuda.current_stream().query(), "the call waited"
    del pinned
    other = mt.full((FLOATS,), -1.0).pin_memory()  # would overwrite it
    assert other.array.data_ptr != address
    assert (numbers(there) == 7).all()
    again = mt.full((FLOATS,), -1.0).pin_memory()
    assert again.array.data_ptr == address


def test_gradients_flow_through_a_queued_copy():
    x = mt.randn(4, 5).pin_memory().requires_grad_()
    (x.to("cuda", non_blocking=True) * 3).sum().backward()
    assert x.grad.device == "cpu" and (x.grad.numpy() == 3).all()


# ---------------------------------------------------------------------------------------------------------------------
# torch beside us
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no GPU")
def test_memory_of_another_library_is_given_back_after_its_last_use():
    class Theirs:
        """Of a library from before DLPack 1.0: it knows no max_version."""

        def __init__(self) -> None:
            self.array = torch.full((1000,), 2.0, device="cuda")

        def __dlpack__(self, stream: int) -> object:
            assert stream == mt.cuda.current_stream().cuda_stream
            return self.array.__dlpack__(stream=stream)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.array.__dlpack_device__()

    side = mt.cuda.Stream()
    with mt.cuda.stream(side):
        shared = mt.from_dlpack(Theirs())
        ours = shared + 1
        busy()
        ours = shared + 1
        assert not side.query(), "the GPU was faster than the test"
        del shared
        assert side.query(), "its owner may reuse it while our stream still reads it"
    assert (numbers(ours) == 3).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no GPU")
def test_memory_is_shared_with_torch_on_any_stream():
    torch_stream = torch.cuda.Stream()
    with torch.cuda.stream(torch_stream), mt.cuda.stream(mt.cuda.ExternalStream(torch_stream.cuda_stream)):
        busy()
        theirs = torch.full((1000,), 2.0, device="cuda")
        ours = mt.from_dlpack(theirs) * 3
        back = torch.from_dlpack(ours)
        assert back.add(1).cpu().tolist() == [7.0] * 1000
    side = mt.cuda.Stream()
    theirs = torch.full((FLOATS,), 2.0, device="cuda")
    with mt.cuda.stream(side):
        busy()
        shared = mt.from_dlpack(theirs)
        ours = shared + 1
    del theirs, shared  # torch gets its memory back, but only after our stream has read it
    torch.full((FLOATS,), 9.0, device="cuda")
    assert (numbers(ours) == 3).all()


# ---------------------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------------------


def test_an_index_out_of_range_kills_nothing():
    x = mt.randn(5, 4, device="cuda")
    with pytest.raises(IndexError, match=r"index\[1\] is 5"):
        x.index_select(0, mt.tensor([0, 5], device="cuda"))
    assert x.sum().item() == pytest.approx(float(numbers(x).sum()), rel=1e-5)


ILLEGAL_ADDRESS = textwrap.dedent("""
    import ctypes
    import mytensor as mt
    import mytensor_backend as backend
    import torch

    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]

    class Nowhere:
        '''An array of the GPU whose address is not its.'''
        def __dlpack__(self, stream=None):
            capsule = torch.ones(3, 50, device="cuda").__dlpack__()
            ctypes.cast(get_pointer(capsule, b"dltensor"), ctypes.POINTER(ctypes.c_void_p))[0] = 0x10000
            return capsule
        def __dlpack_device__(self):
            return 2, 0

    x = backend.from_dlpack(Nowhere())
    kept = mt.ones(4, device="cuda")
    for attempt in ("first", "second"):
        try:
            y = backend.relu(x)
            print("started", flush=True)
            backend.synchronize("cuda")
        except backend.CudaError as error:
            print(f"<{attempt}>", error, f"</{attempt}>", sep="\\n", flush=True)
    del kept, x
    mt.cuda.memory_stats()
    assert mt.ones(3).sum().item() == 3.0
    print("Python lives")
""")


def run_python(source: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=300,
        env={name: value for name, value in os.environ.items() if name != "CUDA_LAUNCH_BLOCKING"} | environment,
    )


def test_an_illegal_address_is_an_exception_with_kernel_launch_and_shapes():
    result = run_python(ILLEGAL_ADDRESS)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("Python lives\n")
    first = result.stdout.partition("<first>")[2].partition("</first>")[0]
    assert "an illegal memory access was encountered (cudaErrorIllegalAddress)" in first, result.stdout
    latest = first.partition("The kernels launched last, the latest first:")[2]
    launch, op = latest.strip("\n").splitlines()[:2]
    assert re.fullmatch(
        r"  launch\(.+\) with grid \(\d+, 1, 1\), block \(\d+, 1, 1\), 0 bytes of dynamic shared memory,", launch
    )
    assert op == "    for relu(x float32 (3, 50))"
    assert "The GPU's state is lost: restart Python." in first and "CUDA_LAUNCH_BLOCKING=1" in first
    assert "cudaErrorIllegalAddress" in result.stdout.partition("<second>")[2]  # it is sticky


def test_with_blocking_launches_the_error_names_its_kernel_alone():
    result = run_python(ILLEGAL_ADDRESS, CUDA_LAUNCH_BLOCKING="1")
    assert result.returncode == 0, result.stderr
    first = result.stdout.partition("<first>")[2].partition("</first>")[0]
    assert "started" not in result.stdout.partition("<first>")[0]
    assert first.count("launch(") == 1 and "for relu(x float32 (3, 50))" in first and "The kernel:" in first


def test_a_forked_child_is_told_and_lives():
    result = run_python(
        textwrap.dedent("""
            import os
            import mytensor as mt

            x = mt.ones(1000, device="cuda")
            x + 1
            child = os.fork()
            if child == 0:
                assert not mt.cuda.is_available() and mt.default_device() == "cpu"
                for door in (lambda: mt.ones(1, device="cuda"), mt.cuda.Stream, x.cpu, lambda: x + 1):
                    try:
                        door()
                    except (NotImplementedError, RuntimeError) as error:
                        assert "does not survive a fork" in str(error), error
                    else:
                        raise AssertionError("no error")
                del x
                assert (mt.ones(3) + 1).sum().item() == 6.0
                print("the child lives", flush=True)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert (x + 1).sum().item() == 2000.0
            print("the parent lives")
        """)
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "the child lives\nthe parent lives\n"


# ---------------------------------------------------------------------------------------------------------------------
# Ranges for a profiler
# ---------------------------------------------------------------------------------------------------------------------


def test_annotated_ops_on_the_gpu():
    assert mt.cuda.nvtx.is_available()
    x = mt.randn(7, 5, device="cuda")
    plain = numbers(mt.softmax(x, 1))
    with mt.cuda.nvtx.annotate_ops(), mt.cuda.nvtx.range("softmax of {}", x.shape):
        np.testing.assert_array_equal(numbers(mt.softmax(x, 1)), plain)
