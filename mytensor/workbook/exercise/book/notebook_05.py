"""The exercises of 05_conv_backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.exercise.declare import as_numpy, exercise, question


@question(
    "05.1",
    "the products of one weight",
    mistakes=[
        (
            27,
            "that is how many products make an output pixel: each has 27 weights, but how many output pixels a weight?",
        ),
        (32 * 32, "that is one image; the batch has 64"),
        (64 * 30 * 30, "with padding 1 the output is as large as the image"),
        (64 * 6 * 32 * 32, "a weight belongs to one output channel only"),
    ],
)
def _products_of_one_weight() -> int:
    return 64 * 32 * 32


@exercise(
    "05.2",
    "the weight's gradient, with a stride",
    mistakes={
        "the stride is forgotten": ("::stride, ::stride", "::1, ::1"),
        "the channels exchanged": ("ocrs", "osrc"),
        "the upstream gradient taken as ones": ('np.einsum("oij,', 'np.einsum("oij,oij,'),
    },
    convert=as_numpy,
)
def _weight_gradient(draw: Draw) -> Iterator[Case]:
    """function(u, x, kernel_size, stride): (O, H', W'), (C, H, W) -> (O, C, kh, kw); one image, no padding."""
    from mytensor.optional import torch

    conv2d_weight = torch.nn.grad.conv2d_weight  # type: ignore[attr-defined]

    for image, kernel, stride in (((1, 4, 6), (2, 3), 1), ((2, 7, 9), (3, 2), 2), ((3, 9, 7), (2, 3), 3)):
        down, across = ((n - k) // stride + 1 for n, k in zip(image[1:], kernel, strict=True))
        out_channels = image[0] + 1

        def gradient(u, x, kernel_size, stride):
            shape = (len(u), len(x), *kernel_size)
            return conv2d_weight(x[None], shape, u[None], stride=stride)

        arguments = {"u": draw.normal(out_channels, down, across), "x": draw.normal(*image)}
        options = {"kernel_size": kernel, "stride": stride}
        yield Case(arguments, gradient, options, length=down * across, trainable=[])


def _launch_over_image(thread: Callable[..., float]) -> Callable[..., np.ndarray]:
    """One thread a pixel of the image, as a GPU would run them."""

    def launch(u: np.ndarray, w: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
        return np.array([thread(i, u, w, image_shape) for i in range(int(np.prod(image_shape)))]).reshape(image_shape)

    return launch


@exercise(
    "05.3",
    "one thread of the input's gradient",
    mistakes={
        "the kernel is not flipped": ("h - r, v - s", "h - kh + 1 + r, v - kw + 1 + s"),
        "the last output channel only": ("total += ", "total = "),
        "a border is not looked at": ("0 <= j < across", "j < across"),
        "kernel height and width exchanged": ("np.ndindex(out_channels, kh, kw)", "np.ndindex(out_channels, kw, kh)"),
    },
    convert=as_numpy,
    adapt=_launch_over_image,
)
def _input_gradient_thread(draw: Draw) -> Iterator[Case]:
    """thread(i, u, w, image_shape) -> the gradient of pixel i of the image; stride 1, no padding."""
    from mytensor.optional import torch

    conv2d_input = torch.nn.grad.conv2d_input  # type: ignore[attr-defined]

    def gradient(u, w, image_shape):
        return conv2d_input((1, *image_shape), w, u[None])[0]

    for image, weight in (((1, 4, 6), (2, 1, 2, 3)), ((2, 5, 4), (3, 2, 3, 3)), ((3, 6, 7), (2, 3, 4, 4))):
        out_channels, _, kh, kw = weight
        arguments = {"u": draw.normal(out_channels, image[1] - kh + 1, image[2] - kw + 1), "w": draw.normal(*weight)}
        yield Case(arguments, gradient, {"image_shape": image}, length=out_channels * kh * kw, trainable=[])
