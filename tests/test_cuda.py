"""What surrounds the CUDA kernels, as far as it can be tested without a GPU: the allocator's bookkeeping with streams
over a GPU that is played, what errors tell, and what is said where CUDA cannot be used. tests/device has the rest."""

import os
import pathlib
import shlex
import shutil
import subprocess

import mytensor_backend as backend
import pytest

import mytensor as mt
from mytensor import devices, timing
from mytensor.__main__ import main
from mytensor.data import synthetic

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = shlex.split(os.environ.get("CXX", "c++"))

without_gpu = pytest.mark.skipif(mt.cuda.is_available(), reason="a GPU is here, so nothing is refused")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Builds tests/runtime/<name>.cpp with one source of csrc/."""

    def build(name: str, source: str) -> str:
        made = tmp_path_factory.mktemp("runtime") / name
        flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", f"-I{ROOT / 'csrc'}", "-pthread"]
        sources = [ROOT / "tests" / "runtime" / f"{name}.cpp", ROOT / "csrc" / source]
        result = subprocess.run(
            [*COMPILER, *flags, *map(str, sources), "-o", str(made)], capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stderr
        assert "warning" not in result.stderr
        return str(made)

    return build


@pytest.fixture(scope="module")
def allocator(program):
    return program("allocator", "device/allocator.cpp")


ALLOCATOR_TESTS = [
    "same_stream_reuses_at_once",
    "another_stream_does_not_get_it",
    "used_elsewhere_it_waits",
    "it_waits_for_every_stream",
    "uses_are_forgotten_with_the_block",
    "a_block_that_waits_stays_in_its_streams_cache",
    "pinned_memory_waits_for_its_copy",
    "the_cpu_notes_nothing",
    "empty_cache_waits_and_gives_all_back",
    "a_full_gpu_gets_the_cache_back_first",
    "out_of_memory_says_how_much",
    "a_broken_gpu_loses_the_block_and_nothing_else",
    "foreign_memory_is_waited_for",
    "plain_mode_keeps_nothing",
    "peaks_are_counted_from_the_reset",
]


@pytest.mark.parametrize("name", ALLOCATOR_TESTS)
def test_allocator_with_streams(allocator, name):
    result = subprocess.run([allocator, name], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    if name == "out_of_memory_says_how_much":
        assert result.stdout == (
            "out of memory: asked for 7 MiB more on cuda; mytensor holds 4 MiB in use and had 2 MiB cached (given back "
            "before the last try); the GPU has 6 MiB free of 10 MiB; other programs and CUDA itself have the rest. Use "
            "smaller shapes or batches, or delete arrays you no longer need."
        )


def test_no_allocator_test_is_left_out(allocator):
    listed = subprocess.run([allocator], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert sorted(listed) == sorted(ALLOCATOR_TESTS)


def test_an_error_tells_of_the_latest_launches(program):
    notes = program("launch_notes", "device/cuda/launch_notes.cpp")
    told = subprocess.run([notes], capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.startswith("[]\n  launch(")
    listed, _, latest = told.removeprefix("[]").partition("---")
    lines = listed.strip("\n").splitlines()
    fill = "launch(set_all<T>, blocks, kThreads, 0, array.data<T>()) with"
    assert lines == [
        f"  {fill} grid (5, 2, 3), block (32, 5, 1), 500 bytes of dynamic shared memory,",
        "    for conv2d(input float32 (2, 3, 32, 32), shape ())",
        "  launch(reduce, 1, 1, 0) with grid (4, 2, 3), block (32, 4, 1), 0 bytes of dynamic shared memory",
        f"  {fill} grid (3, 2, 3), block (32, 3, 1), 300 bytes of dynamic shared memory,",
        "    for conv2d(" + ", ".join(f"parameters float64 (2, {n})" for n in range(6)) + ", and 2 more)",
        f"  {fill} grid (2, 2, 3), block (32, 2, 1), 200 bytes of dynamic shared memory,",
        "    for relu(x float32 (5,))",
    ]
    assert latest.strip("\n").splitlines() == lines[:2]


# ---------------------------------------------------------------------------------------------------------------------
# Why CUDA does not work here
# ---------------------------------------------------------------------------------------------------------------------

H100 = ("NVIDIA H100", 9, 0)
A100 = ("NVIDIA A100", 8, 0)
T4 = ("Tesla T4", 7, 5)
BLACKWELL = ("NVIDIA B200", 10, 0)


@pytest.mark.parametrize(
    ("runtime", "driver", "architectures", "gpus", "rest", "told"),
    [
        # It works: machine code of the GPU, of an older one of its family, or PTX that the driver can compile.
        (13000, 13000, "90", [H100], {}, ""),
        (13000, 13010, "80", [("NVIDIA RTX 3090", 8, 6)], {}, ""),
        (13000, 13000, "80", [H100], {}, ""),
        (12080, 13000, "80 90", [H100, T4], {}, ""),
        (12080, 12020, "80 90", [H100], {}, ""),  # a newer toolkit of the same major version, and no PTX is needed
        (13000, 13000, "90a", [H100], {}, ""),
        # It does not.
        (13000, 0, "80", [], {}, "no driver"),
        (13000, 13000, "80", [], {}, "no GPU: the driver is here but shows none; is CUDA_VISIBLE_DEVICES set"),
        (13000, 13000, "80", [], {"error": "out of memory"}, "out of memory"),
        (
            *(13000, 12040, "80 90", []),
            {"error": "CUDA driver version is insufficient for CUDA runtime version"},
            "the driver is too old: mytensor was built with CUDA 13.0, and the NVIDIA driver here knows CUDA up to "
            "12.4. Update the driver, or build mytensor with a CUDA toolkit up to 12.4",
        ),
        (
            *(13000, 13000, "80", [T4], {}),
            "the GPU is too old: Tesla T4 has compute capability 7.5, and the kernels need 8.0 or newer",
        ),
        (
            *(13000, 13000, "90", [A100], {}),
            "no kernels for this GPU: NVIDIA A100 has compute capability 8.0, and mytensor was built for 90. "
            "`MYTENSOR_CUDA_ARCHS=80 pip install -e .` builds for it",
        ),
        (13000, 13000, "80 90a", [BLACKWELL], {}, "`MYTENSOR_CUDA_ARCHS=100 pip install -e .` builds for it"),
        (
            *(12080, 12020, "80", [H100], {}),
            "what the driver could compile for it (PTX) is too new: mytensor was built with CUDA 12.8, and the NVIDIA "
            "driver here knows CUDA up to 12.2. `MYTENSOR_CUDA_ARCHS=90 pip install -e .` builds for it",
        ),
        (
            13000,
            13000,
            "90",
            [H100],
            {"is_forked": True},
            "CUDA does not survive a fork; start it with multiprocessing",
        ),
    ],
)
def test_what_is_wrong_with_cuda_is_explained(runtime, driver, architectures, gpus, rest, told):
    explanation = backend.explain_cuda(runtime, driver, architectures, gpus, **rest)
    assert told in explanation
    assert bool(told) == bool(explanation)


@without_gpu
def test_without_a_gpu_every_door_says_why():
    problem = mt.cuda.problem()
    assert problem and not mt.cuda.is_available() and mt.cuda.device_count() == 0
    doors = [
        mt.cuda.Stream,
        mt.cuda.Event,
        mt.cuda.synchronize,
        mt.cuda.mem_get_info,
        mt.cuda.get_device_name,
        mt.cuda.get_device_capability,
        mt.cuda.current_stream().synchronize,
        mt.cuda.current_stream().query,
        mt.ones(3).pin_memory,
        mt.ones(3).cuda,
        lambda: mt.ones(3, device="cuda"),
        lambda: timing.measure(lambda: None, device="cuda"),
    ]
    for door in doors:
        with pytest.raises(NotImplementedError, match="device 'cuda'"):
            door()
    assert not mt.ones(3).is_pinned()
    assert mt.cuda.memory_stats()["reserved"] == mt.cuda.memory_allocated() == 0
    mt.cuda.empty_cache()
    mt.cuda.reset_peak_memory_stats()


@without_gpu
def test_training_on_a_gpu_that_is_not_there_ends_with_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mytensor.__main__.synthetic", lambda count, seed: synthetic(24, seed))
    assert main(["train", "--synthetic", "--device", "cuda", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("mytensor: train: there is no GPU to train on") and len(told.err.splitlines()) == 1


@without_gpu
def test_without_a_gpu_the_default_device_is_the_cpu():
    assert mt.default_device() == "cpu"
    device, why = devices.choose_device()
    assert device == "cpu" and mt.cuda.problem() in why


def test_a_gpu_that_works_is_the_default(monkeypatch):
    gpu = {"name": "GPU X", "compute_capability": (9, 0), "total_memory": 2**33}
    info = {"built": True, "runtime_version": "13.0", "driver_version": "13.0", "gpus": [gpu, gpu], "problem": None}
    monkeypatch.setattr(mt.cuda, "_info", lambda: info)
    assert mt.default_device() == "cuda" and devices.choose_device() == ("cuda", "GPU X is here")
    assert mt.cuda.device_count() == 2 and mt.cuda.get_device_capability("cuda:1") == (9, 0)
    for wrong in (2, -1, "cuda:2", "cpu"):
        with pytest.raises(ValueError, match="there is no GPU"):
            mt.cuda.get_device_name(wrong)
    assert mt.ones(2).device == "cpu"  # as in torch
    info["problem"] = "no kernels for this GPU"
    assert devices.choose_device() == ("cpu", "no GPU to use: no kernels for this GPU")


def test_the_current_stream_belongs_to_the_thread_and_is_given_back():
    import threading

    side = mt.cuda.ExternalStream(0x1234)  # nothing runs on it
    default = mt.cuda.default_stream()
    assert mt.cuda.current_stream() == default and default.cuda_stream == 0
    with pytest.raises(KeyError), mt.cuda.stream(side):
        assert mt.cuda.current_stream() == side and hash(mt.cuda.current_stream()) == hash(side)
        with mt.cuda.stream(None):
            assert mt.cuda.current_stream() == side
        with mt.cuda.stream(default):
            assert mt.cuda.current_stream() == default
        seen = []
        thread = threading.Thread(target=lambda: seen.append(mt.cuda.current_stream()))
        thread.start()
        thread.join()
        assert seen == [default]
        assert mt.cuda.current_stream() == side
        raise KeyError
    assert mt.cuda.current_stream() == default


def test_record_stream_wants_memory_that_a_gpu_uses():
    with pytest.raises(ValueError, match="the array is on cpu; wanted one on device cuda, or in pinned memory"):
        mt.ones(3).record_stream(mt.cuda.default_stream())


def test_a_blocking_copy_does_not_mind_being_asked_not_to_block():
    x = mt.randn(4, 5, requires_grad=True)
    assert x.to("cpu", non_blocking=True) is x
    y = x.to("simt", non_blocking=True)
    (y * 2).sum().backward()
    assert (x.grad == 2).sum().item() == 20 and y.cpu().tolist() == x.tolist()


# ---------------------------------------------------------------------------------------------------------------------
# Ranges for a profiler
# ---------------------------------------------------------------------------------------------------------------------


def test_ranges_nest_and_end():
    nvtx = mt.cuda.nvtx
    assert nvtx.range_push("outer") == 0
    with nvtx.range("epoch {}", 3):
        assert nvtx.range_push("inner {") == 2
        assert nvtx.range_pop() == 2
    with pytest.raises(KeyError), nvtx.range("{not a field}"):
        raise KeyError
    nvtx.mark("here")
    assert nvtx.range_pop() == 0
    with pytest.raises(RuntimeError, match="no range is open in this thread"):
        nvtx.range_pop()


def test_annotated_ops_compute_the_same():
    x = mt.randn(3, 4)
    plain = mt.relu(x).tolist()
    with mt.cuda.nvtx.annotate_ops():
        assert mt.relu(x).tolist() == plain
        with pytest.raises(ValueError, match="matmul"):
            mt.matmul(x, x)  # the range ends here too
        with mt.cuda.nvtx.annotate_ops(False):
            assert backend.nvtx_annotate_ops(False) is False
    assert backend.nvtx_annotate_ops(False) is False


def test_the_cuda_runtime_is_linked_statically():
    """So that the extension can be imported where there is no driver (and no CUDA at all)."""
    if not backend.build_info()["cuda"]:
        pytest.skip("built without CUDA")
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("there is no readelf to list what a library needs")
    listed = subprocess.run([readelf, "-d", backend.__file__], capture_output=True, text=True, check=True).stdout
    needed = [line for line in listed.splitlines() if "NEEDED" in line]
    assert needed and not [line for line in needed if "cuda" in line.lower()]
