"""The exercises of 06_pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import EXACT, as_numpy, exercise, question


@question(
    "06.1",
    "the winner among zeros",
    mistakes=[
        (0, "that one wins the upper left window; asked is for the lower right one"),
        (15, "that is the last of its window; `>` lets the first of equals win"),
        (5, "that pixel lies in the upper left window"),
        (8, "that one wins the lower left window"),
    ],
)
def _winner_among_zeros() -> int:
    return 10


def _launch_over_windows(thread: Callable[..., int]) -> Callable[..., np.ndarray]:
    """One thread a window, as a GPU would run them."""

    def launch(image: np.ndarray, kernel_size: tuple[int, int], stride: int) -> np.ndarray:
        down, across = ((n - k) // stride + 1 for n, k in zip(image.shape, kernel_size, strict=True))
        winners = [thread(i, image, kernel_size, stride, across) for i in range(down * across)]
        return np.array(winners).reshape(down, across)

    return launch


@exercise(
    "06.2",
    "one thread of max-pooling",
    mistakes={
        "the last of equals wins": ("image[row, column] > best", "image[row, column] >= best"),
        "the stride is forgotten": ("y * stride + r, x * stride + s", "y + r, x + s"),
        "padded with zero": ("-np.inf", "0.0"),
        "a place in the window, not in the image": ("row * image.shape[1] + column", "r * kw + s"),
    },
    formula=EXACT,
    convert=as_numpy,
    adapt=_launch_over_windows,
)
def _max_pool_thread(draw: Draw) -> Iterator[Case]:
    """thread(i, image, kernel_size, stride, across) -> the flat index of window i's winner, as torch's indices."""
    from mytensor.optional import torch

    def indices(image, kernel_size, stride):
        return torch.nn.functional.max_pool2d(image[None], kernel_size, stride, return_indices=True)[1][0]

    for shape, kernel, stride in (((4, 5), (2, 2), 1), ((7, 9), (3, 2), 2), ((8, 7), (2, 3), 3)):
        for image in (draw.tied(*shape), draw.normal(*shape), -draw.positive(*shape)):
            yield Case({"image": image}, indices, {"kernel_size": kernel, "stride": stride}, length=0, trainable=[])


@exercise(
    "06.3",
    "the backward rule of average-pooling",
    mistakes={
        "windows overwrite each other": ("+= upstream", "= upstream"),
        "not divided": (" / (kh * kw)", " / 1"),
        "the stride is forgotten": ("top, left = y * stride, x * stride", "top, left = y, x"),
    },
    convert=as_numpy,
)
def _avg_pool_backward(draw: Draw) -> Iterator[Case]:
    """function(upstream, image_shape, kernel_size, stride) -> the image's gradient; no padding."""
    from mytensor.optional import torch

    def gradient(upstream, image_shape, kernel_size, stride):
        image = torch.zeros(1, *image_shape, dtype=torch.float64, requires_grad=True)
        pooled = torch.nn.functional.avg_pool2d(image, kernel_size, stride)
        return torch.autograd.grad(pooled, image, upstream[None])[0][0]

    for shape, kernel, stride in (((4, 5), (2, 2), 1), ((7, 9), (3, 2), 2), ((9, 8), (2, 3), 3)):
        down, across = ((n - k) // stride + 1 for n, k in zip(shape, kernel, strict=True))
        options = {"image_shape": shape, "kernel_size": kernel, "stride": stride}
        length = kernel[0] * kernel[1] + 1
        yield Case({"upstream": draw.normal(down, across)}, gradient, options, length=length, trainable=[])
