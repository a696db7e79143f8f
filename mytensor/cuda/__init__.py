"""The GPU: what it is, its memory, its streams and events. Names and meanings are torch.cuda's.

    mt.cuda.is_available()                      is there a GPU that runs our kernels?
    side = mt.cuda.Stream()
    with mt.cuda.stream(side):                  what is computed here runs beside the default stream's work
        y = x.to("cuda", non_blocking=True)
    mt.cuda.current_stream().wait_stream(side)  ... and from here on after it

Where there are several GPUs, the framework uses the first one that CUDA shows (CUDA_VISIBLE_DEVICES chooses which).
Without a GPU, everything here can still be imported; what needs one raises NotImplementedError and says what is
missing.
"""

from __future__ import annotations

import functools
import os

import mytensor_backend as backend

from mytensor.cuda import nvtx
from mytensor.cuda.streams import (
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)

__all__ = [
    "Event",
    "ExternalStream",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "default_stream",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "host_memory_stats",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "nvtx",
    "problem",
    "reset_peak_memory_stats",
    "set_stream",
    "stream",
    "synchronize",
]


@functools.cache
def _info() -> dict:
    """What the backend found; it cannot change while the process lives, and asking takes a while."""
    return backend.cuda_info()


os.register_at_fork(after_in_child=_info.cache_clear)  # a forked child of a process that uses the GPU cannot use it


def is_available() -> bool:
    """Whether there is a GPU that runs our kernels. `problem()` says why not."""
    return problem() is None


def problem() -> str | None:
    """Why device "cuda" cannot be used here, and what to do; None if it can."""
    return _info()["problem"]


def device_count() -> int:
    """How many GPUs CUDA shows us; the framework uses the first."""
    return len(_info()["gpus"])


def current_device() -> int:
    """The number of the GPU in use: 0."""
    return 0


def get_device_name(device: int | str | None = None) -> str:
    """The name of a GPU (the one in use, unless a number says otherwise), such as "NVIDIA H100 80GB HBM3"."""
    return _gpu(device)["name"]


def get_device_capability(device: int | str | None = None) -> tuple[int, int]:
    """Its compute capability, (major, minor): (9, 0) for an H100."""
    return _gpu(device)["compute_capability"]


def _gpu(device: int | str | None) -> dict:
    gpus = _info()["gpus"]
    if not gpus:
        raise NotImplementedError(f"device 'cuda' is not there: {problem()}")
    name = str(device).removeprefix("cuda").removeprefix(":") if isinstance(device, str) else device
    number = 0 if name in (None, "") else int(name) if str(name).isdecimal() else -1
    if not 0 <= number < len(gpus):
        raise ValueError(f"there is no GPU {device!r}; wanted a number below {len(gpus)}, 'cuda' or None")
    return gpus[number]


def synchronize() -> None:
    """Waits until everything that was given to the GPU is done, on all streams."""
    backend.synchronize("cuda")


# ---------------------------------------------------------------------------------------------------------------------
# Memory
# ---------------------------------------------------------------------------------------------------------------------


def mem_get_info() -> tuple[int, int]:
    """(free, total) bytes of the GPU's memory, as the driver counts them: other programs' memory is not free."""
    return backend.cuda_memory_info()


def memory_stats() -> dict[str, int]:
    """What the caching allocator holds on the GPU, in bytes: `allocated` by live arrays, `reserved` from the driver
    (allocated, plus what the cache keeps), their peaks; and counts: `allocations`, and of these `cache_hits`."""
    return backend.memory_stats("cuda")


def host_memory_stats() -> dict[str, int]:
    """The same of pinned memory (`Tensor.pin_memory()`), which is the machine's."""
    return backend.memory_stats("pinned")


def memory_allocated() -> int:
    """Bytes that live arrays take on the GPU, rounded up to their size classes."""
    return memory_stats()["allocated"]


def max_memory_allocated() -> int:
    """The highest `memory_allocated()` since the last `reset_peak_memory_stats()`."""
    return memory_stats()["peak_allocated"]


def memory_reserved() -> int:
    """Bytes held from the driver: those of live arrays, and of freed blocks kept for the next arrays."""
    return memory_stats()["reserved"]


def max_memory_reserved() -> int:
    """The highest `memory_reserved()` since the last `reset_peak_memory_stats()`."""
    return memory_stats()["peak_reserved"]


def reset_peak_memory_stats() -> None:
    """Peaks count from here on."""
    backend.reset_peak_memory_stats("cuda")


def empty_cache() -> None:
    """Gives the freed blocks of the GPU's memory (and of pinned memory) back to the driver, so that other programs
    can have them. Waits for the GPU."""
    backend.empty_cache("cuda")
