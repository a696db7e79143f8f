"""The pictures of a training run and of a comparison. Lines differ in marker and dash as well as in colour, and each
has a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mytensor.lab.compare.trajectories import Trajectory

# Okabe and Ito's colours, told apart by colour-blind readers too; and for each a marker and a dash.
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
)


def training_curves(history: list[dict[str, Any]], source: str) -> Figure:
    """Loss and accuracy by epoch, from ``Trainer.history``; ``source`` names the data."""
    from mytensor.optional import Figure

    fig = Figure(figsize=(9, 3.4), layout="constrained")
    fig.suptitle(f"Training on {source}")
    epochs = [row["epoch"] for row in history]
    for axes, quantity in zip(fig.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, style in zip(("train", "test"), STYLES, strict=False):
            axes.plot(epochs, [row[f"{split}_{quantity}"] for row in history], label=split, markersize=4, **style)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity if quantity == "loss" else "accuracy (fraction right)")
        axes.locator_params(axis="x", integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return fig


def training_sentence(history: list[dict[str, Any]], source: str) -> str:
    """What ``training_curves`` shows, in words."""
    first, last = history[0], history[-1]
    return (
        f"Training on {source}, {len(history)} epochs: test loss goes from {first['test_loss']:.2f} to "
        f"{last['test_loss']:.2f}, test accuracy from {first['test_accuracy']:.1%} to {last['test_accuracy']:.1%}."
    )


def image_grid(images: np.ndarray, titles: list[str], columns: int, headline: str) -> Figure:
    """Pictures uint8 (N, 3, H, W) in rows of ``columns``, a title above each."""
    from mytensor.optional import Figure

    rows = -(-len(images) // columns)
    fig = Figure(figsize=(columns, 1.25 * rows + 0.3), layout="constrained")
    fig.suptitle(headline, fontsize=10)
    for axes, image, title in zip(fig.subplots(rows, columns).flat, images, titles, strict=False):
        axes.imshow(image.transpose(1, 2, 0))
        axes.set_title(title, fontsize=8)
    for axes in fig.axes:
        axes.set_axis_off()
    return fig


def confusion_matrix(confusion: np.ndarray, classes: Sequence[str], source: str) -> tuple[Figure, str]:
    """(figure, sentence) of counts (true class, predicted class), each row as percent of its class."""
    from mytensor.optional import Figure

    percent = 100 * confusion / confusion.sum(axis=1, keepdims=True).clip(min=1)
    fig = Figure(figsize=(6.2, 5.4), layout="constrained")
    axes = fig.subplots()
    axes.imshow(percent, cmap="cividis", vmin=0, vmax=100)
    for row, column in np.ndindex(percent.shape):
        value = percent[row, column]
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", fontsize=8, color="black" if value > 55 else "white"
        )
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"Percent of each true class, {source}", fontsize=10)

    mistakes = percent - np.diag(np.diag(percent))
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    best, worst = percent.diagonal().argmax(), percent.diagonal().argmin()
    sentence = (
        f"Confusion matrix on {source}: best is {classes[best]} ({percent[best, best]:.0f} % right), worst "
        f"{classes[worst]} ({percent[worst, worst]:.0f} %); the commonest mistake takes {classes[row]} for "
        f"{classes[column]} ({percent[row, column]:.0f} %)."
    )
    return fig, sentence


def filters(weight: np.ndarray) -> tuple[Figure, str]:
    """(figure, sentence) of a first layer's filters (out_channels, 3, kh, kw): as colours, and channel by channel in
    grey; mid-grey is weight 0."""
    from mytensor.optional import Figure

    count = len(weight)
    fig = Figure(figsize=(1.2 * count + 0.6, 4.6), layout="constrained")
    shown = 0.5 + 0.5 * weight / np.abs(weight).max()
    grid = fig.subplots(4, count, squeeze=False)
    for index in range(count):
        grid[0, index].imshow(shown[index].transpose(1, 2, 0))
        grid[0, index].set_title(f"filter {index}", fontsize=8)
        for channel in range(3):
            grid[channel + 1, index].imshow(shown[index, channel], cmap="gray", vmin=0, vmax=1)
    for axes, label in zip(grid[:, 0], ("as colours", "red", "green", "blue"), strict=True):
        axes.set_ylabel(label, fontsize=8)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
    strongest = int(np.square(weight).sum(axis=(1, 2, 3)).argmax())
    sentence = (
        f"The {count} filters of the first layer, {weight.shape[2]}x{weight.shape[3]} pixels each: above as colours, "
        "below the weights of the red, green and blue channel in grey. Mid-grey is 0, brighter is positive, darker "
        f"negative. Filter {strongest} has the largest weights."
    )
    return fig, sentence


def trajectory(paths: Trajectory) -> tuple[Figure, str]:
    """(figure, sentence): how far the losses of ours and of float32 torch are from float64 torch's, step by step."""
    from mytensor.optional import Figure

    fig = Figure(figsize=(8, 3.2), layout="constrained")
    axes = fig.subplots()
    for label, losses, style in zip(
        ("ours, float32", "PyTorch, float32"), (paths.ours, paths.torch32), STYLES, strict=False
    ):
        distance = np.abs(losses - paths.torch64)
        axes.semilogy(
            distance.clip(min=1e-9), label=label, markevery=max(1, len(distance) // 12), markersize=4, **style
        )
    axes.set_xlabel("training step")
    axes.set_ylabel("distance of the loss from float64")
    axes.grid(alpha=0.3)
    axes.legend()
    sentence = (
        f"Distance of each step's loss from float64 PyTorch over {len(paths.ours)} steps: both float32 runs drift "
        f"alike; ours is {paths.loss_ratio:.2f} times as far as PyTorch's."
    )
    return fig, sentence


def comparison_curves(results: dict[str, Any]) -> tuple[Figure, str]:
    """(figure, sentence) of a comparison: test accuracy by epoch, mean over the seeds and the span between the
    extremes."""
    from mytensor.optional import Figure

    fig = Figure(figsize=(8, 3.6), layout="constrained")
    axes = fig.subplots()
    final = {}
    for side, label, style in zip(("ours", "torch"), ("mytensor", "PyTorch"), STYLES, strict=False):
        accuracy = 100 * np.array([run[side]["test_accuracy"] for run in results["runs"]])
        epochs = np.arange(1, accuracy.shape[1] + 1)
        axes.plot(epochs, accuracy.mean(axis=0), label=label, markersize=4, **style)
        axes.fill_between(epochs, accuracy.min(axis=0), accuracy.max(axis=0), color=style["color"], alpha=0.15)
        final[label] = accuracy[:, -1].mean()
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy in %")
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    source = results["data"]["source"]
    axes.set_title(
        f"LeNet on {source}, {len(results['runs'])} seeds: line = mean, band = least to greatest", fontsize=10
    )
    sentence = (
        f"Test accuracy by epoch on {source}: after the last epoch "
        + ", ".join(f"{label} has {value:.2f} %" for label, value in final.items())
        + f" on average over {len(results['runs'])} seeds."
    )
    return fig, sentence


def roofline(
    points: dict[str, list[tuple[float, float]]], flops: dict[str, float], bytes_per_second: float, what: str
) -> tuple[Figure, str]:
    """(figure, sentence): how fast kernels are under the roof that the machine's ceilings make.

    points: name -> (floating-point operations a byte of memory, operations a second) of each measurement. flops: name
    -> operations a second that the machine can do at most. what: the machine. Source: Williams, Waterman and Patterson,
    "Roofline: an insightful visual performance model", Communications of the ACM 52 (2009).
    """
    from mytensor.optional import Figure

    fig = Figure(figsize=(8, 4.2), layout="constrained")
    axes = fig.subplots()
    everywhere = [x for series in points.values() for x, _ in series]
    x = np.geomspace(min([*everywhere, 1]) / 2, max([*everywhere, max(flops.values()) / bytes_per_second]) * 2, 200)
    for (name, most), style in zip(flops.items(), STYLES, strict=False):
        roof = np.minimum(x * bytes_per_second, most) / 1e9
        axes.loglog(x, roof, color="#555555", linestyle=style["linestyle"], linewidth=1.5)
        axes.annotate(f"{name}: {most / 1e9:,.0f} GFLOP/s", (x[-1], roof[-1]), ha="right", va="bottom", fontsize=8)
    shown = [(name, sorted(series)) for name, series in points.items() if series]
    for number, (name, series) in enumerate(shown):
        style = STYLES[number % len(STYLES)] | {"linestyle": ":", "marker": "os^DvPX*<>"[number % 10]}
        axes.loglog([x for x, _ in series], [y / 1e9 for _, y in series], label=name, markersize=6, **style)
    axes.set_xlabel("floating-point operations a byte")
    axes.set_ylabel("GFLOP/s")
    axes.set_title(f"Under the roof of {what}", fontsize=10)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, loc="upper left")
    best, speed = max(((name, max(y for _, y in series)) for name, series in shown), key=lambda pair: pair[1])
    roofs = ", ".join(f"{most / 1e9:,.0f} GFLOP/s ({name})" for name, most in flops.items())
    sentence = (
        f"Roofline of {what}: memory delivers {bytes_per_second / 1e9:,.0f} GB/s, the arithmetic ends at {roofs}. "
        f"Highest stands {best} with {speed / 1e9:,.0f} GFLOP/s."
    )
    return fig, sentence


def ablation_bars(results: dict[str, Any]) -> tuple[Figure, str]:
    """(figure, sentence) of an ablation: the final accuracy of the reconstruction and of ours, and what each cause
    changes in it, with the standard deviation over the seeds."""
    from mytensor.lab.compare.ablation import rows
    from mytensor.lab.compare.ablation_causes import CAUSES
    from mytensor.optional import Figure

    found = {row.causes: row for row in rows(results)}
    everything = frozenset().union(*found)
    present = [cause for cause in CAUSES if cause in everything]
    groups: list[tuple[str, frozenset[str], list[frozenset[str]]]] = [
        ("the reconstruction, one cause repaired", everything, [everything - {cause} for cause in present]),
        ("ours, one cause put back", frozenset(), [frozenset({cause}) for cause in present]),
    ]
    fig = Figure(figsize=(9, 1.2 + 0.32 * len(present)), layout="constrained")
    words = []
    for axes, (title, base, others), style in zip(
        fig.subplots(1, 2, sharey=True, sharex=True), groups, STYLES, strict=False
    ):
        names = ["as it is", *(CAUSES[cause].title for cause in present)]
        bars = [found.get(base), *(found.get(other) for other in others)]
        for place, row in enumerate(bars):
            if row is None:
                axes.text(1, place, "not run", va="center", fontsize=8)
                continue
            axes.barh(
                place,
                100 * row.mean,
                xerr=None if row.spread is None else 100 * row.spread,
                color=style["color"],
                alpha=0.75,
                hatch="//" if place == 0 else None,
                edgecolor="black",
                capsize=3,
            )
            end = 100 * (row.mean + (row.spread or 0))
            axes.text(end + 1.5, place, f"{100 * row.mean:.1f}", va="center", fontsize=8)
        axes.set_xlim(0, 100 * max(row.mean for row in found.values()) + 15)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("test accuracy in %")
        if bars[0] is not None:
            changes = {
                CAUSES[cause].title: 100 * (row.mean - bars[0].mean)
                for cause, row in zip(present, bars[1:], strict=True)
                if row is not None
            }
            most = max(changes, key=lambda name: abs(changes[name])) if changes else None
            words.append(
                f"{title}: {100 * bars[0].mean:.2f} % as it is"
                + (f", the greatest change is {changes[most]:+.2f} points by {most}" if most else "")
            )
    return fig, f"Final accuracy on {results['data']['source']}. " + "; ".join(words) + "."
