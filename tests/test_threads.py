"""The threads that compute on the CPU: the pool by itself, watched by a race detector, and under kernels."""

import os
import pathlib
import shlex
import subprocess
import threading

import mytensor_backend as backend
import numpy as np
import pytest
from arrays import nd

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = [*shlex.split(os.environ.get("CXX", "c++")), "-std=c++17", "-O1", "-g", "-pthread"]


def runs(folder: pathlib.Path, *flags: str) -> bool:
    """Whether a program built with these flags starts here: not every machine has the race detector, or lets it map
    its memory."""
    made = folder / "probe"
    command = [*COMPILER, *flags, "-x", "c++", "-", "-o", str(made)]
    built = subprocess.run(command, input="int main() { return 0; }", capture_output=True, text=True)
    return built.returncode == 0 and subprocess.run([made], capture_output=True).returncode == 0


@pytest.mark.parametrize("detector", ["", "-fsanitize=thread"])
def test_the_pool_does_each_range_once(tmp_path, detector):
    """Short and long ranges, helpers asleep, late ones, several callers, calls within calls: tests/runtime says how."""
    flags = [detector] if detector and runs(tmp_path, detector) else []
    made = tmp_path / "thread_pool"
    sources = [ROOT / "tests" / "runtime" / "thread_pool.cpp", ROOT / "csrc" / "cpu" / "thread_pool.cpp"]
    command = [*COMPILER, *flags, "-Wall", "-Wextra", f"-I{ROOT / 'csrc'}", *map(str, sources), "-o", str(made)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0 and not result.stderr, result.stderr
    result = subprocess.run([made], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", ""), result.stdout + result.stderr


def test_kernels_called_from_several_threads_at_once(rng):
    """One of them gets the pool, the others do their work alone: the same bits for all."""
    image = nd(rng.normal(size=(16, 3, 32, 32)).astype(np.float32))
    weight = nd(rng.normal(size=(6, 3, 3, 3)).astype(np.float32))

    def compute() -> bytes:
        return backend.conv2d(image, weight).numpy().tobytes()

    before = backend.get_num_threads()
    backend.set_num_threads(3)
    try:
        wanted, results = compute(), []
        threads = [threading.Thread(target=lambda: results.extend(compute() for _ in range(50))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        backend.set_num_threads(before)
    assert len(results) == 200 and set(results) == {wanted}
