"""The exercises of 01_memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import EXACT, as_numpy, exercise, question


@question(
    "01.1",
    "the bytes of a batch",
    mistakes=[
        (64 * 3 * 32 * 32, "that many numbers, but each takes more than one byte"),
        (64 * 3 * 32 * 32 * 8, "that would be float64"),
        (64 * 3 * 32 * 32 * 32, "those are bits"),
        (64 * 32 * 32 * 4, "an image has three channels"),
        (3 * 32 * 32 * 4, "that is one image"),
    ],
)
def _bytes_of_a_batch() -> int:
    return 64 * 3 * 32 * 32 * np.dtype(np.float32).itemsize


@exercise(
    "01.2",
    "from a flat index to the indices",
    mistakes={
        "columns first": ("reversed(shape)", "shape"),
        "the indices in reverse": ("indices.insert(0, flat % length)", "indices.append(flat % length)"),
        "nothing carried over": ("flat = flat // length", "pass"),
    },
    formula=EXACT,
    convert=as_numpy,
)
def _unravel(draw: Draw) -> Iterator[Case]:
    """function(flat, shape) -> (dimensions, indices) int64, numpy's unravel_index."""
    from mytensor.optional import torch

    def unravel_index(flat, shape):
        return torch.stack(torch.unravel_index(flat, shape))

    for shape in ((3, 5), (2, 3, 4), (7,), (2, 5, 3, 4)):
        flat = draw.integers(0, int(np.prod(shape)), 9)
        yield Case({"flat": flat}, unravel_index, {"shape": shape}, length=0, trainable=[], dtype=draw.dtype)


def _launch_over_result(thread: Callable[..., float]) -> Callable[..., np.ndarray]:
    """One thread an element of the result, as a GPU would run them."""

    def launch(matrix: np.ndarray) -> np.ndarray:
        values = [thread(i, matrix.ravel(), matrix.shape) for i in range(matrix.size)]
        return np.array(values, matrix.dtype).reshape(matrix.shape[::-1])

    return launch


@exercise(
    "01.3",
    "one thread of a transpose",
    mistakes={
        "a copy": ("column_of_result * columns + row_of_result", "i"),
        "the lengths exchanged": ("i // rows, i % rows", "i // columns, i % columns"),
        "the source's lengths exchanged": ("* columns", "* rows"),
    },
    formula=EXACT,
    convert=as_numpy,
    adapt=_launch_over_result,
)
def _transpose_thread(draw: Draw) -> Iterator[Case]:
    """thread(i, source, shape) -> element i of the transposed matrix."""

    def transpose(matrix):
        return matrix.T.contiguous()

    for shape in ((3, 4), (5, 2), (1, 7), (6, 9)):
        yield Case({"matrix": draw.normal(*shape)}, transpose, length=0, trainable=[])
