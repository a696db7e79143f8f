"""NVTX: names for stretches of time, which NVIDIA's profilers (Nsight Systems) show above the kernels.

    with mt.cuda.nvtx.range("epoch"):     a range of one's own
        ...
    mt.cuda.nvtx.annotate_ops()           and one for each op of the backend, by its name

Without a profiler these calls do nothing, and where the backend was built without NVTX's headers, too.
"""

from __future__ import annotations

import contextlib
import threading

import mytensor_backend as backend

_depth = threading.local()


def is_available() -> bool:
    """Whether the backend was built with NVTX. (Whether a profiler listens, nobody can tell.)"""
    return backend.nvtx_available()


def range_push(message: str) -> int:
    """Begins a range inside those of this thread that are open; returns how many those are."""
    depth = getattr(_depth, "open", 0)
    backend.nvtx_push(str(message))
    _depth.open = depth + 1
    return depth


def range_pop() -> int:
    """Ends the range begun last in this thread; returns how many are still open. RuntimeError: none is open."""
    depth = getattr(_depth, "open", 0)
    if depth == 0:
        raise RuntimeError("range_pop: no range is open in this thread; range_push opens one")
    backend.nvtx_pop()
    _depth.open = depth - 1
    return depth - 1


@contextlib.contextmanager
def range(message: str, *args, **kwargs):
    """Names the time that the with-block takes: `message`, or `message.format(*args, **kwargs)` where some are given.
    Also a decorator of functions."""
    range_push(message.format(*args, **kwargs) if args or kwargs else message)
    try:
        yield
    finally:
        range_pop()


def mark(message: str) -> None:
    """Names this moment."""
    backend.nvtx_mark(str(message))


class annotate_ops:
    """Puts each op of the backend that Python calls into a range of its name, from now on; in a with-block, inside it
    only. ``annotate_ops(False)`` switches it off, as it is at first: then an op costs nothing more."""

    def __init__(self, enabled: bool = True):
        self._previous = backend.nvtx_annotate_ops(enabled)

    def __enter__(self) -> annotate_ops:
        return self

    def __exit__(self, *exception) -> None:
        backend.nvtx_annotate_ops(self._previous)
