"""What the tests of the ops share: arrays, and comparison element by element. Fixtures are in conftest.py."""

import mytensor_backend as backend
import numpy as np
import torch

FLOATING = (np.float32, np.float64)
DTYPES = (np.float32, np.float64, np.int64, np.int32, np.uint8)
DTYPE_OF = {np.dtype(dtype): getattr(backend, np.dtype(dtype).name) for dtype in DTYPES}


def nd(array) -> backend.NDArray:
    """An NDArray over the memory of a numpy array."""
    return backend.from_numpy(np.asarray(array))


def draw(rng: np.random.Generator, shape: tuple, dtype) -> np.ndarray:
    """Normal numbers, or integers of the whole range of the dtype."""
    if np.issubdtype(dtype, np.floating):
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def same(ours: backend.NDArray, theirs) -> None:
    """The same shape, dtype and elements; NaN only where NaN is wanted."""
    theirs = theirs.numpy() if isinstance(theirs, torch.Tensor) else np.asarray(theirs)
    assert ours.numpy().dtype == (np.uint8 if theirs.dtype == bool else theirs.dtype)
    np.testing.assert_array_equal(ours.numpy(), theirs, strict=theirs.dtype != bool)


def for_all_threads(compute) -> None:
    """compute() -> NDArray gives the same bits with 1, 2 and 5 threads."""
    before = backend.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            backend.set_num_threads(threads)
            results.append(compute().numpy().tobytes())
    finally:
        backend.set_num_threads(before)
    assert results[0] == results[1] == results[2]
