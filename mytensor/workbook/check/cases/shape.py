"""Cases of the ops that move elements and compute nothing: shapes, slices, rows."""

from __future__ import annotations

from collections.abc import Iterator

from mytensor.workbook.check import mutants
from mytensor.workbook.check.cases.case import Call, Case, Draw, positional
from mytensor.workbook.check.cases.family import EXACT, SUM, family

_Shape = tuple[int, ...]


@family("reshape", EXACT)
def _reshape(draw: Draw) -> Iterator[Case]:
    """function(input, shape)."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, _Shape], ...] = (
        ((3, 4, 5), (5, 12)),
        ((6, 7), (-1,)),
        ((0, 4), (2, 0)),
        ((1,), ()),
    )
    for before, after in shapes:
        yield Case({"input": draw.normal(*before)}, torch.reshape, length=0, call=positional(after))


@family("broadcast_to", "outputs exactly, gradients " + SUM)
def _broadcast_to(draw: Draw) -> Iterator[Case]:
    """function(input, shape)."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, _Shape], ...] = (
        ((5, 1), (3, 5, 7)),
        ((), (4, 3)),
        ((3, 5), (3, 5)),
        ((1, 6), (0, 6)),
    )
    for before, after in shapes:
        length = {"output": 0, "input gradient": 21}
        yield Case({"input": draw.normal(*before)}, torch.broadcast_to, length=length, call=positional(after))


@family("permute", EXACT)
def _permute(draw: Draw) -> Iterator[Case]:
    """function(input, dims)."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, _Shape], ...] = (
        ((3, 5), (1, 0)),
        ((2, 3, 5, 7), (0, 2, 3, 1)),
        ((2, 3, 5, 7), (3, 1, 0, 2)),
        ((4, 0, 2), (2, 0, 1)),
        ((37, 19), (1, 0)),
    )
    for shape, dims in shapes:
        yield Case({"input": draw.normal(*shape)}, torch.permute, length=0, call=positional(dims))


@family("transpose", EXACT)
def _transpose(draw: Draw) -> Iterator[Case]:
    """function(input, dim0, dim1)."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, _Shape], ...] = (((3, 5), (0, 1)), ((2, 3, 5, 7), (1, -1)), ((2, 3, 5), (2, 0)))
    for shape, dims in shapes:
        yield Case({"input": draw.normal(*shape)}, torch.transpose, length=0, call=positional(*dims))


@family("cat", EXACT)
def _cat(draw: Draw) -> Iterator[Case]:
    """function([a, b, c], dim)."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, int, tuple[int, int, int]], ...] = (
        # shape but for dim, dim, the lengths along dim
        ((3, 1, 5), 1, (2, 4, 3)),
        ((1, 7), 0, (3, 0, 2)),
        ((2, 3, 1), -1, (1, 5, 4)),
    )
    for shape, dim, lengths in shapes:
        arguments = {}
        for name, length in zip("abc", lengths, strict=True):
            sizes = list(shape)
            sizes[dim] = length
            arguments[name] = draw.normal(*sizes)
        yield Case(arguments, torch.cat, length=0, call=_as_one_list(dim))


def _as_one_list(dim: int) -> Call:
    """A call that gives all tensors as one list."""
    return lambda function, tensors, options: function(tensors, dim)


@family("narrow", EXACT)
def _narrow(draw: Draw) -> Iterator[Case]:
    """function(input, dim, start, length)."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, int, int, int], ...] = (
        # shape, dim, start, length
        ((3, 9, 5), 1, 2, 4),
        ((7, 3), 0, 6, 1),
        ((2, 5), -1, 0, 5),
        ((4, 3), 0, 2, 0),
    )
    for shape, *where in shapes:
        yield Case({"input": draw.normal(*shape)}, torch.narrow, length=0, call=positional(*where))


@family("index_select", "outputs exactly, gradients " + SUM, mutants.ROWS_OVERWRITTEN)
def _index_select(draw: Draw) -> Iterator[Case]:
    """function(input, index): the rows of dimension 0 that index names, repeated ones too."""
    from mytensor.optional import torch

    shapes: tuple[tuple[_Shape, int], ...] = (((5, 7), 11), ((6, 2, 3), 4), ((9,), 5), ((4, 3), 0))
    for shape, count in shapes:
        arguments = {"input": draw.normal(*shape), "index": draw.integers(0, shape[0], count)}
        length = {"output": 0, "input gradient": max(count, 1)}
        yield Case(arguments, lambda x, index: torch.index_select(x, 0, index), length=length)
