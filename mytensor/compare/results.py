"""The file of a comparison, and the tables read from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

FORMAT = "mytensor comparison 1"


def save_results(results: dict[str, Any], path: str | os.PathLike) -> None:
    """Write results as JSON, all of it or nothing."""
    write_json(results, path)


def write_json(content: dict[str, Any], path: str | os.PathLike) -> None:
    """Write a JSON file, all of it or nothing; its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def load_results(path: str | os.PathLike) -> dict[str, Any]:
    """Results from a file; ValueError where it holds something else."""
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error})") from error
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise ValueError(f"{path} holds no results of `python -m mytensor compare`")
    return results


def differences(results: dict[str, Any], pick=lambda accuracies: accuracies[-1]) -> list[float]:
    """Ours minus PyTorch's test accuracy, seed by seed, in percentage points; ``pick`` chooses the epoch (last;
    max)."""
    return [100 * (pick(run["ours"]["test_accuracy"]) - pick(run["torch"]["test_accuracy"])) for run in results["runs"]]


def table(results: dict[str, Any]) -> str:
    """The whole comparison as text: circumstances, accuracies by seed with paired differences, times, memory,
    rounding."""
    return "\n\n".join(
        [_circumstances(results), _accuracies(results), _times(results), _memory(results), _faithfulness(results)]
    )


def _circumstances(results: dict[str, Any]) -> str:
    machine, found = results["machine"], results["versions"]
    kernels = ", ".join(f"{op}: {name}" for op, name in results["kernels"].items())
    return (
        f"LeNet on {results['data']['source']}, {results['recipe']['epochs']} epochs, "
        f"{len(results['runs'])} seed(s); {machine['cpu']}, {machine['threads']} thread(s) each side\n"
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
    return "peak resident memory of a process that trains one epoch, in MiB\n" + "\n".join(
        f"  {peak['what']:<62}{peak['bytes'] / 2**20:8.0f}" for peak in peaks.values()
    )


def _faithfulness(results: dict[str, Any]) -> str:
    path, rows = results["trajectory"], results["audit"]
    return (
        f"first {len(path['ours'])} steps, distance from float64 PyTorch as a multiple of float32 PyTorch's distance: "
        f"losses {path['loss_ratio']:.2f}, weights {path['weight_ratio']:.2f}\n"
        f"audit of the first step: all {len(rows)} parameters got a gradient and moved"
    )
