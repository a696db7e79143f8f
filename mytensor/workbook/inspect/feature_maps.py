"""Look inside a convolution: the feature map that each filter makes of an image, computed when you ask for it."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor.optional import ipywidgets
from mytensor.workbook.inspect.widget import StillPicture, png


class FeatureMaps(StillPicture, ipywidgets.VBox):
    """An image, a filter and the feature map; sliders choose the filter and the stride, and the kernel runs again.

    image: (channels, height, width), floating. filters: name -> weight (channels, kernel height, kernel width), all of
    one shape. `feature_map` is what the compiled conv2d returned last: (1, 1, height, width), a numpy array.
    """

    def __init__(self, image, filters: dict[str, np.ndarray]):
        self._image = np.ascontiguousarray(image, dtype=np.float32)
        self._names = list(filters)
        self._weight = np.ascontiguousarray(np.stack(list(filters.values())), dtype=np.float32)
        last = len(self._names) - 1
        self.filter = ipywidgets.IntSlider(0, 0, last, description="filter", continuous_update=True)
        self.stride = ipywidgets.IntSlider(1, 1, 4, description="stride")
        self._picture = ipywidgets.Image(
            format="png", layout={"width": "760px", "max_width": "100%", "object_fit": "contain"}
        )
        self._words = ipywidgets.HTML()
        super().__init__([ipywidgets.HBox([self.filter, self.stride]), self._words, self._picture])
        self.filter.observe(self._compute, "value")
        self.stride.observe(self._compute, "value")
        self._compute()

    def _compute(self, change=None) -> None:
        """Runs the kernel and draws its answer."""
        chosen = self._weight[self.filter.value : self.filter.value + 1]
        padding = (chosen.shape[2] // 2, chosen.shape[3] // 2)
        output = backend.conv2d(
            backend.from_numpy(self._image[None]),
            backend.from_numpy(chosen.copy()),
            stride=self.stride.value,
            padding=padding,
        )
        self.feature_map = output.numpy()
        self._picture.value = png(self.still())
        self._words.value = f'<div role="status" aria-live="polite">{self.sentence()}</div>'

    def sentence(self) -> str:
        image, output = ("×".join(map(str, array.shape[-2:])) for array in (self._image, self.feature_map))
        return (
            f"Filter {self.filter.value}, {self._names[self.filter.value]}, with stride {self.stride.value}: "
            f"{len(self._image)} channels of {image} pixels become one feature map of {output}."
        )

    def still(self):
        from mytensor.optional import Figure

        name, weight = self._names[self.filter.value], self._weight[self.filter.value]
        figure = Figure(figsize=(8.4, 2.9), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 0.62, 1.2])
        left.imshow(np.clip(self._image.transpose(1, 2, 0), 0, 1))
        left.set_title("image", fontsize=9)
        gap = np.full((1, weight.shape[2]), np.nan)
        shown = np.concatenate([part for channel in weight for part in (channel, gap)])[:-1]  # one below the other
        size = np.abs(weight).max() or 1
        middle.imshow(shown, cmap="PuOr", vmin=-2 * size, vmax=2 * size)  # pale: the numbers stay legible
        for (row, column), value in np.ndenumerate(shown):
            if not np.isnan(value):
                middle.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=6)
        middle.set_title(f"filter: {name}\n(a block a channel)", fontsize=9)
        output = self.feature_map[0, 0]
        size = np.abs(output).max() or 1
        drawn = right.imshow(output, cmap="PuOr", vmin=-size, vmax=size)
        right.set_title("feature map", fontsize=9)
        figure.colorbar(drawn, ax=right, shrink=0.8)
        for axes in (left, middle, right):
            axes.set_xticks([])
            axes.set_yticks([])
        return figure
