"""Look inside the first step: how large the signals are that go forward, layer by layer, and the gradients that return.

What decides is the scale of the weights at the start. `STARTS` are the ways to draw them that notebook 09 compares,
`signals` records what one batch makes of a model, and the widget shows it by start and layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mytensor._tensor import Tensor
from mytensor.nn import Conv2d, Linear, Module, init
from mytensor.nn import functional as F
from mytensor.optional import traitlets
from mytensor.workbook.inspect.widget import Inspector, script

Start = Callable[[Module], object]
LAYERS = (Conv2d, Linear)  # the layers with weights


def plain_uniform(a: float) -> Start:
    """Every parameter, biases too, from [-a, a), whatever the layer."""

    def draw(model: Module) -> None:
        for parameter in model.parameters():
            init.uniform_(parameter, -a, a)

    return draw


def by_layer(rule: Callable[[Tensor], object]) -> Start:
    """Each layer's weight by the rule, its bias 0."""

    def draw(model: Module) -> None:
        for module in model.modules():
            if isinstance(module, LAYERS):
                rule(module.weight)
                if module.bias is not None:
                    init.zeros_(module.bias)

    return draw


# The report's script drew every layer with Tensor.uniform and does not state the range: ±0.1 is our assumption.
STARTS: dict[str, Start] = {
    "uniform ±0.01": plain_uniform(0.01),
    "uniform ±0.1": plain_uniform(0.1),
    "uniform ±1": plain_uniform(1.0),
    "Xavier": by_layer(init.xavier_uniform_),
    "Kaiming": by_layer(lambda weight: init.kaiming_uniform_(weight, nonlinearity="relu")),
    "torch's default": lambda model: None,  # as our layers are made
}


class Signals(NamedTuple):
    """What one layer gave, and how the loss would change with it. Both have the shape of the layer's output."""

    layer: str
    output: np.ndarray  # before the nonlinearity
    gradient: np.ndarray


def signals(model: Module, images: Tensor, labels: Tensor) -> list[Signals]:
    """One forward and one backward pass: the outputs of the layers with weights, and the loss's gradients by them."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable:
        def hook(module: Module, inputs: tuple, output: Tensor) -> None:
            output.retain_grad()
            outputs[name] = output

        return hook

    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, LAYERS)]
    handles = [module.register_forward_hook(keep(name)) for name, module in layers]
    try:
        F.cross_entropy(model(images), labels).backward()
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad()
    found = []
    for name, output in outputs.items():
        if output.grad is None:
            raise RuntimeError(f"the output of {name} does not reach the loss, so it has no gradient to show")
        found.append(Signals(name, output.detach().cpu().numpy(), output.grad.cpu().numpy()))
    return found


# Okabe and Ito's colours, and a marker and a dash of its own for each start.
_STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "--"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#CC79A7", "marker": "^", "linestyle": "--"},
    {"color": "#E69F00", "marker": "D", "linestyle": "-."},
    {"color": "#009E73", "marker": "v", "linestyle": "-"},
    {"color": "#000000", "marker": "x", "linestyle": ":"},
)


def style_of(place: int) -> dict:
    """Colour, marker and dash of the start at this place."""
    return {**_STYLES[place % len(_STYLES)], "markersize": 5, "linewidth": 1.4}


def deviations_figure(found: dict[str, list[Signals]], what: str):
    """(figure, sentence): the standard deviations of outputs and gradients, layer by layer, a line for each start."""
    from mytensor.optional import Figure

    fig = Figure(figsize=(9, 3.6), layout="constrained")
    fig.suptitle(what, fontsize=10)
    panels = fig.subplots(1, 2)
    for place, (name, rows) in enumerate(found.items()):
        layers = [row.layer for row in rows]
        panels[0].plot(layers, [row.output.std() for row in rows], label=name, **style_of(place))
        panels[1].plot(layers, [row.gradient.std() for row in rows], label=name, **style_of(place))
    for axes, title in zip(panels, ("outputs, forward →", "← gradients by the outputs, backward"), strict=True):
        axes.set_yscale("log")
        axes.set_title(title, fontsize=9, loc="left")
        axes.set_xlabel("layer")
        axes.set_ylabel("standard deviation")
        axes.grid(alpha=0.3)
    panels[1].legend(fontsize=7)
    growth = {name: rows[-1].output.std() / rows[0].output.std() for name, rows in found.items()}
    most, least = (choose(growth, key=growth.__getitem__) for choose in (max, min))
    steadiest = min(growth, key=lambda name: abs(np.log(growth[name])))
    sentence = (
        f"Standard deviation layer by layer, {what}. From the first layer to the last the outputs grow most with "
        f"{most} (times {growth[most]:.2g}), shrink most with {least} (times {growth[least]:.2g}) and change least "
        f"with {steadiest} (times {growth[steadiest]:.2g})."
    )
    return fig, sentence


SMALLEST, LARGEST = -18, 10  # the histograms' ends, in powers of ten
BINS_A_DECADE = 2


class InitInspector(Inspector):
    """Histograms of a model's outputs and gradients, layer by layer; choose the start (of the weights) and the layer.

    make: makes the model anew. images, labels: the batch that goes through it. starts: name -> what draws the weights.
    Each start is drawn from the same seed and run once; the histograms count by powers of ten of the absolute value,
    since between the starts the signals differ by many of them. Zeros are counted apart. about: names the data.
    """

    _esm = script("initialisation.js")

    starts = traitlets.List().tag(sync=True)
    layers = traitlets.List().tag(sync=True)
    edges = traitlets.List().tag(sync=True)  # of the bins, as powers of ten; the first and the last hold what is beyond
    # start -> for each layer {deviation, zeros, not_finite (shares), counts (shares, a bin each)}
    outputs = traitlets.Dict().tag(sync=True)
    gradients = traitlets.Dict().tag(sync=True)
    about = traitlets.Unicode().tag(sync=True)
    start = traitlets.Unicode().tag(sync=True)
    layer = traitlets.Int(0, min=0).tag(sync=True)

    def __init__(
        self,
        make: Callable[[], Module],
        images: Tensor,
        labels: Tensor,
        starts: dict[str, Start] | None = None,
        seed: int = 0,
        about: str = "",
    ):
        from mytensor import random

        starts = STARTS if starts is None else starts
        outputs, gradients, layers = {}, {}, []
        state = random.get_state()
        for name, draw in starts.items():
            random.manual_seed(seed)
            model = make()
            draw(model)
            found = signals(model, images, labels)
            layers = [row.layer for row in found]
            outputs[name] = [summary(row.output) for row in found]
            gradients[name] = [summary(row.gradient) for row in found]
        random.set_state(state)
        super().__init__(
            starts=list(starts),
            layers=layers,
            edges=edges_of_bins().tolist(),
            outputs=outputs,
            gradients=gradients,
            about=about,
            start=next(iter(starts)),
        )

    @traitlets.validate("start")
    def _known_start(self, proposal):
        if proposal["value"] not in self.starts:
            raise traitlets.TraitError(f"start: got {proposal['value']!r}; there are: {', '.join(self.starts)}")
        return proposal["value"]

    @traitlets.validate("layer")
    def _known_layer(self, proposal):
        return min(proposal["value"], len(self.layers) - 1)

    def sentence(self) -> str:
        first, last = self.outputs[self.start][0], self.outputs[self.start][-1]
        back = self.gradients[self.start][0]
        return (
            f"Outputs and gradients of {len(self.layers)} layers, weights drawn as {self.start}: standard deviation of "
            f"the outputs {brief(first['deviation'])} in the first layer and {brief(last['deviation'])} in the last, "
            f"of the gradients {brief(back['deviation'])} when they are back at the first."
        )

    def still(self):
        from mytensor.optional import Figure

        figure = Figure(figsize=(8.2, 0.42 * len(self.layers) + 1.2), layout="constrained")
        centres = (np.array(self.edges[1:]) + np.array(self.edges[:-1])) / 2
        for axes, title, rows, color in zip(
            figure.subplots(1, 2, sharey=True),
            ("outputs", "gradients by the outputs"),
            (self.outputs[self.start], self.gradients[self.start]),
            ("#56b4e9", "#e69f00"),
            strict=True,
        ):
            highest = max(max(row["counts"]) for row in rows) or 1
            for place, row in enumerate(rows):
                axes.bar(
                    centres,
                    np.array(row["counts"]) / highest * 0.8,
                    bottom=len(rows) - place - 1,
                    width=0.9 / BINS_A_DECADE,
                    color=color,
                    edgecolor="black",
                    linewidth=0.4,
                )
            axes.set_yticks(range(len(rows)), self.layers[::-1], fontsize=8)
            powers = range(SMALLEST + 2, LARGEST, 4)
            axes.set_xticks(powers, [f"1e{power}" for power in powers])
            axes.set_xlim(SMALLEST, LARGEST)
            axes.set_ylim(-0.15, len(rows))
            axes.set_title(f"{title}: {self.start}", fontsize=9, loc="left")
            axes.set_xlabel("absolute value")
            axes.grid(axis="x", alpha=0.3)
        return figure


def edges_of_bins() -> np.ndarray:
    """The ends of the histograms' bins, as powers of ten."""
    return np.linspace(SMALLEST, LARGEST, (LARGEST - SMALLEST) * BINS_A_DECADE + 1)


def summary(values: np.ndarray) -> dict:
    """The standard deviation of an array (None where it is no number), and what share of it lies where.

    zeros, not_finite, and counts (one a bin) are shares of all elements; together they make 1. What lies beyond the
    histogram's ends is counted in its first and last bin.
    """
    values = values.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    deviation = float(values.std()) if len(finite) == len(values) else None
    sizes = np.abs(finite[finite != 0])
    edges = edges_of_bins()
    powers = np.clip(np.log10(sizes), edges[0], edges[-1])
    counts = np.histogram(powers, edges)[0] / len(values)
    return {
        "deviation": deviation,
        "zeros": float((values == 0).mean()),
        "not_finite": 1 - len(finite) / len(values),
        "counts": counts.tolist(),
    }


def brief(value: float | None) -> str:
    """A standard deviation with two digits: 0.58, 3.4e-07."""
    return "no number" if value is None else f"{value:.2g}"
