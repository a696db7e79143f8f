"""Cases of the convolution and of its columns (im2col is torch's unfold, col2im its fold)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Arrays, Case, Draw, Options
from mytensor.workbook.check.cases.family import SUM, family
from mytensor.workbook.check.references import windows_of


@family(
    "conv2d",
    SUM,
    mutants.KERNEL_FLIPPED,
    mutants.INPUT_GRADIENT_KERNEL_NOT_FLIPPED,
    mutants.KERNEL_SIDES_SWAPPED,
    mutants.PADDING_OFF_BY_ONE,
    mutants.INPUT_GRADIENT_NOT_ACCUMULATED,
    mutants.BIAS_FORGOTTEN,
)
def _conv2d(draw: Draw) -> Iterator[Case]:
    """function(input, weight, bias, stride=, padding=, dilation=, groups=), as torch.nn.functional.conv2d."""
    yield _convolution(draw, (2, 3, 9, 11), (5, 3, 3, 2))
    yield _convolution(draw, (3, 2, 7, 10), (7, 2, 2, 5), padding=(1, 2))
    yield _convolution(draw, (2, 4, 13, 8), (6, 2, 3, 5), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2)
    yield _convolution(draw, (3, 5, 6, 7), (19, 5, 1, 1), with_bias=False)
    yield _convolution(draw, (2, 6, 5, 9), (6, 1, 3, 2), groups=6, stride=(1, 3), padding=1)
    yield _convolution(draw, (5, 8, 7), (3, 5, 2, 3), padding=1)  # without a batch dimension
    yield _convolution(draw, (2, 3, 1, 1), (4, 3, 3, 5), padding=(3, 4))  # one pixel, less than the padding
    yield _convolution(draw, (0, 3, 6, 5), (4, 3, 3, 2))
    yield _convolution(draw, (1, 3, 17, 35), (33, 3, 5, 3), padding=2)
    yield _convolution(draw, (2, 3, 8, 7), (4, 3, 2, 3), stride=3)  # the last rows and columns are in no window


def _convolution(
    draw: Draw,
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, int, int, int],
    with_bias: bool = True,
    groups: int = 1,
    **options: Any,
) -> Case:
    from mytensor.optional import torch

    arguments: Arrays = {"input": draw.normal(*input_shape), "weight": draw.normal(*weight_shape)}
    if with_bias:
        arguments["bias"] = draw.normal(weight_shape[0])
    case = Case(arguments, torch.nn.functional.conv2d, {**options, "groups": groups})

    out_channels, group_channels, height, width = weight_shape
    *batch_and_channels, out_height, out_width = case.reference_output().shape
    batch = batch_and_channels[0] if len(batch_and_channels) == 2 else 1
    pixels = max(1, batch * out_height * out_width)
    case.length = {
        "output": group_channels * height * width + 1,
        "input gradient": out_channels // groups * height * width,
        "weight gradient": pixels,
        "bias gradient": pixels,
    }
    return case


_IMAGES = ((2, 3, 9, 11), (0, 2, 8, 9), (3, 1, 7, 5))
_WINDOWS: tuple[Options, ...] = (
    {"kernel_size": (3, 2)},
    {"kernel_size": (2, 5), "padding": (1, 2), "stride": (2, 1)},
    {"kernel_size": (2, 3), "padding": 1, "stride": (1, 3), "dilation": (3, 2)},
    {"kernel_size": 1},
)


@family("unfold", "outputs exactly, gradients " + SUM, mutants.PADDING_OFF_BY_ONE)
def _unfold(draw: Draw) -> Iterator[Case]:
    """function(input, kernel_size=, dilation=, padding=, stride=), as torch.nn.functional.unfold."""
    from mytensor.optional import torch

    for shape in _IMAGES:
        for options in _WINDOWS:
            length = {"output": 0, "input gradient": windows_of(shape[2:], **options).kernel_area}
            yield Case({"input": draw.normal(*shape)}, torch.nn.functional.unfold, options, length)


@family("fold", SUM, mutants.FOLD_OVERWRITES)
def _fold(draw: Draw) -> Iterator[Case]:
    """function(columns, output_size=, kernel_size=, dilation=, padding=, stride=), as torch.nn.functional.fold."""
    from mytensor.optional import torch

    for batch, channels, *size in _IMAGES:
        for options in _WINDOWS:
            windows = windows_of(size, **options)
            columns = draw.normal(batch, channels * windows.kernel_area, windows.down * windows.across)
            length = {"output": windows.kernel_area, "columns gradient": 0}
            yield Case({"columns": columns}, torch.nn.functional.fold, {"output_size": tuple(size), **options}, length)
