"""Switch the report's causes on and off and see what the recorded runs say: accuracy, printed losses, time, memory."""

from __future__ import annotations

import math
from typing import Any

from mytensor.lab.compare.ablation import Row, rows
from mytensor.lab.compare.ablation_causes import CAUSES
from mytensor.optional import traitlets
from mytensor.workbook.inspect.widget import Inspector, script


class CausesInspector(Inspector):
    """The causes as switches over the recorded runs of an ablation (`mytensor.compare.load_ablation`, or `ablate`).

    Nothing is computed here: a set of causes that was never run has no numbers, and the widget says so. `chosen` holds
    the names of the causes that are on.
    """

    _esm = script("causes.js")

    names = traitlets.List().tag(sync=True)
    titles = traitlets.List().tag(sync=True)
    report = traitlets.List().tag(sync=True)  # what each cause does
    ours = traitlets.List().tag(sync=True)  # and what we do instead
    about = traitlets.Unicode().tag(sync=True)
    runs = traitlets.Dict().tag(sync=True)  # key of the causes -> accuracy, spread, shown, seconds, memory, diverged
    classes = traitlets.Int(10).tag(sync=True)
    chosen = traitlets.List([]).tag(sync=True)

    def __init__(self, results: dict[str, Any]):
        found = rows(results)
        present = [name for name in CAUSES if any(name in row.causes for row in found)]
        machine, seeds = results["machine"], len({run["seed"] for run in results["runs"]})
        super().__init__(
            names=present,
            titles=[CAUSES[name].title for name in present],
            report=[CAUSES[name].report for name in present],
            ours=[CAUSES[name].ours for name in present],
            about=f"{results['data']['source']}, {results['data']['train_images']:,} images, "
            f"{results['recipe']['epochs']} epoch(s), {seeds} seed(s), device {machine['device']}",
            runs={key_of(row.causes): _numbers(row) for row in found},
            chosen=present,
        )

    def _numbers(self) -> dict[str, Any] | None:
        return self.runs.get(key_of(self.chosen))

    def sentence(self) -> str:
        on = [title for name, title in zip(self.names, self.titles, strict=True) if name in self.chosen]
        head = f"{len(on)} of {len(self.names)} causes on ({', '.join(on) or 'ours'}): "
        numbers = self._numbers()
        if numbers is None:
            return head + "this set was not run."
        spread = "" if numbers["spread"] is None else f" ± {100 * numbers['spread']:.2f}"
        return f"{head}test accuracy {100 * numbers['accuracy']:.2f}{spread} % on {self.about}."

    def still(self):
        from mytensor.optional import Figure

        figure = Figure(figsize=(7.6, 0.34 * len(self.runs) + 0.9 if len(self.runs) <= 20 else 5.2))
        axes = figure.subplots()
        ordered = sorted(self.runs.items(), key=lambda item: item[1]["accuracy"])
        chosen = key_of(self.chosen)
        for place, (key, numbers) in enumerate(ordered):
            axes.barh(
                place,
                100 * numbers["accuracy"],
                xerr=None if numbers["spread"] is None else 100 * numbers["spread"],
                color="#e69f00" if key == chosen else "#56b4e9",
                hatch="//" if key == chosen else None,
                edgecolor="black",
            )
        if len(ordered) <= 20:
            axes.set_yticks(range(len(ordered)), [key.replace("+", " + ") or "ours" for key, _ in ordered], fontsize=7)
        else:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(ordered)} sets of causes, sorted")
        axes.axvline(100 / self.classes, color="black", linewidth=0.8, linestyle=":")
        axes.set_xlabel("test accuracy in % (dotted: guessing; hatched: the chosen set)")
        return figure


def key_of(causes) -> str:
    """A set of causes as text, in the order of CAUSES: "init+scale"; "" for none."""
    return "+".join(name for name in CAUSES if name in causes)


def _numbers(row: Row) -> dict[str, Any]:
    return {
        "accuracy": row.mean,
        "spread": row.spread,
        "shown": [value if math.isfinite(value) else None for value in row.shown],
        "seconds": row.seconds,
        "memory": row.memory[0],
        "diverged": row.diverged,
        "seeds": len(row.accuracy),
    }
