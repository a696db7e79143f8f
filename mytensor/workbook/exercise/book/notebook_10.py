"""The exercises of 10_cifar10_training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt

import numpy as np

from mytensor.workbook.check.cases.case import Case, Draw, Options
from mytensor.workbook.exercise.declare import EXACT, as_numpy, exercise, question

_ONE_IMAGE = sqrt(0.65 * 0.35)  # the standard deviation of "right", 1 or 0


@question(
    "10.1",
    "how far chance moves an accuracy",
    mistakes=[
        (_ONE_IMAGE / 100, "that is a fraction; asked are percent"),
        (100 * _ONE_IMAGE, "that is one image's; a mean of n of them has the n-th part of the variance"),
        (100 * _ONE_IMAGE**2 / 10_000, "that comes from the variance without its root"),
        (100 * 0.5 / 100, "that is the most it can be, at an accuracy of 50 %"),
        (100 * _ONE_IMAGE / sqrt(50_000), "the accuracy is measured on the test images"),
    ],
    tolerance=1e-2,
)
def _noise_of_the_test_set() -> float:
    return 100 * _ONE_IMAGE / sqrt(10_000)


def _launch_over_images(thread: Callable[..., bool]) -> Callable[..., np.ndarray]:
    """One thread an image, as a GPU would run them: 1 where it says that the image is right."""

    def launch(logits: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
        return np.array([int(thread(i, logits, labels, k)) for i in range(len(labels))], np.int64)

    return launch


@exercise(
    "10.2",
    "one thread of top-k accuracy",
    mistakes={
        "one place too many": ("before < k", "before <= k"),
        "equals never stand before": (" or (logit == own and c < label)", ""),
        "all equals stand before": ("logit == own and c < label", "logit == own and c != label"),
        "the later of equals stands before": ("c < label", "c > label"),
        "of the first image": ("logits[i]", "logits[0]"),
    },
    formula=EXACT,
    convert=as_numpy,
    adapt=_launch_over_images,
)
def _top_k_thread(draw: Draw) -> Iterator[Case]:
    """thread(i, logits, labels, k) -> whether image i's label is among its k largest logits, the first of equals
    first."""
    from mytensor.optional import torch

    def right(logits, labels, k):
        order = torch.sort(logits, dim=1, descending=True, stable=True).indices[:, :k]
        return (order == labels[:, None]).any(1).long()

    for images, classes, k in ((5, 4, 1), (7, 5, 2), (31, 10, 5)):
        for logits in (draw.tied(images, classes), draw.normal(images, classes)):
            arguments = {"logits": logits, "labels": draw.integers(0, classes, images)}
            yield Case(arguments, right, {"k": k}, length=0, trainable=[])


@exercise(
    "10.3",
    "the backward rule of the batch",
    mistakes={
        "`=` for `+=` where an image is chosen twice": ("gradient[image] += ", "gradient[image] = "),
        "not mirrored back": ("u[:, :, ::-1] if flip[b] else u", "u"),
        "upside down": ("u[:, :, ::-1]", "u[:, ::-1]"),
        "the 255 forgotten": ("(255 * std[:, None, None])", "std[:, None, None]"),
        "multiplied by the deviation": ("(255 * std[:, None, None])", "255 * std[:, None, None]"),
        "the place in the batch taken for the image": ("gradient[image]", "gradient[b % count]"),
    },
    convert=as_numpy,
)
def _batch_backward(draw: Draw) -> Iterator[Case]:
    """function(upstream, index, flip, std, count) -> the gradient by all `count` images' pixels, 0 to 255."""
    from mytensor.optional import torch

    def gradient(upstream, index, flip, std, count):
        images = torch.zeros(count, *upstream.shape[1:], dtype=torch.float64, requires_grad=True)
        chosen = images[index]
        chosen = torch.where(flip[:, None, None, None] > 0, chosen.flip(3), chosen)
        batch = (chosen / 255 - 0.5) / std[:, None, None]
        return torch.autograd.grad(batch, images, upstream)[0]

    for size, count, image in ((2, 3, (1, 2, 3)), (5, 2, (3, 3, 4)), (7, 4, (2, 5, 3))):
        arguments = {
            "upstream": draw.normal(size, *image),
            "index": draw.integers(0, count, size),
            "flip": draw.integers(0, 2, size),
            "std": draw.positive(image[0]),
        }
        arguments["flip"][0] = 1
        arguments["index"][-2:] = count - 1, count - 1 if size > count else 0
        options: Options = {"count": count}
        yield Case(arguments, gradient, options, length=size + 3, trainable=[])
