"""Cases of the losses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Arrays, Case, Draw, Options
from mytensor.workbook.check.cases.family import SUM, family
from mytensor.workbook.check.references import cross_entropy_sizes


def _targets(draw: Draw) -> Iterator[tuple[np.ndarray, np.ndarray, Options]]:
    """(scores, target, options) for the losses; ignored labels, class weights, pixels, an empty batch."""
    weight = draw.positive(5)
    shapes: tuple[tuple[int, ...], ...] = ((7, 5), (3, 5, 4), (2, 5, 3, 4))
    for shape in shapes:
        scores, target = draw.normal(*shape), draw.integers(0, 5, shape[0], *shape[2:])
        target.flat[0] = 2
        for reduction in ("mean", "sum", "none"):
            yield scores, target, {"reduction": reduction}
            yield scores, target, {"reduction": reduction, "weight": weight, "ignore_index": 2}
        marked = target.copy()
        marked.flat[1] = -100
        yield scores, marked, {}
    yield draw.normal(0, 5), draw.integers(0, 5, 0), {"reduction": "sum"}


@family("nll_loss", SUM, mutants.LOSS_DIVIDED_TWICE, mutants.IGNORED_COUNTED)
def _nll_loss(draw: Draw) -> Iterator[Case]:
    """function(input, target, weight=, reduction=, ignore_index=), as torch.nn.functional.nll_loss."""
    from mytensor.optional import torch

    for scores, target, options in _targets(draw):
        length = 0 if options.get("reduction") == "none" and "weight" not in options else max(1, target.size) + 2
        yield Case({"input": scores, "target": target}, torch.nn.functional.nll_loss, options, length)


@family(
    "cross_entropy",
    "|error| <= 2·eps·(K + |x| + |log-sum-exp|)",
    mutants.MAXIMUM_NOT_SUBTRACTED,
    mutants.LOSS_DIVIDED_TWICE,
    mutants.IGNORED_COUNTED,
)
def _cross_entropy(draw: Draw) -> Iterator[Case]:
    """function(input, target, weight=, reduction=, ignore_index=, label_smoothing=), as torch's cross_entropy."""
    from mytensor.optional import torch

    cases = list(_targets(draw))
    cases += [(scores, target, {**options, "label_smoothing": 0.2}) for scores, target, options in cases]
    overflowing = (draw.normal(6, 5) * 1e4).astype(draw.dtype)
    cases += [(overflowing, draw.integers(0, 5, 6), {"reduction": reduction}) for reduction in ("mean", "none")]
    for logits, target, options in cases:
        magnitude = partial(_cross_entropy_magnitude, options)
        arguments = {"input": logits, "target": target}
        yield Case(arguments, torch.nn.functional.cross_entropy, options, magnitude=magnitude)


def _cross_entropy_magnitude(options: Options, arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    return cross_entropy_sizes(arguments["input"], arguments["target"], upstream, **options)
