"""Cases of the reductions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Case, Draw, positional
from mytensor.workbook.check.cases.family import EXACT, SUM, family

_Reduced = tuple[tuple[int, ...], tuple[int, ...] | None]  # (shape, dims); None: all of them

_REDUCED: tuple[_Reduced, ...] = (
    ((3, 5, 7), None),
    ((3, 5, 7), (0,)),
    ((3, 5, 7), (1,)),
    ((3, 5, 7), (0, 2)),
    ((4, 131), (-1,)),
    ((2, 3, 5, 4), (0, 2, 3)),
)
# The mean of nothing is 0 / 0, its largest element does not exist; the sum of nothing is 0.
_SUMMED: tuple[_Reduced, ...] = (*_REDUCED, ((0, 4), (0,)), ((3, 1000), None))


def _register_sum(name: str) -> None:
    @family(name, SUM, mutants.LAST_TERM_DROPPED)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(input, dims, keepdim=)."""
        from mytensor.optional import torch

        for shape, dims in _SUMMED if name == "sum" else _REDUCED:
            over = tuple(range(len(shape))) if dims is None else dims
            count = max(1, int(np.prod([shape[dim] for dim in over])))
            length = {"output": count + 1, "input gradient": 1 if name == "mean" else 0}
            for keepdim in (False, True):
                yield Case(
                    {"input": draw.normal(*shape)},
                    getattr(torch, name),
                    {"keepdim": keepdim},
                    length,
                    call=positional(_dims_argument(dims, over, keepdim)),
                )


def _register_extreme(name: str) -> None:
    @family(name, "outputs exactly, gradients " + SUM, mutants.LAST_TERM_DROPPED)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(input, dims, keepdim=); the gradient is shared evenly among ties."""
        from mytensor.optional import torch

        for shape, dims in _REDUCED:
            over = tuple(range(len(shape))) if dims is None else dims
            for keepdim in (False, True):
                yield Case(
                    {"input": draw.tied(*shape) if keepdim else draw.normal(*shape)},
                    getattr(torch, name),
                    {"keepdim": keepdim},
                    {"output": 0, "input gradient": 3},
                    "pointwise",
                    call=positional(_dims_argument(dims, over, keepdim)),
                )


def _dims_argument(dims: tuple[int, ...] | None, over: tuple[int, ...], keepdim: bool) -> int | tuple[int, ...]:
    """The dims as the function gets them: a single one also as an int (here with keepdim), as torch takes it."""
    return over[0] if dims is not None and len(over) == 1 and keepdim else over


for _name in ("sum", "mean"):
    _register_sum(_name)
for _name in ("amax", "amin"):
    _register_extreme(_name)


@family("argmax", EXACT)
def _argmax(draw: Draw) -> Iterator[Case]:
    """function(input, dim, keepdim=) -> int64. Without ties: torch does not promise which of equal ones it takes."""
    from mytensor.optional import torch

    shapes: tuple[tuple[tuple[int, ...], int], ...] = (((3, 5, 7), 1), ((3, 67), -1), ((9,), 0))
    for shape, dim in shapes:
        options = {"keepdim": dim == 1}
        yield Case({"input": draw.normal(*shape)}, torch.argmax, options, 0, trainable=[], call=positional(dim))
