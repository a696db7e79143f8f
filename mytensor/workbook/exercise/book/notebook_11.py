"""The exercises of 11_comparison."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Arrays, Case, Draw
from mytensor.workbook.exercise.declare import SUM, as_numpy, exercise, question


@question(
    "11.1",
    "the first loss that is printed",
    mistakes=[
        (math.log(10), "that is the mean loss of guessing, before it is divided by the classes"),
        (math.log(10) / 64, "that is divided by the batch, not by the classes"),
        (1 / 10, "that is the probability that guessing gives each class"),
        (math.log2(10) / 10, "the loss is a natural logarithm"),
    ],
    tolerance=2e-3,
)
def _first_printed_loss() -> float:
    return math.log(10) / 10


def _magnitude(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """(p + y) / N, and as much again for each unit of the largest logit: exp makes a relative error of an absolute
    one."""
    logits, target = arguments["logits"].astype(np.float64), arguments["target"]
    one_hot = np.eye(logits.shape[1])[target]
    largest = np.abs(logits).max(axis=1, keepdims=True)
    return {"output": (np.abs(wanted["output"] * len(logits) + one_hot) + one_hot) / len(logits) * (1 + largest)}


@exercise(
    "11.2",
    "the gradient of the mean loss, scaled rightly",
    mistakes={
        "divided by the batch twice": ("/ len(logits)", "/ len(logits) ** 2"),
        "divided by the classes too": ("/ len(logits)", "/ logits.size"),
        "not divided at all": (" / len(logits)", ""),
        "the maximum is left in": ("logits - logits.max(axis=1, keepdims=True)", "logits"),
        "one maximum for the whole batch": ("logits.max(axis=1, keepdims=True)", "logits.max()"),
        "uphill": ("p - y", "y - p"),
    },
    formula=SUM,
    convert=as_numpy,
)
def _gradient_of_the_mean_loss(draw: Draw) -> Iterator[Case]:
    """function(logits, target) -> (N, C): what torch's cross_entropy hands back to the logits."""
    from mytensor.optional import torch

    def gradient(logits, target):
        one_hot = torch.nn.functional.one_hot(target, logits.shape[1])
        return (torch.softmax(logits, 1) - one_hot) / len(logits)

    for rows, classes, scale in ((2, 3, 1.0), (5, 7, 1.0), (4, 10, 1000.0), (1, 6, 1.0)):
        arguments = {"logits": scale * draw.normal(rows, classes), "target": draw.integers(0, classes, rows)}
        # The first row stands far above the others: a maximum of the whole batch would leave them at 0 / 0.
        arguments["logits"][0] += 2000
        yield Case(arguments, gradient, length=classes, magnitude=_magnitude, trainable=[])
