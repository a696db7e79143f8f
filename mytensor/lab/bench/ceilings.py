"""What this machine can do at most, measured: how fast memory is copied, how fast numbers are multiplied."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import mytensor_backend as backend

from mytensor.lab.bench.clock import cache_bytes
from mytensor.lab.compare.sides import torch_precision
from mytensor.optional import torch
from mytensor.timing import measure


def measured_ceilings(device: str, size: int | None = None) -> dict[str, dict[str, Any]]:
    """{"copy", "float32", on cuda also "tf32", "bfloat16"}: {"what", and "bytes_per_second" or "flops"}.

    size: rows of the matrices that are multiplied on the GPU, and 1/16 of the MiB that are copied (None: large ones).
    """
    if device == "cuda":
        return _of_gpu(size or 8192)
    return _of_cpu(size or 16)


def _of_gpu(size: int) -> dict[str, dict[str, Any]]:
    ceilings = {"copy": _copy("cuda", max(size // 16, 1) * 2**20)}
    a, b = (torch.randn(size, size, device="cuda") for _ in range(2))
    for name, tf32 in (("float32", False), ("tf32", True)):
        with torch_precision(tf32):
            ceilings[name] = _product(f"torch (cuBLAS), {name} product of {size} x {size}", lambda: a @ b, size)
    c, d = a.bfloat16(), b.bfloat16()
    ceilings["bfloat16"] = _product(f"torch (cuBLAS), bfloat16 product of {size} x {size}", lambda: c @ d, size)
    return ceilings


def _product(what: str, call: Callable[[], object], size: int) -> dict[str, Any]:
    return {"what": what, "flops": 2 * size**3 / median(measure(call, device="cuda", repeats=20))}


def _of_cpu(size: int) -> dict[str, dict[str, Any]]:
    threads = backend.get_num_threads()
    return {
        "copy": _copy("cpu", max(size * 2**20 * 16, 4 * cache_bytes("cpu"))),
        "float32": {
            "what": f"multiply-adds on numbers in registers, {threads} threads (mytensor_backend.fma_peak)",
            "flops": backend.fma_peak(1.0),
        },
    }


def _copy(device: str, size: int) -> dict[str, Any]:
    """torch's copy of so many bytes from one place of the device's memory to another: each is read and written."""
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    seconds = median(measure(lambda: target.copy_(source), device=device, repeats=20))
    return {"what": f"torch's copy of {size / 2**20:.0f} MiB, read and written", "bytes_per_second": 2 * size / seconds}
