"""Cases of the poolings."""

from __future__ import annotations

from collections.abc import Iterator

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Case, Draw, Options
from mytensor.workbook.check.cases.family import SUM, family

_IMAGES = ((2, 3, 9, 11), (3, 2, 8, 7), (0, 2, 6, 5))
_POOLS: tuple[Options, ...] = (
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0)},
    {"kernel_size": (2, 3), "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 2)},
)
_DILATED: Options = {"kernel_size": (2, 3), "dilation": (3, 2), "stride": 1}
_PADDED: Options = {"kernel_size": 3, "stride": 2, "padding": 1}


@family("max_pool2d", "outputs exactly, gradients " + SUM, mutants.LAST_OF_TIES, mutants.PADDED_WITH_ZERO)
def _max_pool2d(draw: Draw) -> Iterator[Case]:
    """function(input, kernel_size=, stride=, padding=, dilation=, ceil_mode=), as torch.nn.functional.max_pool2d."""
    from mytensor.optional import torch

    max_pool2d = torch.nn.functional.max_pool2d
    length = {"output": 0, "input gradient": 15}  # a pixel is in as many windows as the largest kernel has places
    for shape in _IMAGES:
        for values in (draw.normal(*shape), draw.tied(*shape)):
            for pool in (*_POOLS, _DILATED):
                yield Case({"input": values}, max_pool2d, pool, length, "pointwise")
    # Rows long enough for the kernels' vectors, whose ends do not meet the rows' ends.
    for values in (draw.normal(2, 3, 10, 38), draw.tied(2, 3, 10, 38)):
        for pool in ({"kernel_size": 2}, _PADDED):
            yield Case({"input": values}, max_pool2d, pool, length, "pointwise")
    # Below zero everywhere: padding by zeros instead of minus infinity shows.
    negative = -draw.positive(2, 3, 7, 6)
    yield Case({"input": negative}, max_pool2d, _PADDED, {"output": 0, "input gradient": 9}, "pointwise")
    yield Case({"input": draw.normal(2, 3, 1, 1)}, max_pool2d, _PADDED, {"output": 0}, "pointwise")


@family("avg_pool2d", SUM, mutants.PADDING_COUNT_SWAPPED)
def _avg_pool2d(draw: Draw) -> Iterator[Case]:
    """function(input, kernel_size=, stride=, padding=, ceil_mode=, count_include_pad=, divisor_override=), as torch."""
    from mytensor.optional import torch

    divisors: tuple[Options, ...] = ({}, {"count_include_pad": False}, {"divisor_override": 7})
    for shape in _IMAGES:
        for pool in _POOLS:
            for divisor in divisors:
                options = {**pool, **divisor}
                yield Case({"input": draw.normal(*shape)}, torch.nn.functional.avg_pool2d, options, 16)
