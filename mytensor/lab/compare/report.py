"""What the course report states, and its Table 1 again: the report's two columns beside ours and PyTorch's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mytensor.lab.compare.results import load_results, summaries


@dataclass(frozen=True)
class Reported:
    """A column of the report's table: final test accuracy, and seconds of training on its GPU."""

    name: str
    accuracy: float
    seconds: float


REPORTED = (Reported("the report's framework", 0.5407, 327), Reported("the report's PyTorch", 0.6678, 303))


def results_folder() -> Path:
    """The recorded runs that the notebooks discuss: `results/` in a clone; an installed package carries a copy."""
    package = Path(__file__).resolve().parents[2]
    copy = package / "_results"
    return copy if copy.is_dir() else package.parent / "results"


def latest_results(folder: str | Path) -> dict[str, Any]:
    """The comparison on a GPU where there is one in the folder (compare_cuda.json), else that on the CPU."""
    path = latest_file(folder, "compare")
    if path is None:
        raise FileNotFoundError(f"there is neither compare_cuda.json nor compare_cpu.json in {folder}")
    return load_results(path)


def latest_file(folder: str | Path, name: str) -> Path | None:
    """NAME_cuda.json where the folder has it, else NAME_cpu.json, else None: nothing was measured yet."""
    paths = [Path(folder) / f"{name}_{device}.json" for device in ("cuda", "cpu")]
    return next((path for path in paths if path.exists()), None)


def report_table(results: dict[str, Any]) -> str:
    """The report's Table 1 with the columns of a comparison beside its own, as text."""
    rows = [
        (row.name, f"{100 * row.final:.2f} %", "-" if row.total is None else f"{row.total:.1f} s")
        for row in summaries(results)
        if row.total is not None
    ]
    rows += [(column.name, f"{100 * column.accuracy:.2f} %", f"{column.seconds:.0f} s") for column in REPORTED]
    machine, epochs = results["machine"], results["recipe"]["epochs"]
    lines = [f"{'':<24}{'test accuracy':>15}{f'{epochs} epochs':>14}"]
    lines += [f"{name:<24}{accuracy:>15}{seconds:>14}" for name, accuracy, seconds in rows]
    return "\n".join(
        [
            *lines,
            "",
            f"ours and PyTorch: {machine.get('gpu') or machine['cpu']}, {results['data']['source']}, mean of "
            f"{len(results['runs'])} seeds, commit {results['commit']}",
            "the report's: on its own GPU, its number of epochs not stated; its seconds compare with each other only",
        ]
    )
