"""Ablation: the causes of `causes.py` repaired one at a time in the reconstruction of the report's framework, and put
back one at a time into ours.

    results = mytensor.compare.ablate(epochs=20, seeds=[0, 1, 2])
    print(mytensor.compare.ablation_table(results))

Also the sweep that looks for what the report leaves open: the range of its uniform draw and the wrong scaling.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from mytensor.data import ImageDataset, cifar10
from mytensor.devices import require_device
from mytensor.files import write_json
from mytensor.lab.compare.ablation_causes import CAUSES, SCALINGS, UNTUNED_KERNELS, Assumptions, train
from mytensor.lab.compare.results import LAST_EPOCHS, check_entries, read_json, results_file
from mytensor.lab.record import circumstances, data_facts
from mytensor.settings import different_seeds
from mytensor.training import Recipe

FORMAT = "mytensor ablation 1"

# What the report prints: its accuracy, and the losses of its framework.
REPORTED_ACCURACY = 0.5407
REPORTED_LOSSES = (0.03, 0.09)
# When a run fits them. Chosen before the sweep was run: losses printed with two decimals are rounded by 0.005; five
# seeds of one configuration lie within about a point.
LOSS_ROUNDING = 0.005
SHARE_OF_LOSSES = 0.9
ACCURACY_TOLERANCE = 0.02

# The ranges that the sweep tries: symmetric ones, a factor of about three apart, and numpy's and torch's plain default.
RANGES = ((-0.1, 0.1), (-0.03, 0.03), (-0.3, 0.3), (-1.0, 1.0), (0.0, 1.0), (-0.01, 0.01))
# What decides about the accuracy. The other causes compute the same numbers, to rounding, by slower ways.
CAUSES_OF_ACCURACY = ("init", "scale", "log_sum_exp")


def one_at_a_time(causes: Iterable[str] = tuple(CAUSES)) -> list[frozenset[str]]:
    """The reconstruction; each cause repaired in it; ours; each cause put back into ours. All different."""
    everything = frozenset(causes)
    repaired = [everything - {cause} for cause in causes]
    put_back = [frozenset({cause}) for cause in causes]
    return list(dict.fromkeys([everything, *repaired, frozenset(), *put_back]))


def all_combinations(causes: Iterable[str] = tuple(CAUSES)) -> list[frozenset[str]]:
    """Every set of the causes, from none to all."""
    causes = tuple(causes)
    return [frozenset(chosen) for count in range(len(causes) + 1) for chosen in itertools.combinations(causes, count)]


def ablate(
    data: str | os.PathLike | tuple[ImageDataset, ImageDataset] | None = None,
    epochs: int = 20,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    device: str = "cpu",
    assumptions: Assumptions | None = None,
    causes: Sequence[str] = tuple(CAUSES),
    combinations: bool = False,
    json: str | os.PathLike | None = None,
    times: bool = True,
    command: str | None = None,
) -> dict[str, Any]:
    """Train each configuration once a seed; the results, also written to the file ``json`` after each run.

    data: CIFAR-10's folder, or (training set, test set), or None: wherever CIFAR-10 is found.
    assumptions: what the report leaves open. causes: those that the reconstruction has. combinations: all sets of
    them instead of one change at a time. times: keep the seconds; without, on a busy machine, they are None.

    A file that holds a part of the same ablation (same data, epochs, device, commit, causes ...) is continued: only
    what it lacks is run, so that a long one can be cut in parts by their seeds. Seeds come first: an ablation that is
    stopped has all configurations of the seeds it finished.
    """
    if unknown := set(causes) - CAUSES.keys():
        raise ValueError(f"there is no cause {', '.join(sorted(unknown))}; there are: {', '.join(CAUSES)}")
    causes = tuple(dict.fromkeys(causes))
    configurations = all_combinations(causes) if combinations else one_at_a_time(causes)
    assumptions = assumptions or Assumptions()
    wanted = [(sorted(chosen), assumptions) for chosen in configurations]
    return _run(data, epochs, seeds, device, wanted, json, times, command)


def sweep(
    data: str | os.PathLike | tuple[ImageDataset, ImageDataset] | None = None,
    epochs: int = 20,
    seeds: Sequence[int] = (0,),
    device: str = "cpu",
    json: str | os.PathLike | None = None,
    times: bool = True,
    command: str | None = None,
) -> dict[str, Any]:
    """Train the causes of accuracy with each of RANGES and each scaling that changes the training; see ``ablate``.

    The scalings that only change what is printed train as "right" does; ``fits`` adds them.
    """
    wanted = [(sorted(CAUSES_OF_ACCURACY), assumptions) for assumptions in sweep_grid()]
    return _run(data, epochs, seeds, device, wanted, json, times, command)


def sweep_grid() -> list[Assumptions]:
    """Each range with each scaling that changes the training."""
    training = [name for name in SCALINGS if not name.endswith("_shown")]
    return [Assumptions(low, high, scaling) for low, high in RANGES for scaling in training]


def _run(data, epochs, seeds, device, wanted, path, times, command) -> dict[str, Any]:
    require_device(device, "ablate")
    recipe, seeds = Recipe(epochs=epochs), different_seeds(seeds)
    with results_file(path):
        return _train_all(data, recipe, seeds, device, wanted, path, times, command)


def _train_all(data, recipe, seeds, device, wanted, path, times, command) -> dict[str, Any]:
    train_set, test_set = data if isinstance(data, tuple) else (cifar10(data, train=True), cifar10(data, train=False))
    results: dict[str, Any] = {
        **circumstances(FORMAT, device, command),
        "untuned_kernels": UNTUNED_KERNELS[device],
        "times": times,
        "data": data_facts(train_set, test_set),
        "recipe": dataclasses.asdict(recipe) | {"seed": None},
        "runs": [],
    }
    if path is not None and Path(path).exists():
        results["runs"] = _runs_of_the_same(load_ablation(path), results, path)
    done = {_key(run) for run in results["runs"]}
    if times:
        _warm_up({frozenset(wanted[0][0]), frozenset()}, train_set, test_set, device)
    for seed in seeds:
        for causes, assumptions in wanted:
            if (tuple(causes), seed, assumptions if causes else Assumptions()) in done:
                continue
            run = train(
                frozenset(causes),
                train_set,
                test_set,
                dataclasses.replace(recipe, seed=seed),
                device,
                assumptions,
                times,
            )
            results["runs"].append(run | {"assumptions": dataclasses.asdict(assumptions)})
            print(f"seed {seed}, {describe(run)}: test accuracy {run['test_accuracy'][-1]:.2%}", flush=True)
            if path is not None:
                save_ablation(results, path)
    return results


def _warm_up(configurations: set[frozenset[str]], train_set: ImageDataset, test_set: ImageDataset, device: str) -> None:
    """A few steps of each, uncounted: a kernel's first launch loads it, and the first run would pay for all."""
    few = train_set.subset(min(128, len(train_set))), test_set.subset(min(100, len(test_set)))
    for causes in configurations:
        train(causes, *few, Recipe(epochs=1), device)


def _key(run: dict[str, Any]) -> tuple:
    """What was trained: no two runs of a file have the same."""
    assumptions = Assumptions(**run["assumptions"]) if run["causes"] else Assumptions()
    return tuple(run["causes"]), run["seed"], assumptions


def _runs_of_the_same(before: dict[str, Any], now: dict[str, Any], path) -> list[dict[str, Any]]:
    """The runs of a file, if they may stand beside those that are to come; ValueError that says what differs."""
    same = ("commit", "machine", "versions", "untuned_kernels", "times", "data", "recipe")
    check_entries(path, before, now, lambda results: ({_key(run) for run in results["runs"]}, rows(results)))
    now = json.loads(json.dumps(now))
    if differing := [key for key in same if before[key] != now[key]]:
        raise ValueError(
            f"{path} holds runs with another {', '.join(differing)}; name another file, or remove that one"
        )
    return before["runs"]


def save_ablation(results: dict[str, Any], path: str | os.PathLike) -> None:
    """Write results as JSON, all of it or nothing; losses that are no numbers any more become null."""
    write_json(_finite(results), path)


def _finite(value):
    """The same with None for nan and infinity, which JSON doesn't have."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load_ablation(path: str | os.PathLike) -> dict[str, Any]:
    """Results of an ablation from a file; ValueError where it holds something else."""
    return read_json(path, FORMAT, "ablate")


# ---------------------------------------------------------------------------------------------------------------------
# Reading them
# ---------------------------------------------------------------------------------------------------------------------


def describe(run: dict[str, Any]) -> str:
    """A run's causes in a few words: "init [-0.1, 0.1), scale (classes)"."""
    details = {"init": f" [{run['low']}, {run['high']})", "scale": f" ({run['scaling']})"}
    return ", ".join(cause + details.get(cause, "") for cause in CAUSES if cause in run["causes"]) or "ours"


@dataclasses.dataclass(frozen=True)
class Row:
    """One configuration over its seeds.

    accuracy: final, one a seed. shown: the least and the greatest loss that was printed. wobble: the standard deviation
    of the accuracy over a run's last LAST_EPOCHS epochs, mean of the seeds; None for shorter runs. seconds: median of
    an epoch, or None. memory: peak of allocated and reserved bytes, the greatest of the seeds. diverged: how many seeds
    were ended early.
    """

    causes: frozenset[str]
    accuracy: tuple[float, ...]
    shown: tuple[float, float]
    wobble: float | None
    seconds: float | None
    memory: tuple[int, int]
    diverged: int

    @property
    def mean(self) -> float:
        return mean(self.accuracy)

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds; None for one seed."""
        return stdev(self.accuracy) if len(self.accuracy) > 1 else None


def rows(results: dict[str, Any]) -> list[Row]:
    """A row for each configuration of an ablation, in the order in which they were first run."""
    groups: dict[frozenset[str], list[dict[str, Any]]] = {}
    for run in results["runs"]:
        groups.setdefault(frozenset(run["causes"]), []).append(run)
    return [_row(causes, runs) for causes, runs in groups.items()]


def _row(causes: frozenset[str], runs: list[dict[str, Any]]) -> Row:
    shown = [loss for run in runs for loss in run["shown"] if loss is not None and math.isfinite(loss)]
    seconds = [second for run in runs for second in run["seconds"] if second is not None]
    lasts = [run["test_accuracy"][-LAST_EPOCHS:] for run in runs]
    return Row(
        causes=causes,
        accuracy=tuple(run["test_accuracy"][-1] for run in runs),
        shown=(min(shown, default=math.nan), max(shown, default=math.nan)),
        wobble=mean(stdev(last) for last in lasts) if all(len(last) == LAST_EPOCHS for last in lasts) else None,
        seconds=median(seconds) if seconds else None,
        memory=(max(run["peak_allocated"] for run in runs), max(run["peak_reserved"] for run in runs)),
        diverged=sum(run["diverged"] is not None for run in runs),
    )


def ablation_table(results: dict[str, Any]) -> str:
    """The ablation as text: circumstances, then the reconstruction with each repair, then ours with each cause."""
    found = {row.causes: row for row in rows(results)}
    everything = frozenset().union(*found)
    seeds = len({run["seed"] for run in results["runs"]})
    device = results["machine"].get("gpu") or results["machine"]["cpu"]
    assumed = Assumptions(**next((run["assumptions"] for run in results["runs"] if run["causes"]), {}))
    lines = [
        f"LeNet on {results['data']['source']} ({results['data']['train_images']:,} images), "
        f"{results['recipe']['epochs']} epoch(s), {seeds} seed(s), device {results['machine']['device']} ({device}), "
        f"commit {results['commit']}",
        f"assumed: uniform draw from [{assumed.low}, {assumed.high}); loss {SCALINGS[assumed.scaling].what}",
        "",
        f"{'':<44}{'accuracy in %':>16}{'change':>9}{f'last {LAST_EPOCHS}':>8}{'losses printed':>16}"
        f"{'s an epoch':>12}{'peak MiB':>10}",
    ]
    for title, base, others in (
        ("the reconstruction", everything, [(f"  repaired: {c}", everything - {c}) for c in CAUSES]),
        ("ours", frozenset(), [(f"  put back: {c}", frozenset({c})) for c in CAUSES]),
    ):
        if base not in found:
            continue
        lines.append(_line(title, found[base], None))
        lines += [
            _line(name.replace(cause, CAUSES[cause].title), found[chosen], found[base])
            for cause, (name, chosen) in zip(CAUSES, others, strict=True)
            if chosen in found and chosen != base
        ]
    return "\n".join(lines)


def _line(title: str, row: Row, base: Row | None) -> str:
    accuracy = f"{100 * row.mean:.2f}" + ("" if row.spread is None else f" ± {100 * row.spread:.2f}")
    change = "" if base is None else f"{100 * (row.mean - base.mean):+.2f}"
    shown = f"{row.shown[0]:.3f}-{row.shown[1]:.3f}"
    seconds = "-" if row.seconds is None else f"{row.seconds:.2f}"
    diverged = f"   diverged: {row.diverged} of {len(row.accuracy)}" if row.diverged else ""
    memory = row.memory[0] / 2**20
    wobble = "-" if row.wobble is None else f"{100 * row.wobble:.2f}"
    return f"{title:<44}{accuracy:>16}{change:>9}{wobble:>8}{shown:>16}{seconds:>12}{memory:>10.1f}{diverged}"


@dataclasses.dataclass(frozen=True)
class Fit:
    """How a range and a scaling stand beside what the report printed. share: of the printed losses, how many lie in
    its span; fits_losses, fits_accuracy: by the thresholds above."""

    low: float
    high: float
    scaling: str
    accuracy: float
    shown: tuple[float, float]
    share: float

    @property
    def fits_losses(self) -> bool:
        return self.share >= SHARE_OF_LOSSES

    @property
    def fits_accuracy(self) -> bool:
        return abs(self.accuracy - REPORTED_ACCURACY) <= ACCURACY_TOLERANCE


def fits(results: dict[str, Any]) -> list[Fit]:
    """Each range and scaling of a sweep beside the report's printed losses and accuracy; means over the seeds.

    The scalings that only change what is printed come from the runs of "right", their losses divided.
    """
    batch, classes = results["recipe"]["batch_size"], 10
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for run in results["runs"]:
        groups.setdefault((run["low"], run["high"], run["scaling"]), []).append(run)
    found = []
    for (low, high, scaling), runs in groups.items():
        names = [scaling] + (["batch_shown", "classes_shown"] if scaling == "right" else [])
        for name in names:
            divisor = SCALINGS[name].shown(batch, classes) if name != scaling else 1  # else divided already
            # A loss that is no number (null in the file) is a printed one too, and lies in no span.
            losses = [math.nan if loss is None else loss / divisor for run in runs for loss in run["shown"]]
            inside = [REPORTED_LOSSES[0] - LOSS_ROUNDING <= x <= REPORTED_LOSSES[1] + LOSS_ROUNDING for x in losses]
            numbers = [loss for loss in losses if math.isfinite(loss)]
            found.append(
                Fit(
                    low,
                    high,
                    name,
                    mean(run["test_accuracy"][-1] for run in runs),
                    (min(numbers, default=math.nan), max(numbers, default=math.nan)),
                    sum(inside) / len(losses),
                )
            )
    return found


def nearest(found: list[Fit]) -> Fit:
    """What a reconstruction should assume: of those that fit both, else of all, the nearest in accuracy, for that is
    what its ablation explains.

    Only wrong scalings come into question: the report's printed losses are not those of a right one.
    """
    wrong = [fit for fit in found if fit.scaling != "right"]
    both = [fit for fit in wrong if fit.fits_losses and fit.fits_accuracy]
    return min(both or wrong, key=lambda fit: abs(fit.accuracy - REPORTED_ACCURACY))


def fits_table(results: dict[str, Any]) -> str:
    """The sweep as text, with a verdict for each range and scaling and for all of them together."""
    found = fits(results)
    seeds = len({run["seed"] for run in results["runs"]})
    low, high = REPORTED_LOSSES
    lines = [
        f"LeNet on {results['data']['source']} ({results['data']['train_images']:,} images), "
        f"{results['recipe']['epochs']} epoch(s), {seeds} seed(s), device {results['machine']['device']}, "
        f"commit {results['commit']}",
        f"losses fit: at least {SHARE_OF_LOSSES:.0%} of those printed lie in {low}-{high}, rounding allowed; "
        f"accuracy fits: within {100 * ACCURACY_TOLERANCE:g} points of {100 * REPORTED_ACCURACY:.2f} %",
        "",
        f"{'uniform draw':<16}{'scaling':<16}{'losses printed':>16}{'in the span':>13}{'accuracy in %':>15}  fits",
    ]
    for fit in found:
        verdict = [name for name, yes in (("losses", fit.fits_losses), ("accuracy", fit.fits_accuracy)) if yes]
        lines.append(
            f"{f'[{fit.low:g}, {fit.high:g})':<16}{fit.scaling:<16}{f'{fit.shown[0]:.3f}-{fit.shown[1]:.3f}':>16}"
            f"{fit.share:>13.0%}{100 * fit.accuracy:>15.2f}  {' and '.join(verdict) or '-'}"
        )
    both = [fit for fit in found if fit.fits_losses and fit.fits_accuracy]
    chosen = nearest(found)
    trained, whole = len({(run["low"], run["high"], run["scaling"]) for run in results["runs"]}), len(sweep_grid())
    if trained < whole:
        lines += ["", f"the sweep is not finished: {trained} of its {whole} trainings were run"]
    lines += [
        "",
        f"both fit: {len(both)} of {len(found)}"
        + "".join(f"; [{fit.low:g}, {fit.high:g}) {fit.scaling}" for fit in both),
        f"nearest in accuracy{' of those' if both else ' of all wrong scalings'}: [{chosen.low:g}, {chosen.high:g}) "
        f"{chosen.scaling}, {100 * chosen.accuracy:.2f} %",
    ]
    return "\n".join(lines)
