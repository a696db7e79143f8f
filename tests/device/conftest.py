"""The devices that run csrc/cuda's kernels here: the emulator always, a GPU where there is one."""

import mytensor_backend as backend
import pytest


def _has_gpu() -> bool:
    try:
        backend.full((1,), 0.0, backend.float32, "cuda")
    except (NotImplementedError, RuntimeError, ValueError):
        return False
    return True


def pytest_generate_tests(metafunc):
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", ["simt", "cuda"] if _has_gpu() else ["simt"])


@pytest.fixture(autouse=True)
def emulator():
    if problem := backend.simt_problem():
        pytest.skip(problem)
