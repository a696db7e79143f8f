"""matmul and linear: every kernel of their table, against numpy in float64, element by element."""

import secrets

import mytensor_backend as backend
import numpy as np
import pytest

from mytensor import check

# (m, k, n): smaller than a tile, parts of tiles, sums longer than a block, too large to go unpacked, nothing to sum,
# nothing to compute.
SIZES = [
    (1, 1, 1),
    (3, 5, 7),
    (15, 257, 65),
    (65, 300, 33),
    (127, 513, 1),
    (1, 77, 131),
    (250, 40, 70),
    (65, 700, 350),
    (7, 70, 1043),  # B packed panel by panel
    (5, 300, 530),
    (2, 0, 3),
    (0, 4, 3),
    (3, 4, 0),
]
DTYPES = [np.float32, np.float64]
KERNELS = [row["name"] for row in backend.kernels("matmul") if row["device"] == "cpu"]


@pytest.fixture(autouse=True)
def poisoned_memory():
    """New arrays are NaN between red zones; default kernel and thread number afterwards."""
    mode, threads = backend.memory_mode(), backend.get_num_threads()
    backend.set_memory_mode("debug")
    yield
    backend.check_red_zones()
    backend.set_memory_mode(mode)
    backend.set_num_threads(threads)
    backend.select_kernel("matmul", None)


@pytest.fixture
def rng():
    """Fresh random numbers; the seed is in the output of a test that fails."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return np.random.default_rng(seed)


def nd(array):
    return backend.from_numpy(np.ascontiguousarray(array))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (0,)], ids=str)
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_matmul(kernel, transpose_a, transpose_b, batch, dtype, rng):
    backend.select_kernel("matmul", kernel)
    for m, k, n in SIZES:
        a, b = rng.standard_normal((*batch, m, k)).astype(dtype), rng.standard_normal((*batch, k, n)).astype(dtype)
        left = nd(a.swapaxes(-1, -2) if transpose_a else a)
        right = nd(b.swapaxes(-1, -2) if transpose_b else b)
        a, b = a.astype(np.float64), b.astype(np.float64)
        results = []
        for threads in (1, 2, 3):
            backend.set_num_threads(threads)
            results.append(backend.matmul(left, right, transpose_a, transpose_b))
        bound = {"reduction_length": k + 1, "magnitude": np.abs(a) @ np.abs(b)}
        check.close(results[0], a @ b, dtype=dtype, name=f"({m}, {k}) @ ({k}, {n})", **bound)
        for result in results[1:]:
            check.equal(result, results[0], name="with more threads")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_linear(kernel, dtype, rng):
    backend.select_kernel("matmul", kernel)
    for rows, features, outputs in SIZES:
        x, weight, bias = (
            rng.standard_normal(s).astype(dtype) for s in [(rows, features), (outputs, features), outputs]
        )
        product = x.astype(np.float64) @ weight.T.astype(np.float64)
        magnitude = np.abs(x).astype(np.float64) @ np.abs(weight.T).astype(np.float64)
        arguments = nd(x), nd(weight)
        got, without_bias = backend.linear(*arguments, nd(bias)), backend.linear(*arguments)
        check.close(got, product + bias, reduction_length=features + 2, magnitude=magnitude + np.abs(bias), dtype=dtype)
        check.close(without_bias, product, reduction_length=features + 1, magnitude=magnitude, dtype=dtype)


@pytest.mark.parametrize("kernel", KERNELS)
def test_nan_and_infinity_stay_in_their_rows_and_columns(kernel, rng):
    backend.select_kernel("matmul", kernel)
    a, b = rng.standard_normal((17, 19)), rng.standard_normal((19, 35))
    a[16, 3], b[18, 34] = np.nan, np.inf
    wanted = np.ones((17, 35), dtype=bool)
    wanted[16, :] = wanted[:, 34] = False
    for product in (backend.matmul(nd(a), nd(b)), backend.matmul(nd(a), nd(b.T), transpose_b=True)):
        np.testing.assert_array_equal(np.isfinite(product.numpy()), wanted)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("position", range(19))
def test_infinity_is_counted_once(kernel, position, rng):
    backend.select_kernel("matmul", kernel)
    a, b = np.abs(rng.standard_normal((5, 19))) + 1, np.abs(rng.standard_normal((7, 19))) + 1
    b[3, position] = np.inf
    product = backend.matmul(nd(a), nd(b), transpose_b=True).numpy()
    assert (product[:, 3] == np.inf).all(), "infinity times a positive number is infinity, not NaN"
    assert np.isfinite(np.delete(product, 3, axis=1)).all()


def ones(*shape, dtype=np.float32):
    return nd(np.ones(shape, dtype))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: backend.matmul(ones(2, 3), ones(4, 5)), ValueError, "3 columns"),
        (lambda: backend.matmul(ones(2, 3), ones(3, 5), True), ValueError, "transposed"),
        (lambda: backend.matmul(ones(3), ones(3, 5)), ValueError, "two matrices"),
        (lambda: backend.matmul(ones(2, 2, 3), ones(3, 5)), ValueError, "two matrices"),
        (lambda: backend.matmul(ones(2, 2, 3), ones(3, 3, 5)), ValueError, "batch of 2"),
        (lambda: backend.matmul(ones(2, 3), ones(3, 5, dtype=np.float64)), TypeError, "one dtype"),
        (lambda: backend.matmul(ones(2, 3, dtype=np.int64), ones(3, 5, dtype=np.int64)), TypeError, "int64"),
        (lambda: backend.linear(ones(2, 3), ones(5, 4)), ValueError, "features"),
        (lambda: backend.linear(ones(2, 3), ones(5, 3), ones(4)), ValueError, "bias"),
        (lambda: backend.linear(ones(2, 3), ones(5, 3), ones(5, dtype=np.float64)), TypeError, "bias"),
        (lambda: backend.linear(ones(1, 2, 3), ones(5, 3)), ValueError, "in_features"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
