"""Look inside a training run: curves that grow with it, and the mistakes that remain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mytensor.data import ImageDataset
from mytensor.lab import plots
from mytensor.optional import ipywidgets
from mytensor.workbook.inspect.widget import StillPicture, png

if TYPE_CHECKING:
    from mytensor.training import Trainer


class LiveCurves(StillPicture, ipywidgets.VBox):
    """Loss and accuracy by epoch. Hand `update` to `Trainer.fit(on_epoch=...)`; source names the data."""

    def __init__(self, source: str):
        self.source = source
        self.history: list[dict[str, Any]] = []
        self._picture = ipywidgets.Image(
            format="png", layout={"width": "820px", "max_width": "100%", "object_fit": "contain"}
        )
        self._words = ipywidgets.HTML(self.sentence())
        super().__init__([self._words, self._picture])
        self._picture.value = png(self.still())

    def update(self, trainer: Trainer) -> None:
        """Draws the trainer's history as it now is."""
        self.history = list(trainer.history)
        self._picture.value = png(self.still())
        self._words.value = f'<div role="status" aria-live="polite">{self.sentence()}</div>'

    def sentence(self) -> str:
        if not self.history:
            return f"Training on {self.source}: no epoch is finished yet."
        return plots.training_sentence(self.history, self.source)

    def still(self):
        return plots.training_curves(self.history, self.source)


class MistakesInspector(StillPicture, ipywidgets.VBox):
    """The images whose true class got the smallest probability, worst first; a slider steps through them.

    dataset: the test set. probabilities: (images, classes), as `mytensor.training.predict` gives them.
    `chosen` is the place of the image on show in the data set.
    """

    def __init__(self, dataset: ImageDataset, probabilities: np.ndarray, count: int = 16):
        self._dataset, self._probabilities = dataset, probabilities
        of_true_class = probabilities[np.arange(len(dataset)), dataset.labels]
        self._worst = np.argsort(of_true_class, kind="stable")[:count]
        self.rank = ipywidgets.IntSlider(0, 0, len(self._worst) - 1, description="mistake")
        self._picture = ipywidgets.Image(
            format="png", layout={"width": "620px", "max_width": "100%", "object_fit": "contain"}
        )
        self._words = ipywidgets.HTML()
        super().__init__([self.rank, self._words, self._picture])
        self.rank.observe(self._draw, "value")
        self._draw()

    @property
    def chosen(self) -> int:
        return int(self._worst[self.rank.value])

    def _draw(self, change=None) -> None:
        self._picture.value = png(self.still())
        self._words.value = f'<div role="status" aria-live="polite">{self.sentence()}</div>'

    def sentence(self) -> str:
        probabilities, label = self._probabilities[self.chosen], self._dataset.labels[self.chosen]
        said = int(probabilities.argmax())
        return (
            f"Test image {self.chosen} of {self._dataset.source}: {self._dataset.classes[label]}, taken for "
            f"{self._dataset.classes[said]} ({probabilities[said]:.1%}); the right class got "
            f"{probabilities[label]:.2%}."
        )

    def still(self):
        from mytensor.optional import Figure

        probabilities, label = self._probabilities[self.chosen], self._dataset.labels[self.chosen]
        classes = self._dataset.classes
        figure = Figure(figsize=(7.2, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.6])
        left.imshow(self._dataset.images[self.chosen].transpose(1, 2, 0))
        left.set_axis_off()
        left.set_title(f"true class: {classes[label]}", fontsize=10)
        bars = right.barh(range(len(classes)), probabilities, color="#56b4e9", edgecolor="black")
        bars[label].set_hatch("///")
        right.set_yticks(range(len(classes)), [f"{c} (true)" if i == label else c for i, c in enumerate(classes)])
        right.invert_yaxis()
        right.set_xlim(0, 1)
        right.set_xlabel("probability")
        return figure
