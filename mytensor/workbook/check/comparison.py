"""Comparing two arrays element by element, within a bound or exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# The c of the bound c * K * eps * magnitude; see the package's docstring.
ROUNDING = 2


@dataclass(frozen=True)
class Difference:
    """Two arrays of one shape that differ where `wrong` holds; `first` is the first such index."""

    name: str
    got: np.ndarray
    want: np.ndarray
    wrong: np.ndarray
    first: tuple[int, ...]


class CheckFailed(AssertionError):
    """A result is wrong. The message names the first wrong element, both values, the bound and the seed.

    difference: the arrays themselves, where it was their elements that differed.
    """

    difference: Difference | None = None


def to_numpy(array: Any) -> np.ndarray:
    """A numpy array from a Tensor (mytensor's or torch's), an NDArray, a numpy array or numbers; shared if possible."""
    if hasattr(array, "detach"):
        array = array.detach()
    return np.asarray(array.numpy() if hasattr(array, "numpy") else array)


def rounding_bound(dtype: npt.DTypeLike, reduction_length: npt.ArrayLike, magnitude: npt.ArrayLike) -> np.ndarray:
    """c * K * eps * magnitude, plus the smallest normal number, below which results lose digits; 0 where K is 0.

    dtype: of the result that is judged.
    reduction_length: K, a number or an array. magnitude: (|a| op |b|), broadcasting with K.
    """
    precision = np.finfo(dtype)
    length = np.asarray(reduction_length, dtype=np.float64)
    bound = ROUNDING * length * float(precision.eps) * np.asarray(magnitude, dtype=np.float64)
    return np.where(length > 0, bound + float(precision.tiny), 0.0)


def close(
    got: Any,
    want: Any,
    *,
    bound: npt.ArrayLike | None = None,
    reduction_length: npt.ArrayLike | None = None,
    magnitude: Any = None,
    dtype: npt.DTypeLike | None = None,
    allow_nonfinite: bool = False,
    name: str = "result",
    seed: int | None = None,
) -> None:
    """Raises CheckFailed unless every element of `got` is within its bound of `want`. Shapes must agree, and dtypes.

    got, want: floating mytensor Tensors, NDArrays, numpy arrays or torch tensors.
    bound: the largest allowed |got - want|, a number or an array of one per element. Instead of it:
    reduction_length, magnitude: K and (|a| op |b|); the bound is then 2 * K * eps * magnitude, eps that of got's dtype.
        The magnitude may be left out for K = 1 (elementwise ops), where it is |want|.
    dtype: what got's dtype must be; left out, want's. A float64 reference of a float32 result needs it.
    allow_nonfinite: infinities and NaN are expected; they must then stand at the same places. Else any of them fails.
    name, seed: for the message.
    ValueError, TypeError: the question itself is wrong (no bound given, not floating).
    """
    got, want = to_numpy(got), to_numpy(want)
    require_same_shape_and_dtype(name, got, want.shape, np.dtype(dtype or want.dtype), seed)
    if got.dtype.kind != "f":
        raise TypeError(f"check.close: {name} has dtype {got.dtype}; integers are compared exactly, by check.equal")
    bounds = _bounds_for(got, want, bound, reduction_length, magnitude)
    within(got, want, bounds, name, allow_nonfinite=allow_nonfinite, seed=seed)


def within(
    got: Any,
    want: Any,
    bound: npt.ArrayLike,
    name: str = "result",
    *,
    allow_nonfinite: bool = False,
    seed: int | None = None,
) -> None:
    """Raises CheckFailed unless |got - want| <= bound, element by element, computed in float64; see ``close``.

    The shapes must agree; the dtypes need not, so that a float64 reference can judge any result.
    """
    got, want = to_numpy(got), to_numpy(want)
    require_same_shape_and_dtype(name, got, want.shape, got.dtype, seed)
    bounds = np.asarray(bound, dtype=np.float64)
    if not np.all(np.isfinite(bounds) & (bounds >= 0)):
        raise ValueError("check.close: a bound that is negative, infinite or NaN cannot judge anything")
    bounds = np.broadcast_to(bounds, got.shape)
    got64, want64 = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(got64 - want64)
    correct = error <= bounds  # False where the error is NaN
    if allow_nonfinite:
        same_special = (got64 == want64) | (np.isnan(got64) & np.isnan(want64))
        correct = np.where(np.isfinite(want64), correct, same_special)
    else:
        correct &= np.isfinite(got64) & np.isfinite(want64)
    _require_all(correct, name, got, want, error, bounds, seed)


def equal(got: Any, want: Any, *, name: str = "result", seed: int | None = None) -> None:
    """Raises CheckFailed unless `got` and `want` have the same shape, dtype and bits.

    So NaN equals the same NaN, and -0.0 is not 0.0.
    """
    got, want = to_numpy(got), to_numpy(want)
    require_same_shape_and_dtype(name, got, want.shape, want.dtype, seed)
    bits = np.dtype(f"u{got.dtype.itemsize}")
    same = np.ascontiguousarray(got).view(bits) == np.ascontiguousarray(want).view(bits)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - want.astype(np.float64))
    _require_all(same.reshape(got.shape), name, got, want, error, np.zeros(got.shape), seed)


def _bounds_for(
    got: np.ndarray,
    want: np.ndarray,
    bound: npt.ArrayLike | None,
    reduction_length: npt.ArrayLike | None,
    magnitude: Any,
) -> np.ndarray:
    """The bound of every element, from what the caller gave."""
    if (bound is None) == (reduction_length is None):
        raise ValueError(
            "check.close: give either bound=, or reduction_length= (and magnitude=); they say how large an error may be"
        )
    if reduction_length is not None:
        if magnitude is None:
            if np.any(np.asarray(reduction_length) > 1):
                raise ValueError(
                    "check.close: a sum of several terms needs magnitude=, the same op on absolute values; |want| is "
                    "too small where terms cancel"
                )
            magnitude = np.abs(want)
        bound = rounding_bound(got.dtype, reduction_length, to_numpy(magnitude))
    return np.asarray(bound, dtype=np.float64)


def require_same_shape_and_dtype(
    name: str, got: np.ndarray, shape: tuple[int, ...], dtype: np.dtype, seed: int | None
) -> None:
    """Raises CheckFailed unless `got` has this shape and dtype."""
    if got.shape != shape:
        raise CheckFailed(f"{name}: the shape is {got.shape}, wanted {shape}{_seed_text(seed)}")
    if got.dtype != dtype:
        raise CheckFailed(f"{name}: the dtype is {got.dtype}, wanted {dtype}{_seed_text(seed)}")


def _require_all(
    correct: np.ndarray,
    name: str,
    got: np.ndarray,
    want: np.ndarray,
    error: np.ndarray,
    bounds: np.ndarray,
    seed: int | None,
) -> None:
    if np.all(correct):
        return
    wrong = np.argwhere(~correct)
    first = tuple(int(i) for i in wrong[0])
    failure = CheckFailed(
        f"{name}: {len(wrong)} of {got.size} elements are wrong; the first is {list(first)}: got {got[first]!r}, "
        f"wanted {want[first]!r}, error {error[first]:.3g}, allowed {bounds[first]:.3g}{_seed_text(seed)}"
    )
    failure.difference = Difference(name, got, want, ~correct, first)
    raise failure


def _seed_text(seed: int | None) -> str:
    return "" if seed is None else f" (seed={seed})"
