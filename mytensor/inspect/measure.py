"""Timing one call, for the workbook's measurements."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_time(call: Callable[[], object], seconds: float = 0.2) -> float:
    """The shortest time of one `call()`, in seconds, over as many repeats as fit in about `seconds`.

    The shortest, because whatever else runs on the machine can only add to it. The first calls, which fill caches and
    start threads, are not counted.
    """
    for _ in range(3):
        call()
    shortest = float("inf")
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        call()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest
