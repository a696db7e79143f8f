"""Cases of the matrix products."""

from __future__ import annotations

from collections.abc import Iterator

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Case, Draw
from mytensor.workbook.check.cases.family import SUM, family


@family("matmul", SUM, mutants.LAST_TERM_DROPPED)
def _matmul(draw: Draw) -> Iterator[Case]:
    """function(a, b): (m, k) @ (k, n), or a batch of them."""
    from mytensor.optional import torch

    sizes: tuple[tuple[tuple[int, ...], int, int, int], ...] = (
        # batch, m, k, n
        ((), 7, 5, 11),
        ((), 1, 67, 3),
        ((), 37, 19, 66),
        ((3,), 5, 9, 4),
        ((0,), 2, 3, 5),
        ((), 4, 1, 9),
        ((), 3, 301, 5),
        ((), 231, 2, 3),
    )
    for batch, m, k, n in sizes:
        length = {"output": k, "a gradient": n, "b gradient": m}
        yield Case({"a": draw.normal(*batch, m, k), "b": draw.normal(*batch, k, n)}, torch.matmul, length=length)


@family("linear", SUM, mutants.BIAS_FORGOTTEN, mutants.LAST_TERM_DROPPED)
def _linear(draw: Draw) -> Iterator[Case]:
    """function(input, weight, bias), as torch.nn.functional.linear."""
    from mytensor.optional import torch

    for rows, inputs, outputs, with_bias in (
        (7, 5, 11, True),
        (3, 301, 10, True),
        (18, 33, 35, False),
        (0, 3, 4, True),
        (1, 9, 1, True),
    ):
        arguments = {"input": draw.normal(rows, inputs), "weight": draw.normal(outputs, inputs)}
        if with_bias:
            arguments["bias"] = draw.normal(outputs)
        length = {
            "output": inputs + 1,
            "input gradient": outputs,
            "weight gradient": max(rows, 1),
            "bias gradient": max(rows, 1),
        }
        yield Case(arguments, torch.nn.functional.linear, length=length)
