"""Runs the same lines in mytensor and in torch, in float64, and compares every element of outputs and gradients."""

import secrets

import numpy as np
import torch

import mytensor as mt
from mytensor.check.comparison import within

EPSILON = np.finfo(np.float64).eps


def close(ours, theirs, terms: int = 64) -> None:
    """|ours - theirs| <= terms * eps * magnitude, element by element; NaN and infinities must agree in place.

    terms: how many roundings lie on the way to an element (the longest sum times the operations in a row).
    magnitude: the largest element, but at least 1: the arguments are of order 1, and what is added up may cancel.
    """
    ours = np.asarray(ours.detach().numpy() if hasattr(ours, "detach") else ours)
    theirs = np.asarray(theirs.detach().numpy() if hasattr(theirs, "detach") else theirs)
    assert ours.shape == theirs.shape
    if theirs.dtype == np.bool_:
        theirs = theirs.astype(np.uint8)
    assert ours.dtype == theirs.dtype
    scale = np.abs(theirs[np.isfinite(theirs)]).max(initial=1.0)
    within(ours, theirs, terms * EPSILON * scale, allow_nonfinite=True)


def compare(function, *arrays, terms: int = 64, seed: int | None = None, also=None) -> None:
    """Calls function(*tensors) with ours and with torch's, and backward with a random upstream gradient.

    arrays: float64 arrays get gradients, others are constants. also: the same function in torch's words, where they
    differ.
    """
    seed = secrets.randbits(32) if seed is None else seed
    floating = [np.asarray(array).dtype == np.float64 for array in arrays]
    ours = [mt.tensor(array, requires_grad=flag) for array, flag in zip(arrays, floating, strict=True)]
    theirs = [torch.tensor(array, requires_grad=flag) for array, flag in zip(arrays, floating, strict=True)]
    output, wanted = function(*ours), (also or function)(*theirs)
    close(output, wanted, terms)
    upstream = np.random.default_rng(seed).standard_normal(tuple(wanted.shape))
    output.backward(mt.tensor(upstream))
    wanted.backward(torch.tensor(upstream))
    for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if other.requires_grad:
            try:
                close(mine.grad, other.grad, terms)
            except AssertionError as error:
                raise AssertionError(f"gradient of input {index} (seed {seed}): {error}") from error


def draw(*shape, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Fresh float64 values."""
    return np.random.default_rng().uniform(low, high, shape)
