"""Shapes drawn by hypothesis for every rung of every op, against float64, element by element, in two orders of the
threads, where outputs hold NaN before a kernel runs.

The draws are the same in every run (hypothesis profile "stable"); MYTENSOR_HYPOTHESIS=fresh draws others each time.
"""

import contextlib

import cases
import mytensor_backend as backend
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import broadcastable_shapes, mutually_broadcastable_shapes
from products import ConvCase, Im2colCase, MatmulCase
from test_rungs import compare

import mytensor as mt

SEEDS = st.integers(0, 2**32 - 1)  # of the numbers in the arrays
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)  # also () and empty ones
FULL_SHAPES = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
DTYPES = st.sampled_from((np.float32, np.float32, np.float64))


@st.composite
def with_dim(draw, shapes=FULL_SHAPES):
    shape = draw(shapes)
    return shape, draw(st.integers(0, len(shape) - 1))


@st.composite
def with_dims(draw, shapes):
    shape = draw(shapes)
    return shape, draw(st.lists(st.integers(0, len(shape) - 1), unique=True)) if shape else []


def broadcast_together(count):
    shapes = mutually_broadcastable_shapes(num_shapes=count, max_dims=4, min_side=0, max_side=7)
    return shapes.map(lambda drawn: tuple(drawn.input_shapes))


@st.composite
def broadcast_into(draw):
    """A shape, and one that broadcasts into it."""
    target = draw(SHAPES)
    small = draw(broadcastable_shapes(target, min_side=0, max_dims=len(target), max_side=9).map(tuple))
    return (target, small) if np.broadcast_shapes(target, small) == target else (target, target)


@st.composite
def windows(draw):
    """(N, C, H, W), kernel, stride, padding, dilation, ceil_mode as torch's pooling takes them."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    if draw(st.booleans()):  # what the float4 rung takes, or nearly
        shape = (draw(st.integers(0, 2)), draw(st.integers(1, 3)), draw(st.integers(2, 7)), 4 * draw(st.integers(1, 3)))
        return shape, (2, 2), (2, 2), (0, 0), (1, 1), draw(st.booleans())
    kernel, stride, dilation = pair(1, 4), pair(1, 3), pair(1, 2)
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    sizes = [draw(st.integers(d * (k - 1) + 1, d * (k - 1) + 7)) for k, d in zip(kernel, dilation, strict=True)]
    return (draw(st.integers(0, 2)), draw(st.integers(1, 3)), *sizes), kernel, stride, padding, dilation, False


@st.composite
def slabs(draw):
    shape, dim = draw(with_dim())
    start = draw(st.integers(0, shape[dim]))
    return shape, dim, start, draw(st.integers(0, shape[dim] - start))


@st.composite
def permutations(draw):
    shape = draw(st.lists(st.integers(0, 40), min_size=1, max_size=4).map(tuple))
    return shape, tuple(draw(st.permutations(range(len(shape)))))


LOSS_SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 40)) | st.tuples(
    st.integers(1, 4), st.integers(1, 9), st.integers(1, 6)
)


def one(make, *strategies):
    """Cases of a function that makes one from what is drawn; `strategies` give one argument each."""
    return lambda op, rng, dtype, drawn: [make(op, rng, dtype, *drawn)], st.tuples(*strategies)


def unpacked(make, strategy):
    """The same, of one strategy that gives all arguments."""
    return lambda op, rng, dtype, drawn: [make(op, rng, dtype, *drawn)], strategy


def some(make, name, strategy):
    """Cases of a generator of cases.py, with one drawn geometry in place of its own."""
    return lambda op, rng, dtype, drawn: make(op, rng, dtype, True, **{name: drawn}), strategy


UNARY = ("neg", "abs", "exp", "log", "sqrt", "tanh", "sigmoid", "relu")
BINARY = (
    "add",
    "sub",
    "mul",
    "div",
    "div_trunc",
    "div_floor",
    "pow",
    "maximum",
    "minimum",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
)
KINDS = st.sampled_from(("float32", "float64", "int64", "int32", "uint8"))

# Op -> how its cases are made, and from what.
DRAWN = dict.fromkeys(UNARY, one(cases.unary_case, SHAPES))
DRAWN |= {"relu_backward": one(cases.relu_backward_case, SHAPES), "fill_": one(cases.fill_case, SHAPES)}
DRAWN |= {"astype": one(cases.astype_case, SHAPES, KINDS)}
DRAWN |= dict.fromkeys(BINARY, unpacked(cases.binary_case, broadcast_together(2)))
DRAWN |= {"where": unpacked(cases.where_case, broadcast_together(3))}
DRAWN |= {"add_": unpacked(cases.add_scaled_case, broadcast_into())}
DRAWN |= {"broadcast_to": unpacked(cases.broadcast_case, broadcast_into().map(lambda pair: pair[::-1]))}
DRAWN |= {"sum": unpacked(cases.reduction_case, with_dims(SHAPES))}
DRAWN |= dict.fromkeys(("mean", "amax", "amin"), unpacked(cases.reduction_case, with_dims(FULL_SHAPES)))
DRAWN |= {"argmax": unpacked(cases.argmax_case, with_dim())}
DRAWN |= dict.fromkeys(
    ("softmax", "log_softmax", "logsumexp"),
    unpacked(cases.softmax_case, st.tuples(with_dim(), st.sampled_from((1.0, 30.0, 1e4))).map(lambda d: (*d[0], d[1]))),
)
DRAWN |= dict.fromkeys(("softmax_backward", "log_softmax_backward"), unpacked(cases.softmax_backward_case, with_dim()))
for loss in ("cross_entropy", "nll_loss"):
    maker = cases.MAKERS[loss]
    DRAWN |= dict.fromkeys((loss, f"{loss}_backward"), some(maker, "shapes", LOSS_SHAPES.map(lambda shape: [shape])))
DRAWN |= {
    "reduce_losses": (
        lambda op, rng, dtype, shape: cases.MAKERS["nll_loss"]("nll_loss", rng, dtype, True, shapes=[shape]),
        st.tuples(st.integers(1, 600), st.integers(1, 3)),
    )
}
for pooling in ("max_pool2d", "avg_pool2d"):
    maker = cases.MAKERS[pooling]
    DRAWN |= dict.fromkeys((pooling, f"{pooling}_backward"), some(maker, "windows", windows().map(lambda w: [w])))
DRAWN |= {"permute": unpacked(cases.permute_case, permutations())}
DRAWN |= {"cat": unpacked(cases.cat_case, with_dim().flatmap(
    lambda drawn: st.tuples(st.just(drawn[0]), st.just(drawn[1]), st.lists(st.integers(0, 9), min_size=1, max_size=4))
))}  # fmt: skip
DRAWN |= dict.fromkeys(("narrow", "narrow_backward"), unpacked(cases.narrow_case, slabs()))
DRAWN |= dict.fromkeys(("index_select", "index_select_backward"), one(cases.rows_case, FULL_SHAPES, st.integers(0, 9)))
DRAWN |= dict.fromkeys(
    ("uniform", "normal"), some(cases.MAKERS["uniform"], "counts", st.integers(1, 1100).map(lambda n: [n]))
)
IMAGES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(3, 9), st.integers(3, 9))
DRAWN |= {"gather_batch": some(cases.MAKERS["gather_batch"], "shapes", IMAGES.map(lambda shape: [shape]))}
DRAWN |= {"sgd_step_": some(cases.MAKERS["sgd_step_"], "shapes", st.lists(SHAPES, min_size=1, max_size=70))}


@contextlib.contextmanager
def poisoned():
    """Memory holds NaN before a kernel runs, and stands between red zones."""
    before = backend.memory_mode()
    backend.set_memory_mode("debug")
    try:
        yield
        backend.check_red_zones()
    finally:
        backend.set_memory_mode(before)


def in_orders(device):
    """A with-block for each order of the threads; a GPU has its own."""
    if device != "simt":
        return [contextlib.nullcontext()]
    return [mt.simt.order("ascending"), mt.simt.order("descending")]


def check_all(op, device, check):
    """check(rung) for every rung of the op, in each order."""
    for rung in [row["name"] for row in backend.kernels(op, device)]:
        for order in in_orders(device):
            with order, poisoned():
                check(rung)


def test_every_op_is_drawn():
    assert set(DRAWN) == set(cases.MAKERS)


@pytest.mark.parametrize("op", sorted(DRAWN))
def test_every_rung(op, device):
    make, strategy = DRAWN[op]

    @settings(max_examples=25)
    @given(strategy, SEEDS, DTYPES)
    def equals_float64(drawn, seed, dtype):
        made = list(make(op, np.random.default_rng(seed), dtype, drawn))

        def check(rung):
            with mt.use_kernel(op, rung):
                for case in made:
                    compare(case, device)

        check_all(op, device, check)

    equals_float64()


@st.composite
def geometries(draw, most_groups):
    """kernel, stride, padding, dilation, groups, and image sizes into which the kernel fits: height and width apart."""
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    kernel, stride, padding, dilation = pair(1, 4), pair(1, 3), pair(0, 4), pair(1, 3)
    sizes = []
    for k, p, d in zip(kernel, padding, dilation, strict=True):
        smallest = max(d * (k - 1) + 1 - 2 * p, 1)
        sizes.append(draw(st.integers(smallest, smallest + 7)))
    return sizes, kernel, stride, padding, dilation, draw(st.integers(1, most_groups))


def test_every_rung_of_matmul(device):
    sizes = st.tuples(st.integers(0, 3), st.integers(0, 70), st.integers(0, 90), st.integers(0, 70))

    @settings(max_examples=30)
    @given(sizes, st.tuples(st.booleans(), st.booleans()), SEEDS, DTYPES)
    def equals_float64(sizes, transposed, seed, dtype):
        case = MatmulCase(np.random.default_rng(seed), sizes, transposed, dtype)
        check_all("matmul", device, lambda rung: case.check(device, rung))

    equals_float64()


def test_every_rung_of_conv2d(device):
    channels = st.integers(1, 5)

    @settings(max_examples=20)
    @given(st.integers(0, 3), channels, channels, geometries(3), SEEDS, DTYPES)
    def equals_float64(images, group_in, group_out, geometry, seed, dtype):
        sizes, *window, groups = geometry
        numbers = (images, groups * group_in, groups * group_out, *sizes, *window, groups)
        case = ConvCase(np.random.default_rng(seed), *numbers, dtype)
        check_all("conv2d", device, lambda rung: case.check(device, rung))
        check_all("conv2d_bias_grad", device, lambda rung: case.check_bias_grad(device, rung))

    equals_float64()


def test_every_rung_of_im2col(device):
    @settings(max_examples=30)
    @given(st.integers(0, 3), st.integers(1, 4), geometries(1), SEEDS, DTYPES)
    def equals_float64(images, channels, geometry, seed, dtype):
        sizes, kernel, stride, padding, dilation, _ = geometry
        shape = (images, channels, *sizes)
        case = Im2colCase(np.random.default_rng(seed), shape, kernel, dilation, padding, stride, dtype)
        check_all("im2col", device, lambda rung: case.check(device, rung))

    equals_float64()
