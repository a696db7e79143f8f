"""The exercises of 03_gemm."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import EXACT, SUM, as_numpy, exercise, question

SIZE = 1024  # of the matrices in question 03.1
TILE = 32


@question(
    "03.1",
    "reads of a tiled product",
    mistakes=[
        (2 * SIZE**3, "that is what the naive kernel reads: every product needs two numbers"),
        (2 * SIZE**3 // 16, "that is right for tiles of 16 x 16; here they are 32 x 32"),
        (2 * SIZE**2, "that is every number once; but each of the 32 blocks in its row or column copies it again"),
        (SIZE**3 // TILE, "that is one of the two matrices"),
    ],
)
def _reads_of_tiles() -> int:
    return 2 * SIZE**3 // TILE


def _launch_over_tiles(thread: Callable[..., float]) -> Callable[..., np.ndarray]:
    """All threads of all blocks in one column of blocks, in all steps: the tiles of a, side by side."""

    def launch(a: np.ndarray, tile: int) -> np.ndarray:
        down, steps = -(-a.shape[0] // tile), -(-a.shape[1] // tile)
        copied = np.empty((down * tile, steps * tile))
        for block_row, step, ty, tx in np.ndindex(down, steps, tile, tile):
            copied[block_row * tile + ty, step * tile + tx] = thread(ty, tx, block_row, step, a, tile)
        return copied

    return launch


@exercise(
    "03.2",
    "what a thread copies",
    mistakes={
        "the tail is not guarded": ("row < m and k < inner", "True"),
        "tx and ty exchanged": ("block_row * tile + ty, step * tile + tx", "block_row * tile + tx, step * tile + ty"),
        "off by one at the edge": ("k < inner", "k <= inner - 2"),
        "the tile does not walk": ("step * tile + tx", "tx"),
    },
    formula=EXACT,
    convert=as_numpy,
    adapt=_launch_over_tiles,
)
def _copied(draw: Draw) -> Iterator[Case]:
    """thread(ty, tx, block_row, step, a, tile) -> what it stores in a_tile[ty][tx]; the tiles make a, padded."""
    from mytensor.optional import torch

    def padded(a, tile):
        m, k = a.shape
        return torch.nn.functional.pad(a, (0, -k % tile, 0, -m % tile))

    for shape, tile in (((3, 5), 2), ((4, 4), 4), ((7, 3), 4), ((5, 11), 3)):
        yield Case({"a": draw.normal(*shape)}, padded, {"tile": tile}, length=0, trainable=[])


@exercise(
    "03.3",
    "a product in slices",
    mistakes={
        "the tail is dropped": ("-(-inner // slices)", "inner // slices"),
        "each slice starts at 0": ("first = s * length", "first = 0"),
        "only the last slice is kept": ("output += ", "output = "),
    },
    formula=SUM,
    convert=as_numpy,
)
def _sliced(draw: Draw) -> Iterator[Case]:
    """function(a, b, slices) -> a @ b, the sum cut into so many slices, which are added in order."""
    from mytensor.optional import torch

    def product(a, b, slices):
        return torch.matmul(a, b)

    for (m, k, n), slices in (((2, 5, 3), 2), ((4, 6, 1), 3), ((1, 19, 4), 4), ((3, 7, 5), 1)):
        arguments = {"a": draw.normal(m, k), "b": draw.normal(k, n)}
        yield Case(arguments, product, {"slices": slices}, length=k + slices, trainable=[])
