"""The file of measurements, and the table read from it."""

from __future__ import annotations

import os
from statistics import median, quantiles
from typing import Any

from mytensor.lab.compare.results import read_json, save_results

__all__ = ["FORMAT", "find_row", "load_results", "row_text", "save_results", "spread", "table"]

FORMAT = "mytensor measurements 1"


def load_results(path: str | os.PathLike) -> dict[str, Any]:
    """Measurements from a file; ValueError where it holds something else."""
    return read_json(path, FORMAT, "bench")


def spread(seconds: list[float]) -> dict[str, float] | None:
    """Median, first and ninth tenth, and number of samples; None of nothing."""
    if not seconds:
        return None
    tenths = quantiles(seconds, n=10, method="inclusive") if len(seconds) > 1 else seconds * 9
    return {"median": median(seconds), "p10": tenths[0], "p90": tenths[8], "samples": len(seconds)}


def find_row(results: dict[str, Any], op: str, size: str, kernel: str) -> dict[str, Any] | None:
    """The row of one kernel (or "torch", "torch tf32") at one size; None where it was not measured."""
    for row in results["rows"]:
        if (row["op"], row["size"], row["kernel"]) == (op, size, kernel):
            return row
    return None


def table(results: dict[str, Any]) -> str:
    """Everything as text: the machine, its ceilings, one block for each op and size."""
    parts = [_circumstances(results), _ceilings(results)]
    blocks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in results["rows"]:
        blocks.setdefault((row["op"], row["size"]), []).append(row)
    for (op, size), rows in blocks.items():
        torch = next((_seconds(row) for row in rows if row["kernel"] == "torch"), None)
        lines = [f"{op}, {size}", _HEADER]
        lines += [_line(row, torch) for row in rows]
        parts.append("\n".join(lines))
    if "step" in results:
        parts.append(_step(results["step"]))
    return "\n\n".join(parts)


def row_text(row: dict[str, Any]) -> str:
    """One row, for the progress of a run."""
    return f"{row['op']:<24}{row['size']:<34}" + _line(row, None).strip()


_HEADER = (
    f"  {'kernel':<22}{'median':>11}{'p10':>11}{'p90':>11}{'device':>11}   {'GFLOP/s':>9}{'of peak':>9}"
    f"{'GB/s':>9}{'of copy':>9}{'torch / it':>12}"
)


def _line(row: dict[str, Any], torch_seconds: float | None) -> str:
    name = row["kernel"] + (" (default)" if row["is_default"] else "")
    if row["problem"]:
        return f"  {name:<22}WRONG, so not timed: {row['problem']}"
    seconds, on_device = row["seconds"], row["device_seconds"]
    line = f"  {name:<22}" + "".join(f"{_time(seconds[key]):>11}" for key in ("median", "p10", "p90"))
    line += f"{_time(on_device['median']) if on_device else '':>11}   "
    if row["flops"]:
        line += f"{row['gflops']:>9.1f}{row['of_peak']:>9.1%}"
    else:
        line += " " * 18
    line += f"{row['gbytes_per_second']:>9.1f}{row['of_bandwidth']:>9.1%}"
    return line + (f"{torch_seconds / _seconds(row):>12.2f}" if torch_seconds is not None else "")


def _seconds(row: dict[str, Any]) -> float:
    """The GPU's own time where it was measured, else that of the call."""
    return (row["device_seconds"] or row["seconds"])["median"]


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _step(rows: list[dict[str, Any]]) -> str:
    lines = ["one training step of LeNet, batch 64: forward, backward, update"]
    lines.append(f"  {'':<46}{'median':>11}{'p10':>11}{'p90':>11}{'device':>11}{'/ ours':>9}")
    ours = next((row["seconds"]["median"] for row in rows if row["side"] == "ours" and row["seconds"]), None)
    for row in rows:
        name = f"  {row['side']}: {row['mode']}"
        if row["problem"]:
            lines.append(f"{name:<48}not measured: {row['problem']}")
            continue
        times = "".join(f"{_time(row['seconds'][key]):>11}" for key in ("median", "p10", "p90"))
        on_device = _time(row["device_seconds"]["median"]) if row["device_seconds"] else ""
        ratio = f"{row['seconds']['median'] / ours:>9.2f}" if ours else ""
        lines.append(f"{name:<48}{times}{on_device:>11}{ratio}")
    return "\n".join(lines)


def _circumstances(results: dict[str, Any]) -> str:
    machine, found = results["machine"], results["versions"]
    where = (
        f"{machine['gpu']}, driver {machine['driver']}, CUDA {machine['cuda']}"
        if machine["device"] == "cuda"
        else f"{machine['cpu']}, {machine['threads']} thread(s) each side"
    )
    return (
        f"{where}\nmytensor {found['mytensor']} (commit {results['commit']}), PyTorch {found['torch']}, "
        f"Python {found['python']}; {results['created']}"
    )


def _ceilings(results: dict[str, Any]) -> str:
    lines = ["measured ceilings"]
    for name, ceiling in results["ceilings"].items():
        rate = (
            f"{ceiling['bytes_per_second'] / 1e9:10.1f} GB/s"
            if "bytes_per_second" in ceiling
            else f"{ceiling['flops'] / 1e9:10.1f} GFLOP/s"
        )
        lines.append(f"  {name:<12}{rate:<20}  {ceiling['what']}")
    return "\n".join(lines)
