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

from mytensor.compare import load_results  # noqa: E402

README = ROOT / "README.md"
TRANSLATION = ROOT / "README.zh-CN.md"
RESULTS = ROOT / "results" / "compare_cpu.json"
BEGIN, END = "<!-- results: written by scripts/readme.py -->", "<!-- end of results -->"


def accuracy(runs: list[dict[str, Any]], side: str) -> str:
    """Final test accuracy: mean over the seeds and standard deviation."""
    finals = [100 * run[side]["test_accuracy"][-1] for run in runs]
    return f"{mean(finals):.2f} % (± {stdev(finals):.2f})"


def seconds(runs: list[dict[str, Any]], side: str) -> float:
    """All epochs of a run, the median over the seeds."""
    return median(sum(run[side]["seconds"]) for run in runs)


def results_table(results: dict[str, Any]) -> str:
    """Ours and PyTorch side by side, with the two columns of the course report that this project comes from."""
    runs, machine, memory = results["runs"], results["machine"], results["memory"]
    epochs, versions = results["recipe"]["epochs"], results["versions"]
    times = {side: seconds(runs, side) for side in ("ours", "torch")}
    peaks = {name: peak["bytes"] / 2**20 for name, peak in memory.items()}
    lines = [
        "| | mytensor | PyTorch | the report's framework | the report's PyTorch |",
        "| --- | ---: | ---: | ---: | ---: |",
        f"| test accuracy | {accuracy(runs, 'ours')} | {accuracy(runs, 'torch')} | 54.07 % | 66.78 % |",
        f"| {epochs} epochs of training | {times['ours']:.1f} s | {times['torch']:.1f} s | 327 s | 303 s |",
        f"| peak memory | {peaks['ours']:.0f} MiB | {peaks['torch_uint8']:.0f} MiB | | |",
        "",
        f"LeNet on {results['data']['source']}, batch 64, mean over {len(runs)} seeds (± standard deviation), on "
        f"{machine['threads']} threads of an {machine['cpu']} without a GPU; mytensor {versions['mytensor']} at commit "
        f"{results['commit']}, PyTorch {versions['torch']}. Both sides start from the same weights and see the same "
        f"batches; PyTorch takes {times['torch'] / times['ours']:.1f} times as long. The report's two columns are "
        "what it states for its own GPU, so its seconds compare with each other only; it does not state its number of "
        f"epochs, {epochs} is our assumption.",
    ]
    return "\n".join(lines)


def with_results(text: str) -> str:
    """README's text with the table as the results give it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md lacks one of its markers: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{results_table(load_results(RESULTS))}\n\n{END}{after}"


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
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1]))
