"""relu and the unary functions against float64, element by element."""

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import FLOATING, draw, for_all_threads, nd, same

from mytensor.check.comparison import within

pytestmark = pytest.mark.usefixtures("poisoned_memory")

SHAPES = ((), (1,), (0, 3), (7,), (16,), (3, 5, 7, 11), (40009,))
# Rounding errors of one call, in units in the last place of the result, and the numbers drawn.
FUNCTIONS = {
    "exp": (2, lambda x: np.clip(20 * x, -100, 88)),
    "log": (2, lambda x: np.exp(10 * x)),
    "sqrt": (1, lambda x: np.exp(10 * x)),
    "tanh": (4, lambda x: 2 * x),
    "sigmoid": (4, lambda x: 5 * x),
}
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 88.7, 88.8, -87.4, -103.0, -104.0, 1e30, -1e30]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_exact_functions(dtype, shape, rng):
    x = draw(rng, shape, dtype)
    for op in ("relu", "neg", "abs"):
        same(getattr(backend, op)(nd(x)), getattr(torch, op)(torch.from_numpy(np.asarray(x))))


@pytest.mark.parametrize("op", FUNCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_rounded_functions(dtype, shape, op, rng):
    units, numbers = FUNCTIONS[op]
    x = np.asarray(numbers(draw(rng, shape, np.float64)), dtype)
    exact = getattr(torch, op)(torch.from_numpy(x.astype(np.float64))).numpy()
    bound = (units + 1) * np.finfo(dtype).eps * np.abs(exact) + np.finfo(dtype).tiny
    within(getattr(backend, op)(nd(x)), exact, bound)


@pytest.mark.parametrize("op", ("relu", "neg", "abs", *FUNCTIONS))
@pytest.mark.parametrize("dtype", FLOATING)
def test_special_numbers(dtype, op):
    x = np.array(SPECIAL * 3, dtype)  # whole registers and what is left
    ours = getattr(backend, op)(nd(x)).numpy()
    exact = getattr(torch, op)(torch.from_numpy(x)).numpy()
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(exact))
        np.testing.assert_array_equal(np.isinf(ours), np.isinf(exact))
    # Numbers too small for a normal float are kept to their own, absolute, precision; torch may flush them to 0.
    np.testing.assert_allclose(ours, exact, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_relu_backward(dtype, shape, rng):
    upstream = draw(rng, shape, dtype)
    x = torch.from_numpy(np.asarray(draw(rng, shape, dtype))).requires_grad_()
    with torch.no_grad():
        x.view(-1)[::3] = 0
    output = torch.relu(x)
    output.backward(torch.from_numpy(np.asarray(upstream)))
    same(backend.relu_backward(nd(upstream), nd(output.detach().numpy())), x.grad)


@pytest.mark.parametrize("op", ("neg", "abs"))
@pytest.mark.parametrize("dtype", (np.int64, np.int32))
def test_integers(dtype, op, rng):
    x = draw(rng, (3, 5, 7), dtype)
    x[0, 0, 0] = np.iinfo(dtype).min
    same(getattr(backend, op)(nd(x)), getattr(torch, op)(torch.from_numpy(x)))


def test_threads(rng):
    x, upstream = (nd(draw(rng, (3, 20011), np.float32)) for _ in range(2))
    for op in ("relu", "neg", "abs", *FUNCTIONS):
        for_all_threads(lambda op=op: getattr(backend, op)(x))
    for_all_threads(lambda: backend.relu_backward(upstream, x))


def test_errors():
    integers = nd(np.zeros(3, np.int64))
    for op in ("relu", *FUNCTIONS):
        with pytest.raises(TypeError, match="int64"):
            getattr(backend, op)(integers)
    for op in ("neg", "abs"):
        with pytest.raises(TypeError, match="uint8"):
            getattr(backend, op)(nd(np.zeros(3, np.uint8)))
    x = nd(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        backend.relu_backward(nd(np.zeros((3, 2), np.float32)), x)
    with pytest.raises(TypeError, match="float64"):
        backend.relu_backward(nd(np.zeros((2, 3))), x)
