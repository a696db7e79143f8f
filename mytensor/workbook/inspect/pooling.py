"""Look inside max-pooling: each window, the element that won it, and the gradient on its way back."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor.optional import traitlets
from mytensor.workbook.inspect.im2col import numbers
from mytensor.workbook.inspect.widget import Inspector, script


class PoolingInspector(Inspector):
    """An image, its max-pooled image and the gradient that comes back; choose a window.

    image: (height, width), small enough to be read. upstream: the gradient of the pooled image, of its shape; None: 10,
    20, 30, ... All numbers, the winners' places too, come from the compiled kernels.
    """

    _esm = script("pooling.js")

    shape = traitlets.List().tag(sync=True)
    pooled_shape = traitlets.List().tag(sync=True)
    kernel_size = traitlets.Int().tag(sync=True)
    stride = traitlets.Int().tag(sync=True)
    image = traitlets.List().tag(sync=True)
    pooled = traitlets.List().tag(sync=True)
    winners = traitlets.List().tag(sync=True)  # for each window, the winner's flat index in the image
    upstream = traitlets.List().tag(sync=True)
    gradient = traitlets.List().tag(sync=True)
    window = traitlets.Int(0).tag(sync=True)  # the chosen one

    def __init__(self, image, kernel_size: int = 2, stride: int | None = None, upstream=None):
        array = np.ascontiguousarray(image, dtype=np.float64)
        if array.ndim != 2:
            raise ValueError(f"PoolingInspector: got an image of shape {array.shape}; wanted (height, width)")
        stride = stride or kernel_size
        planes = backend.from_numpy(array[None, None].copy())
        pooled, winners = backend.max_pool2d(planes, kernel_size, stride)
        if upstream is None:
            upstream = 10.0 * np.arange(1, pooled.size + 1).reshape(pooled.shape)
        upstream = np.ascontiguousarray(upstream, dtype=np.float64).reshape(pooled.shape)
        gradient = backend.max_pool2d_backward(backend.from_numpy(upstream), winners, planes.shape)
        super().__init__(
            shape=list(array.shape),
            pooled_shape=list(pooled.shape[2:]),
            kernel_size=kernel_size,
            stride=stride,
            image=array.ravel().tolist(),
            pooled=pooled.numpy().ravel().tolist(),
            winners=winners.numpy().ravel().tolist(),
            upstream=upstream.ravel().tolist(),
            gradient=gradient.numpy().ravel().tolist(),
        )

    def sentence(self) -> str:
        height, width = self.shape
        row, column = divmod(self.winners[self.window], width)
        return (
            f"Max-pooling of a {height}×{width} image, windows of {self.kernel_size}×{self.kernel_size}, stride "
            f"{self.stride}. Window {self.window}: the winner {self.pooled[self.window]:g} stands at row {row}, column "
            f"{column} and gets its gradient, {self.upstream[self.window]:g}."
        )

    def still(self):
        from mytensor.optional import Figure

        height, width = self.shape
        figure = Figure(figsize=(0.34 * (2 * width + 2 * self.pooled_shape[1] + 4), 0.34 * (height + 1)))
        parts = figure.subplots(1, 4, width_ratios=[width, self.pooled_shape[1], self.pooled_shape[1], width])
        winner = np.zeros(height * width, bool)
        winner[self.winners[self.window]] = True
        chosen = np.zeros(len(self.pooled), bool)
        chosen[self.window] = True
        for axes, title, values, mark, shape in zip(
            parts,
            ("image", "maximum", "upstream", "gradient of the image"),
            (self.image, self.pooled, self.upstream, self.gradient),
            (winner, chosen, chosen, winner),
            (self.shape, self.pooled_shape, self.pooled_shape, self.shape),
            strict=True,
        ):
            limits = {"vmin": min(values), "vmax": max(values) * 1.6 + 1e-9}
            numbers(axes, np.array(values).reshape(shape), mark.reshape(shape), limits)
            axes.set_title(title, fontsize=8, loc="left")
        return figure
