"""Fixtures of the tests."""

import secrets
import signal

import mytensor_backend as backend
import numpy as np
import pytest


@pytest.fixture
def poisoned_memory():
    """Outputs hold NaN before a kernel runs and stand between red zones, which are looked at after the test."""
    before = backend.memory_mode()
    backend.set_memory_mode("debug")
    yield
    backend.check_red_zones()
    backend.set_memory_mode(before)


@pytest.fixture
def rng():
    """Fresh numbers in every run; the seed is printed when a test fails."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_works():
    """A shell that starts a job in the background lets it ignore SIGINT; tests of Ctrl-C would then wait for ever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
