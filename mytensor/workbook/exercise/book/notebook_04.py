"""The exercises of 04_conv_forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import as_numpy, exercise, question


@question(
    "04.1",
    "the size of an output",
    mistakes=[
        (15, "dilation spreads the kernel: it covers 9 pixels, not 5"),
        (12, "that many steps, and the window stands one time more than it steps"),
        (26, "at stride 1; here every second place is left out"),
        (12.5, "half a window is none: round down"),
    ],
)
def _output_size() -> int:
    return (32 + 2 * 1 - 2 * (5 - 1) - 1) // 2 + 1


def _launch_over_output(thread: Callable[..., float]) -> Callable[..., np.ndarray]:
    """One thread an output pixel, as a GPU would run them."""

    def launch(
        image: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int, output_shape: tuple
    ) -> np.ndarray:
        threads = range(int(np.prod(output_shape)))
        values = [thread(i, image, weight, bias, stride, padding, output_shape) for i in threads]
        return np.array(values).reshape(output_shape)

    return launch


@exercise(
    "04.2",
    "one thread of a convolution",
    mistakes={
        "the padding is read": ("if 0 <= row < height and 0 <= column < width:", "if row < height and column < width:"),
        "the stride is forgotten": ("y * stride - padding + r", "y - padding + r"),
        "the kernel is flipped": ("weight[o, c, r, s]", "weight[o, c, kh - 1 - r, kw - 1 - s]"),
        "the bias is forgotten": ("total = bias[o]", "total = 0.0"),
        "height and width exchanged": ("i // across % down, i % across", "i // down % across, i % down"),
    },
    convert=as_numpy,
    adapt=_launch_over_output,
)
def _convolution_thread(draw: Draw) -> Iterator[Case]:
    """thread(i, image, weight, bias, stride, padding, output_shape) -> output pixel i of one image's conv2d."""
    from mytensor.optional import torch

    def conv2d(image, weight, bias, stride, padding, output_shape):
        return torch.nn.functional.conv2d(image[None], weight, bias, stride, padding)[0]

    for image, weight, stride, padding in (
        ((1, 4, 6), (2, 1, 2, 3), 1, 0),
        ((2, 5, 7), (3, 2, 3, 2), 1, 1),
        ((3, 6, 9), (2, 3, 2, 3), 2, 2),
    ):
        out_channels, _, kh, kw = weight
        down, across = ((n + 2 * padding - k) // stride + 1 for n, k in zip(image[1:], (kh, kw), strict=True))
        arguments = {"image": draw.normal(*image), "weight": draw.normal(*weight), "bias": draw.normal(out_channels)}
        options = {"stride": stride, "padding": padding, "output_shape": (out_channels, down, across)}
        yield Case(arguments, conv2d, options, length=image[0] * kh * kw + 1, trainable=[])
