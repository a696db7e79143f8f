"""Measuring how long a call takes: device events on a GPU, the clock of this process elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from mytensor import cuda

DEVICES = ("cpu", "cuda", "simt")


def measure(
    call: Callable[[], object], *, device: str = "cpu", repeats: int = 30, warmup: int = 5, inner: int = 1
) -> list[float]:
    """The seconds that ``call()`` takes, one number for each of ``repeats`` measurements, in the order they were made.

    device: where the call computes. On "cuda" a kernel runs after the call has returned, so the GPU itself notes the
        time: between two events on the current stream. The measurements are queued one behind the other and waited for
        at the end, so that a kernel does not wait for Python, if it takes longer than Python needs to start the next.
        On "cpu" and "simt" an op has ended when it returns, and the clock of this process is read.
    warmup: calls before the first measurement, which are not measured: caches fill, the GPU's clock rises.
    inner: calls between two readings of the clock, whose time is divided by their number: for calls so short that a
        reading would cost as much as they do.

    The repeats are returned as they are: which of median, minimum or mean tells the truth is the caller's choice.
    ValueError: a number is too small, or there is no such device. NotImplementedError: no GPU.
    """
    if device not in DEVICES:
        raise ValueError(f"measure: device is {device!r}; wanted one of {', '.join(map(repr, DEVICES))}")
    for name, value, least in (("repeats", repeats, 1), ("warmup", warmup, 0), ("inner", inner, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"measure: {name} is {value!r}; wanted an int, at least {least}")
    for _ in range(warmup):
        call()
    return _by_events(call, repeats, inner) if device == "cuda" else _by_clock(call, repeats, inner)


def _by_clock(call: Callable[[], object], repeats: int, inner: int) -> list[float]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(inner):
            call()
        seconds.append((time.perf_counter() - start) / inner)
    return seconds


def _by_events(call: Callable[[], object], repeats: int, inner: int) -> list[float]:
    pairs = [(cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)) for _ in range(repeats)]
    cuda.current_stream().synchronize()
    for start, end in pairs:
        start.record()
        for _ in range(inner):
            call()
        end.record()
    pairs[-1][1].synchronize()
    return [start.elapsed_time(end) / 1000.0 / inner for start, end in pairs]
