"""Where the time of a training step goes: the backend's operations under the clock, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import mytensor_backend as backend

from mytensor.timing import measure

# Parts of the backend that compute nothing, or wait themselves.
_NOT_TIMED = {
    "synchronize",
    "memory_stats",
    "selected_kernel",
    "select_kernel",
    "kernels",
    "from_numpy",
    "get_num_threads",
    "empty",
    "versions",
}


@dataclass
class StepTimes:
    """By operation: how often it was called, and the seconds of each call. whole: seconds of each step."""

    calls: dict[str, list[float]] = field(default_factory=dict)
    whole: list[float] = field(default_factory=list)

    def shares(self) -> list[tuple[str, float, float]]:
        """(operation, calls a step, seconds a step), the most expensive first; last what is none of them: Python,
        the graph, and the making of arrays."""
        steps = max(1, len(self.whole))
        rows = [(name, len(seconds) / steps, sum(seconds) / steps) for name, seconds in self.calls.items()]
        rest = sum(self.whole) / steps - sum(seconds for _, _, seconds in rows)
        return [*sorted(rows, key=lambda row: -row[2]), ("Python and the rest", 0.0, rest)]


def step_times(step: Callable[[], Any], device: str = "cpu", steps: int = 20) -> StepTimes:
    """Run ``step`` some times with every operation of the backend timed.

    On a device the clock waits for each operation, which a training never does: the times say which operation is
    dear, their sum is more than a step takes. Steps before the first are not counted.
    """
    for _ in range(3):
        step()
    backend.synchronize(device)
    times = StepTimes()

    def finished_step() -> None:
        step()
        backend.synchronize(device)

    with _timed(times, device):
        times.whole = measure(finished_step, repeats=steps, warmup=0)
    return times


@contextmanager
def _timed(times: StepTimes, device: str) -> Iterator[None]:
    """Inside, the functions of the backend are wrapped in a clock: the ops look them up in the module at each call."""
    originals = {
        name: function
        for name, function in vars(backend).items()
        if type(function).__name__ == "builtin_function_or_method" and name not in _NOT_TIMED
        if not name.startswith("_")
    }

    def wrap(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def clocked(*arguments, **options):
            synchronize(device)
            began = time.perf_counter()
            result = function(*arguments, **options)
            synchronize(device)
            times.calls.setdefault(name, []).append(time.perf_counter() - began)
            return result

        return clocked

    synchronize = backend.synchronize
    try:
        for name, function in originals.items():
            setattr(backend, name, wrap(name, function))
        yield
    finally:
        for name, function in originals.items():
            setattr(backend, name, function)
