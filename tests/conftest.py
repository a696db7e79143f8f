"""Fixtures of the tests."""

import os
import secrets
import signal

import mytensor_backend as backend
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# What hypothesis draws: "stable" the same in every run, "fresh" (MYTENSOR_HYPOTHESIS=fresh) something new each time,
# where a failure prints how to repeat it.
settings.register_profile(
    "stable", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("fresh", settings.get_profile("stable"), derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("MYTENSOR_HYPOTHESIS", "stable"))


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


def pytest_collection_modifyitems(items):
    """A test's name is the same in every process, or pytest-xdist, which shares the tests out by name, runs none."""
    moving = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if moving:
        raise pytest.UsageError(f"these tests have an address in their names; give them ids: {moving}")
