"""The exercises of 08_autograd."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mytensor.workbook.check.cases.case import Arrays, Case, Draw
from mytensor.workbook.exercise.declare import as_numpy, exercise, question


@question(
    "08.1",
    "the leaf that suffers",
    mistakes=[
        ("w1", "it is used once, so it is handed one gradient: = and += are the same"),
        ("w2", "it is used once, so it is handed one gradient: = and += are the same"),
        ("hidden", "it is used once; and it is no leaf"),
    ],
)
def _leaf_that_suffers() -> str:
    return "x"


@exercise(
    "08.2",
    "the backward rule of a division",
    mistakes={
        "the sign forgotten": ("-u * a", "u * a"),
        "the square forgotten": ("(b * b)", "b"),
        "the gradients exchanged": ("u / b, -u * a / (b * b)", "-u * a / (b * b), u / b"),
        "upstream forgotten": ("u / b, -u", "1 / b, -u"),
    },
    formula="|error| <= 10·eps·|a|",
    dtypes=(np.float32, np.float64),
)
def _division(draw: Draw) -> Iterator[Case]:
    """A Function: a, b -> a / b, elementwise."""
    for shape in ((2, 3), (4, 5), (67,)):
        arguments = {"a": draw.normal(*shape), "b": draw.positive(*shape)}
        yield Case(arguments, lambda a, b: a / b, length=5, magnitude="pointwise")


def _softmax_sizes(arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    u, y = np.abs(arguments["upstream"]), np.abs(arguments["output"])
    return {"output": y * (u + (u * y).sum(axis=1, keepdims=True))}


@exercise(
    "08.3",
    "the backward rule of softmax",
    mistakes={
        "as if each output had one input": ("(upstream - mixed)", "upstream * (1 - output)"),
        "summed over the batch": ("axis=1", "axis=0"),
        "the mean instead of the sum": (".sum(", ".mean("),
    },
    formula="|error| <= 2·K·eps·y·(|u| + Σ|u|y)",
    convert=as_numpy,
)
def _softmax_backward(draw: Draw) -> Iterator[Case]:
    """function(upstream, output): (N, K) -> the gradient by softmax's input. Judged by the Jacobian, written out."""
    from mytensor.optional import torch

    def by_jacobian(upstream, output):
        jacobian = torch.diag_embed(output) - output[:, :, None] * output[:, None, :]  # dy_k / dx_j, an image
        return (jacobian @ upstream[:, :, None])[:, :, 0]

    for batch, classes in ((3, 4), (5, 7), (2, 10)):
        powers = np.exp(draw.normal(batch, classes))
        output = powers / powers.sum(axis=1, keepdims=True)
        arguments = {"upstream": draw.normal(batch, classes), "output": output}
        yield Case(arguments, by_jacobian, length=classes + 3, magnitude=_softmax_sizes, trainable=[])
