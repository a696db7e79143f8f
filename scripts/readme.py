"""Fills in README.md's table of results from results/*.json, so that no figure there is typed by hand.

python scripts/readme.py build   write the table between its two markers
python scripts/readme.py check   say whether it is what the results give, and whether README.zh-CN.md, translated by
                                 hand, has the same numbers, commands and links (part of `make lint`)
"""

from __future__ import annotations

import pathlib
import re
import sys
from collections import Counter
from statistics import mean, median, stdev
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mytensor.compare import load_results, summaries  # noqa: E402
from mytensor.compare.report import REPORTED  # noqa: E402

README = ROOT / "README.md"
TRANSLATION = ROOT / "README.zh-CN.md"
RESULTS = ROOT / "results"
BEGIN, END = "<!-- results: written by scripts/readme.py -->", "<!-- end of results -->"

SIDES = {"ours": "mytensor", "torch": "PyTorch", "torch_best": "PyTorch at its best"}


def accuracy(runs: list[dict[str, Any]], side: str) -> str:
    """Final test accuracy: mean over the seeds and standard deviation."""
    finals = [100 * run[side]["test_accuracy"][-1] for run in runs]
    return f"{mean(finals):.2f} % (± {stdev(finals):.2f})"


def seconds(runs: list[dict[str, Any]], side: str) -> float:
    """All epochs of a run, the median over the seeds."""
    return median(sum(run[side]["seconds"]) for run in runs)


def memory(results: dict[str, Any], side: str) -> str:
    """The peak of the memory where the side computes. PyTorch's is that with the data laid out as ours; at its best it
    is with the data as it is timed."""
    peak = results["memory"][{"torch": "torch_uint8"}.get(side, side)]
    return f"{peak.get('device_allocated', peak['bytes']) / 2**20:.0f} MiB"


def results_table(results: dict[str, Any], with_report: bool = True) -> str:
    """Ours and PyTorch side by side, with the two columns of the course report that this project comes from."""
    runs, epochs = results["runs"], results["recipe"]["epochs"]
    sides = [side for side in SIDES if side in runs[0]]
    times = {side: seconds(runs, side) for side in sides}
    reported = REPORTED if with_report else ()
    rows = [
        ["", *(SIDES[side] for side in sides), *(column.name for column in reported)],
        ["---", *["---:"] * (len(sides) + len(reported))],
        [
            "test accuracy",
            *(accuracy(runs, side) for side in sides),
            *(f"{100 * column.accuracy:.2f} %" for column in reported),
        ],
        [
            f"{epochs} epochs of training",
            *(f"{times[side]:.1f} s" for side in sides),
            *(f"{column.seconds:.0f} s" for column in reported),
        ],
        ["peak memory", *(memory(results, side) for side in sides), *("" for _ in reported)],
    ]
    table = "\n".join("|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in rows)
    return table + "\n\n" + circumstances(results, times, with_report)


def circumstances(results: dict[str, Any], times: dict[str, float], with_report: bool) -> str:
    """On what the table was measured and how to read it."""
    machine, versions, epochs = results["machine"], results["versions"], results["recipe"]["epochs"]
    where = (
        f"on one {machine['gpu']}"
        if machine["device"] == "cuda"
        else f"on {machine['threads']} threads of an {machine['cpu']} without a GPU"
    )
    text = (
        f"LeNet on {results['data']['source']}, batch 64, mean over {len(results['runs'])} seeds (± standard "
        f"deviation), {where}; mytensor {versions['mytensor']} at commit {results['commit']}, PyTorch "
        f"{versions['torch']}. Both sides start from the same weights and see the same batches; PyTorch takes "
        f"{times['torch'] / times['ours']:.1f} times as long"
    )
    if "torch_best" in times:
        best = results["torch"]["best"]["name"]
        text += (
            f", and {times['torch_best'] / times['ours']:.1f} times as long at its best on that machine ({best}). TF32 "
            "is off. Memory is what the arrays on the device take; PyTorch's is with its data laid out as ours, at its "
            "best as it is timed"
        )
    for row in summaries(results):
        if row.side == "torch_dataloader" and "torch_best" in times:
            workers = results["torch"]["dataloader_workers"]
            text += (
                f". With torch's DataLoader, as the report ran it ({workers} workers), PyTorch takes {row.epoch:.1f} s "
                "an epoch"
            )
    text += "."
    if with_report:
        text += (
            " The report's two columns are what it states for its own GPU, so its seconds compare with each other "
            f"only; it does not state its number of epochs, {epochs} is our assumption."
        )
    return text


def results_section() -> str:
    """The table on a GPU where there are results of one, with that of the CPU below it; else that of the CPU."""
    on_cpu = load_results(RESULTS / "compare_cpu.json")
    if not (RESULTS / "compare_cuda.json").exists():
        return results_table(on_cpu)
    on_gpu = load_results(RESULTS / "compare_cuda.json")
    return f"{results_table(on_gpu)}\n\nThe same without a GPU:\n\n{results_table(on_cpu, with_report=False)}"


def with_results(text: str) -> str:
    """README's text with the table as the results give it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks one of its markers: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{results_section()}\n\n{END}{after}"


def facts(section: str) -> dict[str, Counter[str]]:
    """What no translation changes: numbers, names in `code`, commands, links."""
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^```\n.*?^```", "", section, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    code = re.findall(r"`([^`]+)`", prose)
    bare = re.sub(r"\]\([^)]+\)|`[^`]+`", "", prose)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith(" ")]
    commands = [re.split(r"\s{2,}", line)[0] for line in lines]  # behind them stands what they do
    return {
        "numbers": Counter(re.findall(r"\d[\w.]*\w|\d", bare)),
        "names in code": Counter(code),
        "commands": Counter(commands),
        "links": Counter(target for target in targets if not target.startswith("README")),
        "rows of tables": Counter({"rows": len(re.findall(r"^\|", prose, re.MULTILINE))}),
    }


def disagreements(text: str, translation: str) -> list[str]:
    """Where a translation says something else than README, in sentences."""
    sections, translated = (
        re.split(r"^## ", text, flags=re.MULTILINE),
        re.split(r"^## ", translation, flags=re.MULTILINE),
    )
    if len(sections) != len(translated):
        return [f"it has {len(translated) - 1} sections, README.md {len(sections) - 1}"]
    found = []
    for original, other in zip(sections, translated, strict=True):
        title = original.splitlines()[0]
        there = facts(other)
        for what, wanted in facts(original).items():
            if wanted != there[what]:
                lacks, extra = wanted - there[what], there[what] - wanted
                found.append(f"section {title!r}, {what}: it lacks {dict(lacks)}, it has besides {dict(extra)}")
    return found


def main(command: str) -> int:
    text = README.read_text(encoding="utf-8")
    wanted = with_results(text)
    if command == "build":
        README.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        print("README.md's table is not what results/ gives; write it with: python scripts/readme.py build")
        return 1
    if command == "check" and (found := disagreements(text, TRANSLATION.read_text(encoding="utf-8"))):
        print("README.zh-CN.md does not agree with README.md:", *found, sep="\n    ")
        return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["build"], ["check"]):
        raise SystemExit(__doc__ or 2)  # python -OO has no docstrings
    sys.exit(main(sys.argv[1]))
