"""The file of a comparison, and the tables read from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from mytensor.files import claimed, from_json, write_json

FORMAT = "mytensor comparison 1"
LAST_EPOCHS = 5  # over which the spread of a curve is taken

# The sides of a comparison, in the order of the tables; a file has the first two and maybe more.
SIDES = {
    "ours": "ours",
    "torch": "PyTorch",
    "torch_best": "PyTorch at its best",
    "torch_dataloader": "PyTorch, its DataLoader",
}


save_results = write_json


def results_file(path: str | os.PathLike | None) -> AbstractContextManager[None]:
    """Around a measurement: its file, if it has one, is its own (see ``claimed``)."""
    return nullcontext() if path is None else claimed(path)


def read_json(path: str | os.PathLike, wanted_format: str, command: str) -> dict[str, Any]:
    """Results of a format from a file that ``python -m mytensor COMMAND`` wrote; ValueError where it holds something
    else."""
    try:
        results = from_json(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error})") from error
    if not isinstance(results, dict) or results.get("format") != wanted_format:
        raise ValueError(f"{path} holds no results of `python -m mytensor {command}`")
    return results


def check_entries(
    path: str | os.PathLike, held: dict[str, Any], fresh: dict[str, Any], read: Callable[[dict[str, Any]], object]
) -> None:
    """ValueError unless a file has all entries that fresh results have, and ``read``, which reads them, can do so."""
    if missing := sorted(fresh.keys() - held.keys()):
        raise ValueError(f"{path} is damaged: it lacks {', '.join(missing)}; name another file, or remove that one")
    try:
        read(held)
    except Exception as error:  # damaged entries may fail in any way: all of them mean the same to the reader
        raise ValueError(
            f"{path} is damaged: its runs can't be read ({type(error).__name__}: {error}); name another file, or "
            "remove that one"
        ) from error


def load_results(path: str | os.PathLike) -> dict[str, Any]:
    """Results of a comparison from a file; ValueError where it holds something else."""
    return read_json(path, FORMAT, "compare")


def differences(results: dict[str, Any], pick=lambda accuracies: accuracies[-1]) -> list[float]:
    """Ours minus PyTorch's test accuracy, seed by seed, in percentage points; ``pick`` chooses the epoch (last;
    max)."""
    return [100 * (pick(run["ours"]["test_accuracy"]) - pick(run["torch"]["test_accuracy"])) for run in results["runs"]]


def table(results: dict[str, Any]) -> str:
    """The whole comparison as text: circumstances, accuracies by seed with paired differences, times, memory,
    rounding; of one with more than two sides, the summary of all sides too."""
    parts = [_circumstances(results), _accuracies(results), _times(results), _memory(results), _faithfulness(results)]
    if "torch_best" in results["runs"][0]:
        parts.insert(2, summary_table(results))
    return "\n\n".join(parts)


@dataclass(frozen=True)
class Summary:
    """One side over all seeds. Accuracies as fractions; spreads are standard deviations, None where there is too little
    to take one from. epoch, total: seconds, the median of all epochs and the median of whole runs; total is None for a
    side that trained some epochs only."""

    side: str
    name: str
    epoch: float
    total: float | None
    final: float
    best: float
    spread_over_seeds: float | None
    spread_over_epochs: float | None


def summaries(results: dict[str, Any]) -> list[Summary]:
    """Each side's times, accuracies and the stability of its curves: the spread of the final accuracy over the seeds,
    and that of the accuracy over a run's last LAST_EPOCHS epochs (the mean of the seeds)."""
    found = []
    for side, name in SIDES.items():
        runs = [run[side] for run in results["runs"] if side in run]
        if not runs:
            continue
        accuracies = [run["test_accuracy"] for run in runs]
        whole = all(len(accuracy) == results["recipe"]["epochs"] for accuracy in accuracies)
        lasts = [accuracy[-LAST_EPOCHS:] for accuracy in accuracies]
        found.append(
            Summary(
                side=side,
                name=name,
                epoch=median(second for run in runs for second in run["seconds"]),
                total=median(sum(run["seconds"]) for run in runs) if whole else None,
                final=mean(accuracy[-1] for accuracy in accuracies),
                best=mean(max(accuracy) for accuracy in accuracies),
                spread_over_seeds=stdev(accuracy[-1] for accuracy in accuracies) if len(runs) > 1 else None,
                spread_over_epochs=mean(stdev(last) for last in lasts) if whole and len(lasts[0]) > 1 else None,
            )
        )
    return found


def summary_table(results: dict[str, Any]) -> str:
    """``summaries`` as text, with what else there is to know of torch's sides."""

    def points(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.2f}"

    lines = [
        f"{'':<26}{'s an epoch':>11}{'s in all':>10}{'final %':>9}{'best %':>8}{'spread over seeds':>19}"
        f"{f'last {LAST_EPOCHS} epochs':>15}"
    ]
    for row in summaries(results):
        whole = row.total is not None  # else its accuracies are those of some epochs only
        total = f"{row.total:.2f}" if whole else "-"
        lines.append(
            f"{row.name:<26}{row.epoch:>11.3f}{total:>10}{points(row.final if whole else None):>9}"
            f"{points(row.best if whole else None):>8}{points(row.spread_over_seeds):>19}"
            f"{points(row.spread_over_epochs):>15}"
        )
    if about := results.get("torch"):
        lines.append(
            f"PyTorch: TF32 {'on' if about['tf32'] else 'off'}"
            + (f"; at its best: {about['best']['name']}" if about["best"] else "")
            + f"; its DataLoader with {about['dataloader_workers']} worker(s)"
        )
    return "\n".join(lines)


def _circumstances(results: dict[str, Any]) -> str:
    machine, found = results["machine"], results["versions"]
    kernels = ", ".join(f"{op}: {name}" for op, name in results["kernels"].items())
    return (
        f"LeNet on {results['data']['source']}, {results['recipe']['epochs']} epochs, "
        f"{len(results['runs'])} seed(s); {machine.get('gpu') or machine['cpu']}, {machine['threads']} thread(s) "
        f"each side\n"
        f"mytensor {found['mytensor']} (commit {results['commit']}), PyTorch {found['torch']}, Python {found['python']}"
        + (f"; kernels {kernels}" if kernels else "")
    )


def _accuracies(results: dict[str, Any]) -> str:
    lines = [
        "test accuracy in %      ours            PyTorch         ours - PyTorch",
        "seed                final   best    final   best    final   best",
    ]
    rows = []
    for run in results["runs"]:
        ours, torch = (run[side]["test_accuracy"] for side in ("ours", "torch"))
        row = [ours[-1], max(ours), torch[-1], max(torch), ours[-1] - torch[-1], max(ours) - max(torch)]
        rows.append([100 * value for value in row])
        lines.append(f"{run['seed']:<18}" + _cells(rows[-1]))
    columns = list(zip(*rows, strict=True))
    lines.append(f"{'mean':<18}" + _cells([mean(column) for column in columns]))
    if len(rows) > 1:
        lines.append(f"{'std. deviation':<18}" + _cells([stdev(column) for column in columns], sign=False))
    return "\n".join(lines)


def _cells(values: list[float], sign: bool = True) -> str:
    """Four accuracies and two differences, the differences with their sign."""
    last = "+8.2f" if sign else "8.2f"
    return "".join(f"{value:8.2f}" for value in values[:4]) + "".join(f"{value:{last}}" for value in values[4:])


def _times(results: dict[str, Any]) -> str:
    """Seconds of training: the median over all epochs of all seeds, and the median over seeds of a whole run."""
    seconds = {side: [run[side]["seconds"] for run in results["runs"]] for side in ("ours", "torch")}
    epoch = {side: median(second for run in runs for second in run) for side, runs in seconds.items()}
    total = {side: median(sum(run) for run in runs) for side, runs in seconds.items()}
    epochs = results["recipe"]["epochs"]
    lines = [
        "training time in s          ours     PyTorch   PyTorch / ours",
    ]
    for what, value in (("one epoch (median)", epoch), (f"{epochs} epochs (median)", total)):
        ratio = value["torch"] / value["ours"]
        lines.append(f"{what:<24}{value['ours']:8.2f}    {value['torch']:8.2f}   {ratio:8.2f}")
    loader = [second for run in results["runs"] for second in run.get("torch_dataloader", {}).get("seconds", [])]
    if loader:
        lines.append(
            f"with torch's DataLoader             {median(loader):8.2f}   {median(loader) / epoch['ours']:8.2f}"
            f"   (one epoch, median of {len(loader)})"
        )
    return "\n".join(lines)


def _memory(results: dict[str, Any]) -> str:
    peaks = results["memory"]
    if peaks is None:
        return "peak memory: not measured"
    if not any("device_allocated" in peak for peak in peaks.values()):
        return "peak resident memory of a process that trains one epoch, in MiB\n" + "\n".join(
            f"  {peak['what']:<62}{peak['bytes'] / 2**20:8.0f}" for peak in peaks.values()
        )
    head = "peak memory of a process that trains one epoch, in MiB"
    return f"{head:<64}{'in RAM':>8}{'device':>9}{'reserved':>10}\n" + "\n".join(
        f"  {peak['what']:<62}{peak['bytes'] / 2**20:8.0f}{peak['device_allocated'] / 2**20:9.0f}"
        f"{peak['device_reserved'] / 2**20:10.0f}"
        for peak in peaks.values()
    )


def _faithfulness(results: dict[str, Any]) -> str:
    path, rows = results["trajectory"], results["audit"]
    return (
        f"first {len(path['ours'])} steps, distance from float64 PyTorch as a multiple of float32 PyTorch's distance: "
        f"losses {path['loss_ratio']:.2f}, weights {path['weight_ratio']:.2f}\n"
        f"audit of the first step: all {len(rows)} parameters got a gradient and moved"
    )
