"""The picture beside a wrong answer: what came, what was wanted, and which elements differ."""

from __future__ import annotations

import numpy as np

from mytensor.workbook.check.comparison import Difference
from mytensor.workbook.inspect.figure import Picture, figure

_READABLE = 14  # rows or columns whose numbers can still be read
_LARGEST = 200


def picture_of(result: str, difference: Difference) -> Picture | None:
    """Both arrays side by side, crosses on the wrong elements; None where there are not two dimensions to show.

    Of arrays with more than two dimensions: the last two, at the first wrong element.
    """
    if difference.got.ndim < 2 or max(difference.got.shape[-2:]) > _LARGEST:
        return None
    from mytensor.optional import Figure

    plane = difference.first[:-2]
    got, want, wrong = (array[plane] for array in (difference.got, difference.want, difference.wrong))
    rows, columns = wrong.shape
    readable = max(rows, columns) <= _READABLE
    cell = 0.42 if readable else 3.2 / max(rows, columns)
    fig = Figure(figsize=(max(5.0, 2 * cell * columns + 1.2), max(1.2, cell * rows + 0.6)), layout="constrained")
    finite = np.concatenate([array[np.isfinite(array)].ravel() for array in (got, want)])
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    limits = {"vmin": low, "vmax": low + 1.6 * max(high - low, 1e-30)}
    axes = fig.subplots(1, 2)
    place = "".join(f"{index}, " for index in plane)
    for ax, values, title in zip(axes, (got, want), ("yours", "wanted"), strict=True):
        ax.imshow(values.astype(np.float64), cmap="Blues", interpolation="nearest", **limits)
        ax.set_title(f"{title}: {result}[{place}:, :]", fontsize=9)
        ax.set_xticks([])
        ax.set_yticks([])
        if readable:
            for (row, column), value in np.ndenumerate(values):
                ax.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=7)
    marks = np.argwhere(wrong)
    size = (0.8 * cell * 72) ** 2 / 2
    axes[0].scatter(marks[:, 1], marks[:, 0], marker="x", s=size, color="#d55e00", linewidths=1.2)
    count = f"{len(marks)} of {wrong.size} elements of this plane are wrong" if wrong.ndim else ""
    return figure(fig, f"Your {result} beside the wanted one; crosses mark wrong elements: {count}.")
