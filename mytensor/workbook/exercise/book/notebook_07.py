"""The exercises of 07_cross_entropy."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import log

import numpy as np

from mytensor.workbook.check.cases.case import Arrays, Case, Draw
from mytensor.workbook.check.references import cross_entropy_sizes, softmax_sizes
from mytensor.workbook.exercise.declare import as_numpy, exercise, question


@question(
    "07.1",
    "the loss of a guess",
    mistakes=[
        (0.1, "that is the probability of the right class; the loss is its surprise"),
        (1.0, "that is the logarithm to base 10; the loss takes the natural one"),
        (-log(10), "the logarithm of a probability is negative, so the loss has a minus sign"),
        (2.3, "close: give it exactly, by np.log"),
    ],
)
def _loss_of_a_guess() -> float:
    return log(10)


def _log_sum_exp_sizes(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    return {"output": softmax_sizes(arguments["logits"], 1).absolute[:, 0]}


@exercise(
    "07.2",
    "log-sum-exp",
    mistakes={
        "the maximum is not taken out": ("np.exp(logits - m)", "np.exp(logits) / np.exp(m)"),
        "the maximum is not put back": ("m[:, 0] + ", ""),
        "one maximum for the whole batch": (
            "logits.max(axis=1, keepdims=True)",
            "np.full((len(logits), 1), logits.max())",
        ),
        "summed over the batch": ("sum(axis=1)", "sum(axis=0)"),
    },
    formula="|error| <= 2·eps·(K + |x| + |log-sum-exp|)",
    convert=as_numpy,
)
def _log_sum_exp(draw: Draw) -> Iterator[Case]:
    """function(logits) -> log(sum(exp(logits))) of each row, for logits of any size."""
    from mytensor.optional import torch

    large = draw.normal(4, 3) * 1e4
    apart = draw.normal(3, 5)
    apart[0] += 1e4
    for logits in (draw.normal(3, 4), large, apart, draw.normal(7, 10)):
        yield Case(
            {"logits": logits},
            lambda logits: torch.logsumexp(logits, 1),
            magnitude=_log_sum_exp_sizes,
            trainable=[],
        )


def _gradient_sizes(label_smoothing: float, arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    logits, target = arguments["logits"], arguments["target"]
    sizes = cross_entropy_sizes(logits, target, np.ones(()), label_smoothing=label_smoothing)
    return {"output": sizes["input gradient"]}


@exercise(
    "07.3",
    "the gradient under label smoothing",
    mistakes={
        "divided by the batch twice": (" / len(logits)", " / len(logits) ** 2"),
        "not divided": (" / len(logits)", " / 1"),
        "not smoothed": ("(1 - smoothing) * y + smoothing / classes", "y"),
        "smoothed without lowering the rest": ("(1 - smoothing) * y", "y"),
        "the wrong sign": ("(p - wanted)", "(wanted - p)"),
    },
    formula="|error| <= 2·eps·(K + |x| + |log-sum-exp|)",
    convert=as_numpy,
)
def _smoothed_gradient(draw: Draw) -> Iterator[Case]:
    """function(logits, target, smoothing) -> the gradient of the mean cross-entropy by the logits."""
    from mytensor.optional import torch

    def gradient(logits, target, smoothing):
        leaf = logits.detach().requires_grad_()
        loss = torch.nn.functional.cross_entropy(leaf, target, label_smoothing=smoothing)
        return torch.autograd.grad(loss, leaf)[0]

    for batch, classes, smoothing in ((3, 4, 0.2), (7, 5, 0.1), (5, 10, 0.0), (2, 3, 0.6)):
        logits = draw.normal(batch, classes)
        target = draw.integers(0, classes, batch)
        sizes = partial(_gradient_sizes, smoothing)
        options = {"smoothing": smoothing}
        yield Case({"logits": logits, "target": target}, gradient, options, magnitude=sizes, trainable=[])
