"""Choosing elements: rows by an index, and Python's square brackets."""

from __future__ import annotations

import mytensor_backend as backend
import numpy as np

from mytensor._tensor import NDArray, Tensor, as_array
from mytensor.arguments import describe, normalize_dim
from mytensor.autograd import Function
from mytensor.ops.shape import Permute, narrow, reshape

_SUPPORTED = (
    "supported are ints, slices with step 1, ..., None, and row numbers (int64 tensor, array or list) in first place. "
    "For masks use mt.where; for other selections .index_select(dim, index) or .permute"
)


class IndexSelect(Function):
    @staticmethod
    def forward(ctx, x, index):
        ctx.shape = x.shape
        ctx.save_for_backward(index)
        return backend.index_select(x, index)

    @staticmethod
    def backward(ctx, upstream):  # a row that was chosen twice collects both gradients
        (index,) = ctx.saved
        return backend.index_select_backward(upstream, index, ctx.shape)


def index_select(x: Tensor, index: Tensor | NDArray) -> Tensor:
    """Rows (slices of dimension 0) in the order of a 1-D int64 index."""
    return IndexSelect.apply(x, index)


def select(x: Tensor, dim: int, index) -> Tensor:
    """Slices of dimension `dim` in the order of a 1-D int64 index."""
    dim = normalize_dim(dim, max(x.ndim, 1), "index_select")
    rows = as_array(index, "index_select: index")
    if x.ndim == 0:  # a single number has one row, itself
        return reshape(index_select(reshape(x, (1,)), rows), ())
    if dim == 0:
        return index_select(x, rows)
    to_front = [dim, *(other for other in range(x.ndim) if other != dim)]
    back = [to_front.index(position) for position in range(x.ndim)]
    return Permute.apply(index_select(Permute.apply(x, to_front), rows), back)


def getitem(x: Tensor, key) -> Tensor:
    """x[key] for the keys that _SUPPORTED names.

    Ints and slices give a part, whatever the lengths; `:`, `...` and None alone another shape of the same memory; row
    numbers a copy.
    """
    keys = _fill_ellipsis(x, list(key) if isinstance(key, tuple) else [key])
    if keys and is_index_array(keys[0]):
        rows = _row_numbers(x, keys[0])
        chosen = index_select(x, NDArray.reshape(rows, (rows.size,)))
        if len(keys) == 1 and rows.ndim == 1:
            return chosen
        x = reshape(chosen, (*rows.shape, *x.shape[1:]))
        keys = [slice(None)] * rows.ndim + keys[1:]

    shape = []  # of the result: ints drop their dimension, None adds one
    dim = 0
    for part in keys:
        if part is None:
            shape.append(1)
            continue
        length = x.shape[dim]
        is_whole = isinstance(part, slice) and part == slice(None)
        if isinstance(part, slice):
            start, stop, step = part.indices(length)
            if step != 1:
                raise NotImplementedError(f"a slice with step {step} is not supported; {_SUPPORTED}")
            chosen_length = max(stop - start, 0)
            shape.append(chosen_length)
        elif _is_int(part):
            start, chosen_length = int(part), 1
            if not -length <= start < length:
                raise IndexError(f"index {start} is out of range for dimension {dim} of length {length}")
            start %= length
        else:
            raise NotImplementedError(f"an index cannot be {describe(part)} in place {dim}; {_SUPPORTED}")
        if not is_whole:
            x = narrow(x, dim, start if chosen_length else 0, chosen_length)
        dim += 1
    return reshape(x, (*shape, *x.shape[dim:]))


def _fill_ellipsis(x: Tensor, keys: list) -> list:
    """Replaces `...` by the full slices it stands for."""
    used = sum(part is not None and part is not Ellipsis for part in keys)
    if used > x.ndim:
        raise IndexError(f"got {used} indices for a tensor with {x.ndim} dimension(s)")
    places = [place for place, part in enumerate(keys) if part is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can hold `...` only once")
    if places:
        keys[places[0] : places[0] + 1] = [slice(None)] * (x.ndim - used)
    return keys


def _is_int(part) -> bool:
    """An int, numpy's too, or a 0-d array or tensor of one; a 0-d uint8 is a mask in torch, as a bool is."""
    if isinstance(part, (Tensor, NDArray)):
        return part.ndim == 0 and part.dtype in (backend.int64, backend.int32)
    is_0d_array = isinstance(part, np.ndarray) and part.ndim == 0 and part.dtype.kind in "iu"
    return is_0d_array or (isinstance(part, (int, np.integer)) and not isinstance(part, bool))


def is_index_array(part) -> bool:
    """Whether a key chooses rows by their numbers."""
    return isinstance(part, list) or (isinstance(part, (Tensor, NDArray, np.ndarray)) and part.ndim > 0)


def _row_numbers(x: Tensor, index):
    """The row numbers as an int64 NDArray, negative ones counted from the end."""
    try:
        rows = index.cpu().numpy() if isinstance(index, (Tensor, NDArray)) else np.asarray(index)
    except ValueError:
        raise TypeError(f"a ragged list cannot select rows; {_SUPPORTED}") from None
    if rows.size == 0 and isinstance(index, list):
        rows = rows.astype(np.int64)
    if rows.dtype not in (np.int64, np.int32):
        kind = "a mask" if rows.dtype in (np.uint8, np.bool_) else f"an index of dtype {rows.dtype}"
        raise TypeError(f"{kind} cannot select rows; {_SUPPORTED}")
    length = x.shape[0]
    if rows.size and not (-length <= rows.min() and rows.max() < length):
        wrong = rows.min() if rows.min() < -length else rows.max()
        raise IndexError(f"row {wrong} is out of range for dimension 0 of length {length}")
    return backend.from_numpy(np.where(rows < 0, rows + length, rows).astype(np.int64)).to(x.device)
