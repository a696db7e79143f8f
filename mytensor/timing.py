"""The one way to measure how long something takes, here and in the workbook. Says so where the machine is busy.

`measure` times a short call many times, `best_time` gives the shortest of as many as fit, and a `Stopwatch` times a
block once. On a GPU `measure` lets the GPU itself note the time; the others wait for the device at both ends.
"""

from __future__ import annotations

import os
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import mytensor_backend as backend

from mytensor import cuda
from mytensor.devices import DEVICES


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
    ValueError: a number is too small, or there is no such device. NotImplementedError: no GPU. Warns MachineIsBusy.
    """
    if device not in DEVICES:
        raise ValueError(f"measure: device is {device!r}; wanted one of {', '.join(map(repr, DEVICES))}")
    for name, value, least in (("repeats", repeats, 1), ("warmup", warmup, 0), ("inner", inner, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"measure: {name} is {value!r}; wanted an int, at least {least}")
    for _ in range(warmup):
        call()
    before = _Usage.now()
    seconds = _by_events(call, repeats, inner) if device == "cuda" else _by_clock(call, repeats, inner)
    _warn_if_busy(before)
    return seconds


def best_time(call: Callable[[], object], seconds: float = 0.2) -> float:
    """The shortest time of one ``call()``, in seconds, over as many repeats as fit in about ``seconds``.

    The shortest, because whatever else runs on the machine can only add to it. The first calls, which fill caches and
    start threads, are not counted. Warns MachineIsBusy.
    """
    for _ in range(3):
        call()
    before = _Usage.now()
    shortest = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        shortest = min(shortest, *_by_clock(call, repeats=1, inner=1))
    _warn_if_busy(before)
    return shortest


class Stopwatch:
    """`with Stopwatch(device) as watch:` times a block; `watch.seconds` is what it took, or inside, what it has taken.

    device: the clock waits at both ends until the device has done all it was given. Warns MachineIsBusy at the end.
    """

    def __init__(self, device: str = "cpu"):
        self.device = device
        self._seconds: float | None = None

    def __enter__(self) -> Stopwatch:
        backend.synchronize(self.device)
        self._before = _Usage.now()
        self._seconds, self._began = None, time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception) -> None:
        if kind is None:
            backend.synchronize(self.device)
        self._seconds = self.seconds
        if kind is None:
            _warn_if_busy(self._before)

    @property
    def seconds(self) -> float:
        """Seconds from the beginning of the block to its end, or to now."""
        return time.perf_counter() - self._began if self._seconds is None else self._seconds


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


# ---------------------------------------------------------------------------------------------------------------------
# Is the machine ours alone?
# ---------------------------------------------------------------------------------------------------------------------


class MachineIsBusy(UserWarning):
    """Other programs used processors that a measurement wanted: its times say little about the code."""


# Each measurement is told of, also where it is the same line of a cell that is run again.
warnings.simplefilter("always", MachineIsBusy)

_STAT = Path("/proc/stat")
_LEAST = 0.1  # seconds: Linux counts processor time in ticks of 0.01 s, so that shorter spans say nothing
_LONGEST = 2.0  # seconds: what happened before says nothing about now


class _Usage(NamedTuple):
    """Processor time used until a moment, in seconds; of everybody, this process included, and of this process."""

    moment: float
    everybody: float
    ours: float

    @classmethod
    def now(cls) -> _Usage | None:
        """None where the system does not count it: nothing is then said of other programs."""
        try:
            # user nice system idle iowait irq softirq steal: steal is what the machine's host gave to others.
            user, nice, system, _, _, irq, softirq, steal = map(int, _STAT.read_text().split(maxsplit=9)[1:9])
        except (OSError, ValueError):
            return None
        ticks = user + nice + system + irq + softirq + steal
        usage = cls(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time())
        _recent.append(usage)
        return usage


_recent: deque[_Usage] = deque(maxlen=64)


def _warn_if_busy(before: _Usage | None) -> None:
    """Warns the caller of the measuring function, unless enough processors were free since `before`."""
    if before is None:
        return
    if time.monotonic() - before.moment < _LEAST:
        now = time.monotonic()
        older = [usage for usage in _recent if _LEAST <= now - usage.moment < _LONGEST]
        if older:
            before = older[-1]
        else:
            time.sleep(_LEAST - (now - before.moment))
    after = _Usage.now()
    if after is None:
        return
    span = after.moment - before.moment
    others = (after.everybody - before.everybody - (after.ours - before.ours)) / span
    cores = os.cpu_count() or 1
    wanted = min(backend.get_num_threads(), cores)
    doubt = 0.25 + 0.03 / span  # a desktop at rest, and the ticks
    if cores - others < wanted - doubt:
        warnings.warn(
            f"this machine is busy: times are not to be trusted (other programs used {others:.1f} of its {cores} "
            f"processors, and {wanted} were wanted)",
            MachineIsBusy,
            stacklevel=3,
        )
