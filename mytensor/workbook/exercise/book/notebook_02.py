"""The exercises of 02_im2col."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import EXACT, SUM, as_numpy, exercise, question


@question(
    "02.1",
    "the stride of no overlap",
    mistakes=[
        (1, "at stride 1 an inner pixel is in nine windows"),
        (2, "at stride 2 neighbouring windows still share a row"),
    ],
)
def _stride_of_no_overlap() -> int:
    return 3


@exercise(
    "02.2",
    "im2col with stride and padding",
    mistakes={
        "the stride is forgotten": ("(y * stride, x * stride)", "(y, x)"),
        "padded on one side only": ("(padding, padding)))", "(padding, 0)))"),
    },
    formula=EXACT,
    convert=as_numpy,
)
def _strided_im2col(draw: Draw) -> Iterator[Case]:
    """function(image, kernel_size, padding=, stride=): (C, H, W) -> (C * kh * kw, L); torch's unfold of one image."""
    from mytensor.optional import torch

    def unfold(image, kernel_size, padding, stride):
        return torch.nn.functional.unfold(image[None], kernel_size, padding=padding, stride=stride)[0]

    for shape, kernel, padding, stride in (
        ((1, 4, 6), (2, 3), 0, 1),
        ((2, 5, 7), (3, 2), 0, 2),
        ((2, 4, 6), (3, 2), 1, 1),
        ((3, 7, 6), (2, 3), 2, 3),
    ):
        options = {"kernel_size": kernel, "padding": padding, "stride": stride}
        yield Case({"image": draw.normal(*shape)}, unfold, options, length=0, trainable=[])


def _launch_over_pixels(thread: Callable[..., float]) -> Callable[..., np.ndarray]:
    """One thread a pixel, as a GPU would run them."""

    def launch(columns: np.ndarray, image_shape: tuple[int, int, int], kernel_size: tuple[int, int]) -> np.ndarray:
        threads = range(int(np.prod(image_shape)))
        return np.array([thread(i, columns, image_shape, kernel_size) for i in threads]).reshape(image_shape)

    return launch


@exercise(
    "02.3",
    "one thread of col2im",
    mistakes={
        "the last copy wins": ("total += ", "total = "),
        "the kernel is turned round": ("y - r, x - s", "y - kh + 1 + r, x - kw + 1 + s"),
        "height and width exchanged": ("i % width", "i % height"),
        "the left border is not looked at": ("0 <= x_out < across", "x_out < across"),
    },
    formula=SUM,
    convert=as_numpy,
    adapt=_launch_over_pixels,
)
def _col2im_thread(draw: Draw) -> Iterator[Case]:
    """thread(i, columns, image_shape, kernel_size) -> pixel i of torch's fold, at stride 1 without padding."""
    from mytensor.optional import torch

    def fold(columns, image_shape, kernel_size):
        return torch.nn.functional.fold(columns[None], image_shape[1:], kernel_size)[0]

    for shape, kernel in (((1, 4, 6), (2, 3)), ((2, 5, 4), (3, 1)), ((3, 6, 7), (2, 5))):
        channels, height, width = shape
        places = (height - kernel[0] + 1) * (width - kernel[1] + 1)
        columns = draw.normal(channels * kernel[0] * kernel[1], places)
        options = {"image_shape": shape, "kernel_size": kernel}
        yield Case({"columns": columns}, fold, options, length=kernel[0] * kernel[1], trainable=[])
