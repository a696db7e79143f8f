"""The pictures of a training run. Lines differ in marker and dash as well as in colour, and each has a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; and for each a marker and a dash.
STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
)


def training_curves(history: list[dict[str, Any]], source: str) -> Figure:
    """Loss and accuracy by epoch, from ``Trainer.history``; ``source`` names the data."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(9, 3.4), layout="constrained")
    fig.suptitle(f"Training on {source}")
    epochs = [row["epoch"] for row in history]
    for axes, quantity in zip(fig.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for split, style in zip(("train", "test"), STYLES, strict=False):
            axes.plot(epochs, [row[f"{split}_{quantity}"] for row in history], label=split, markersize=4, **style)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity if quantity == "loss" else "accuracy (fraction right)")
        axes.xaxis.get_major_locator().set_params(integer=True)
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
