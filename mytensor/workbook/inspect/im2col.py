"""Look inside im2col: which pixel each element of the matrix was copied from."""

from __future__ import annotations

from typing import Any

import mytensor_backend as backend
import numpy as np

from mytensor.optional import traitlets
from mytensor.workbook.inspect.widget import Inspector, script


class Im2colInspector(Inspector):
    """An image beside its im2col matrix; choose a column to see its patch, or a pixel to see its copies.

    image: (channels, height, width), small enough to be read (say 2 x 4 x 5). kernel_size: int or (height, width).
    All numbers come from the compiled kernel: `columns` is im2col(image), and `origin` is im2col of an image whose
    pixels are their own addresses (in the padded image, row-major), so it says what the kernel really read.
    """

    _esm = script("im2col.js")

    stride = traitlets.Int(1, min=1).tag(sync=True)
    padding = traitlets.Int(0, min=0).tag(sync=True)
    row = traitlets.Int(0).tag(sync=True)  # the chosen element of the matrix ...
    column = traitlets.Int(0).tag(sync=True)
    pixel = traitlets.Int(-1).tag(sync=True)  # ... or the chosen pixel's address in the padded image; -1: none

    shape = traitlets.List().tag(sync=True)
    kernel = traitlets.List().tag(sync=True)
    image = traitlets.List().tag(sync=True)
    columns = traitlets.List().tag(sync=True)
    origin = traitlets.List().tag(sync=True)
    matrix_shape = traitlets.List().tag(sync=True)  # rows, columns, output width
    padding_shown = traitlets.Int(0).tag(sync=True)  # the padding `origin` was computed with
    version = traitlets.Int(0).tag(sync=True)  # set last: all of the above belong together again

    def __init__(self, image, kernel_size=3, stride: int = 1, padding: int = 0):
        array = np.ascontiguousarray(image, dtype=np.float64)
        if array.ndim != 3:
            raise ValueError(f"Im2colInspector: got an image of shape {array.shape}; wanted (channels, height, width)")
        kernel = [kernel_size, kernel_size] if isinstance(kernel_size, int) else list(kernel_size)
        super().__init__(
            shape=list(array.shape), kernel=kernel, image=array.ravel().tolist(), stride=stride, padding=padding
        )
        self._compute()
        self.observe(self._compute, ["stride", "padding"])

    def _compute(self, change=None) -> None:
        """Runs the kernel for the present stride and padding."""
        image = np.array(self.image).reshape(1, *self.shape)
        channels, height, width = self.shape
        padded = (1, channels, height + 2 * self.padding, width + 2 * self.padding)
        addresses = np.arange(np.prod(padded), dtype=np.float64).reshape(padded)
        columns = self._im2col(image, self.padding)
        with self.hold_sync():
            self.columns = columns.ravel().tolist()
            self.origin = self._im2col(addresses, 0).ravel().astype(int).tolist()
            self.matrix_shape = [*columns.shape, (padded[3] - self.kernel[1]) // self.stride + 1]
            self.padding_shown = self.padding
            self.row = min(self.row, columns.shape[0] - 1)
            self.column = min(self.column, columns.shape[1] - 1)
            self.pixel = -1
            self.version += 1

    def _im2col(self, image: np.ndarray, padding: int) -> np.ndarray:
        """(1, C, H, W) -> (C * kernel height * kernel width, output pixels), by the compiled kernel."""
        columns = backend.im2col(backend.from_numpy(image), tuple(self.kernel), padding=padding, stride=self.stride)
        return columns.numpy()[0]

    def sentence(self) -> str:
        rows, columns, _ = self.matrix_shape
        image, kernel = "×".join(map(str, self.shape)), "×".join(map(str, self.kernel))
        return (
            f"im2col of a {image} image, kernel {kernel}, stride {self.stride}, padding {self.padding}: a matrix of "
            f"{rows}×{columns}. Outlined: column {self.column} and the patch it was copied from."
        )

    def still(self):
        from mytensor.optional import Figure

        channels, height, width = self.shape
        rows, columns, _ = self.matrix_shape
        padding = self.padding_shown
        padded = np.full((channels, height + 2 * padding, width + 2 * padding), np.nan)
        padded[:, padding : padding + height, padding : padding + width] = np.array(self.image).reshape(self.shape)
        origin = np.array(self.origin).reshape(rows, columns)
        patch = set(origin[:, self.column])
        cell = 0.27  # inches
        figure = Figure(
            figsize=(cell * (padded.shape[2] + columns + 3), cell * max(rows, channels * (padded.shape[1] + 1)))
        )
        mosaic: list[Any] = [[f"image {channel}", "matrix"] for channel in range(channels)]
        axes = figure.subplot_mosaic(
            mosaic, width_ratios=[padded.shape[2], columns], gridspec_kw={"wspace": 0.12, "hspace": 0.25}
        )
        limits = {"vmin": np.nanmin(padded), "vmax": np.nanmax(padded) * 1.6}
        for channel in range(channels):
            addresses = np.arange(padded[channel].size).reshape(padded[channel].shape) + channel * padded[channel].size
            numbers(axes[f"image {channel}"], padded[channel], np.isin(addresses, list(patch)), limits)
            axes[f"image {channel}"].set_title(f"image, channel {channel}", fontsize=8, loc="left")
        chosen = np.zeros((rows, columns), bool)
        chosen[:, self.column] = True
        numbers(axes["matrix"], padded.ravel()[origin], chosen, limits)
        axes["matrix"].set_title("matrix: one column an output pixel", fontsize=8, loc="left")
        return figure


def numbers(axes, values: np.ndarray, chosen: np.ndarray, limits: dict) -> None:
    """Draws a small matrix with its numbers, NaN as an empty 0; outlines the chosen elements."""
    from mytensor.optional import Rectangle

    axes.imshow(values, cmap="Blues", **limits)
    axes.set_xticks([])
    axes.set_yticks([])
    for (row, column), value in np.ndenumerate(values):
        text, color = ("0", "0.6") if np.isnan(value) else (f"{value:g}", "black")
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
        if chosen[row, column]:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#e69f00", linewidth=1.8))
