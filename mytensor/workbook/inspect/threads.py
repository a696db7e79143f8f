"""Look inside a CUDA kernel: what the 32 threads of one warp read and write, as device "simt" recorded it."""

from __future__ import annotations

from typing import Any

import mytensor_backend as backend
import numpy as np

from mytensor import simt
from mytensor.ladders import use_kernel
from mytensor.optional import traitlets
from mytensor.workbook.inspect.im2col import numbers
from mytensor.workbook.inspect.widget import Inspector, script

NOTHING = -1  # the thread made no access: its pixel is padding, or it stands beyond the last element


class Im2colThreads(Inspector):
    """The CUDA kernels of im2col, warp by warp: the pixels its threads read, the elements of the matrix they write.

    image: (channels, height, width), small enough to be read (say 2 x 4 x 5). kernel_size: int or (height, width).
    Every kernel of `kernels` runs once on device "simt", which records each access; nothing here is computed from the
    kernel's formula. Raises RuntimeError where the emulator was not built (`mt.simt.problem()` says why).
    """

    _esm = script("threads.js")

    kernels = traitlets.List().tag(sync=True)
    kernel = traitlets.Unicode().tag(sync=True)  # the chosen one
    warp = traitlets.Int(0, min=0).tag(sync=True)  # of the grid
    lane = traitlets.Int(0, min=0, max=simt.WARP - 1).tag(sync=True)  # the chosen thread of the warp

    shape = traitlets.List().tag(sync=True)
    kernel_size = traitlets.List().tag(sync=True)
    matrix_shape = traitlets.List().tag(sync=True)
    image = traitlets.List().tag(sync=True)
    columns = traitlets.List().tag(sync=True)
    # kernel -> for each thread of the grid, the flat index of what it reads and writes
    reads = traitlets.Dict().tag(sync=True)
    writes = traitlets.Dict().tag(sync=True)
    elements_in_sector = traitlets.Int(simt.SECTOR // 4).tag(sync=True)

    def __init__(self, image, kernel_size=3, padding: int = 0, kernels=("naive", "coalesced")):
        array = np.ascontiguousarray(image, dtype=np.float32)
        if array.ndim != 3:
            raise ValueError(f"Im2colThreads: got an image of shape {array.shape}; wanted (channels, height, width)")
        size = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        reads, writes = {}, {}
        for name in kernels:
            columns, launch = _record(name, array, size, padding)
            reads[name] = _index_by_thread(launch, "image", "read")
            writes[name] = _index_by_thread(launch, "columns", "write")
        super().__init__(
            kernels=list(kernels),
            kernel=kernels[0],
            shape=list(array.shape),
            kernel_size=list(size),
            matrix_shape=list(columns.shape),
            image=array.ravel().tolist(),
            columns=columns.ravel().tolist(),
            reads=reads,
            writes=writes,
        )

    def _of_warp(self, indices: dict[str, list[int]]) -> np.ndarray:
        """What the chosen warp's threads touch, without those that touch nothing."""
        first = simt.WARP * self.warp
        found = np.array(indices[self.kernel][first : first + simt.WARP])
        return found[found != NOTHING]

    def _sectors(self, indices: np.ndarray) -> int:
        return len(np.unique(indices // self.elements_in_sector))

    def sentence(self) -> str:
        written, read = self._of_warp(self.writes), self._of_warp(self.reads)
        first = simt.WARP * self.warp
        return (
            f"Kernel {self.kernel}, warp {self.warp}, threads {first} to {first + simt.WARP - 1} of the grid: "
            f"{len(written)} elements of the matrix are written, in {self._sectors(written)} sectors of {simt.SECTOR} "
            f"bytes; {len(read)} pixels are read, in {self._sectors(read)} sectors."
        )

    def still(self):
        from mytensor.optional import Figure

        channels, height, width = self.shape
        rows, columns = self.matrix_shape
        image, matrix = np.array(self.image).reshape(self.shape), np.array(self.columns).reshape(rows, columns)
        is_read, is_written = np.zeros(image.size, bool), np.zeros(matrix.size, bool)
        is_read[self._of_warp(self.reads)] = True
        is_written[self._of_warp(self.writes)] = True
        cell = 0.27  # inches
        figure = Figure(figsize=(cell * (width + columns + 3), cell * max(rows, channels * (height + 1))))
        mosaic: list[Any] = [[f"image {channel}", "matrix"] for channel in range(channels)]
        axes = figure.subplot_mosaic(
            mosaic, width_ratios=[width, columns], gridspec_kw={"wspace": 0.12, "hspace": 0.25}
        )
        limits = {"vmin": image.min(), "vmax": image.max() * 1.6 + 1e-9}
        for channel in range(channels):
            numbers(axes[f"image {channel}"], image[channel], is_read.reshape(self.shape)[channel], limits)
            axes[f"image {channel}"].set_title(f"channel {channel}: read", fontsize=8, loc="left")
        numbers(axes["matrix"], matrix, is_written.reshape(rows, columns), limits)
        axes["matrix"].set_title(f"matrix: written by warp {self.warp} of kernel {self.kernel}", fontsize=8, loc="left")
        return figure


def _record(
    kernel: str, image: np.ndarray, kernel_size: tuple[int, int], padding: int
) -> tuple[np.ndarray, simt.Launch]:
    """(columns, what one launch of the kernel did)."""
    x = backend.from_numpy(image[None].copy()).to("simt")
    with use_kernel("im2col", kernel), simt.trace() as trace:
        columns = backend.im2col(x, kernel_size, padding=padding)
    return columns.cpu().numpy()[0], trace.launches[0]


def _index_by_thread(launch: simt.Launch, array: str, kind: str) -> list[int]:
    """For each thread of the grid, the element of `array` that it reads or writes; NOTHING where it does not."""
    block_size = int(np.prod(launch.block))
    found = np.full(int(np.prod(launch.grid)) * block_size, NOTHING)
    accesses = launch.accesses
    accesses = accesses[(accesses["array"] == array) & (accesses["kind"] == kind)]
    found[accesses["block"] * block_size + accesses["thread"]] = accesses["index"]
    return found.tolist()
