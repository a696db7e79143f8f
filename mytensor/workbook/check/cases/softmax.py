"""Cases of softmax, log-softmax and log-sum-exp."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Arrays, Case, Draw, positional
from mytensor.workbook.check.cases.family import family
from mytensor.workbook.check.references import softmax_sizes


def _logits(draw: Draw) -> Iterator[tuple[np.ndarray, int]]:
    """(logits, dim), overflowing ones among them: exp(1e4) is infinite in every dtype."""
    yield draw.normal(7, 10), 1
    yield draw.normal(3, 5, 4), 1
    yield draw.normal(5, 67), 0
    yield draw.normal(0, 4), 1
    yield 1e4 * draw.normal(5, 9), 1
    yield draw.normal(6, 11) + draw.dtype.type(1e4), -1
    yield draw.normal(5, 1), 1


@family("softmax", "|error| <= 2·(K + spread of the logits)·eps·y", mutants.MAXIMUM_NOT_SUBTRACTED)
def _softmax(draw: Draw) -> Iterator[Case]:
    """function(input, dim)."""
    from mytensor.optional import torch

    for logits, dim in _logits(draw):
        magnitude = partial(_softmax_magnitude, dim)
        yield Case({"input": logits}, torch.softmax, magnitude=magnitude, call=positional(dim))


def _softmax_magnitude(dim: int, arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """Of dx = y (upstream - sum(upstream y)): both terms carry the error of y, the sum twice."""
    relative = softmax_sizes(arguments["input"], dim).relative
    y = wanted["output"]
    weighted = np.sum(upstream * y, axis=dim, keepdims=True)
    return {"output": y * relative, "input gradient": 2 * y * (upstream + weighted) * relative}


@family("log_softmax", "|error| <= 2·eps·(K + |x| + |log-sum-exp|)", mutants.MAXIMUM_NOT_SUBTRACTED)
def _log_softmax(draw: Draw) -> Iterator[Case]:
    """function(input, dim)."""
    from mytensor.optional import torch

    for logits, dim in _logits(draw):
        magnitude = partial(_log_softmax_magnitude, dim)
        yield Case({"input": logits}, torch.log_softmax, magnitude=magnitude, call=positional(dim))


def _log_softmax_magnitude(dim: int, arguments: Arrays, upstream: np.ndarray, wanted: Arrays) -> Arrays:
    """Of dx = upstream - exp(output) sum(upstream)."""
    sizes = softmax_sizes(arguments["input"], dim)
    error = sizes.absolute + np.abs(arguments["input"])
    total = np.sum(upstream, axis=dim, keepdims=True)
    gradient = upstream + np.exp(wanted["output"]) * total * (error + sizes.relative)
    return {"output": error, "input gradient": gradient}


@family("logsumexp", "|error| <= 2·eps·(K + |maximum| + |log-sum-exp|)", mutants.MAXIMUM_NOT_SUBTRACTED)
def _logsumexp(draw: Draw) -> Iterator[Case]:
    """function(input, dims, keepdim=)."""
    from mytensor.optional import torch

    cases: list[tuple[np.ndarray, tuple[int, ...]]] = [(logits, (dim,)) for logits, dim in _logits(draw)]
    cases.append((draw.normal(3, 5, 4), (0, 2)))
    for logits, dims in cases:
        for keepdim in (False, True):
            yield Case(
                {"input": logits},
                torch.logsumexp,
                {"keepdim": keepdim},
                magnitude=partial(_logsumexp_magnitude, dims, keepdim),
                call=positional(dims),
            )


def _logsumexp_magnitude(
    dims: tuple[int, ...], keepdim: bool, arguments: Arrays, upstream: np.ndarray, wanted: Arrays
) -> Arrays:
    sizes = softmax_sizes(arguments["input"], dims)
    return {
        "output": sizes.absolute if keepdim else np.squeeze(sizes.absolute, axis=dims),
        "input gradient": np.abs(wanted["input gradient"]) * (sizes.absolute + sizes.relative),
    }
