"""Broadcasting arithmetic, comparisons, where, in-place ops, astype and full, against torch and numpy."""

import functools

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from arrays import DTYPE_OF, DTYPES, FLOATING, draw, for_all_threads, nd, same

pytestmark = pytest.mark.usefixtures("poisoned_memory")

SHAPES = [
    ((3, 5, 7), (3, 5, 7)),
    ((7, 5), (5,)),
    ((2, 3, 5, 7), (1, 3, 1, 1)),
    ((3, 1, 7), (5, 1)),
    ((4, 1), (1, 9)),
    ((), (3, 2)),
    ((5, 1, 2, 1, 3), (4, 1, 6, 1)),
    ((0, 3), (1, 3)),
    ((1,), (0,)),
    ((), ()),
    ((1, 1), (1,)),
    ((301, 257), (301, 1)),
    ((301, 257), (257,)),
]
EVERY_DTYPE = ("add", "sub", "mul", "maximum", "minimum")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", EVERY_DTYPE + COMPARISONS)
def test_binary(op, dtype, shapes, rng):
    a, b = (draw(rng, shape, dtype) for shape in shapes)
    if op in COMPARISONS and a.shape == b.shape and a.size:
        b.ravel()[::3] = a.ravel()[::3]  # equal ones on purpose
    theirs = getattr(torch, op)(torch.from_numpy(a), torch.from_numpy(b))
    same(getattr(backend, op)(nd(a), nd(b)), theirs)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_div_and_pow(dtype, shapes, rng):
    a, b = (draw(rng, shape, dtype) for shape in shapes)
    same(backend.div(nd(a), nd(b)), torch.from_numpy(a) / torch.from_numpy(b))
    wanted = np.power(np.abs(a).astype(np.float64), b.astype(np.float64))
    powers = backend.pow(nd(np.abs(a)), nd(b)).numpy()
    assert powers.dtype == dtype
    assert powers.shape == wanted.shape
    assert (np.abs(powers - wanted) <= 4 * np.finfo(dtype).eps * wanted).all()


INTEGERS = tuple(dtype for dtype in DTYPES if dtype not in FLOATING)
ROUNDED = {"div_trunc": "trunc", "div_floor": "floor"}


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ROUNDED)
def test_rounded_quotients(op, dtype, shapes, rng):
    a, b = (draw(rng, shape, dtype) for shape in shapes)
    if dtype in INTEGERS:
        b = np.asarray(b >> (8 * b.itemsize - 5) | 1, dtype)  # few and small ones: quotients of all sizes, none by 0
    if a.shape == b.shape:
        a.reshape(-1)[::3] = b.reshape(-1)[::3] * dtype(3)  # whole quotients on purpose
    theirs = torch.div(torch.from_numpy(a), torch.from_numpy(b), rounding_mode=ROUNDED[op])
    same(getattr(backend, op)(nd(a), nd(b)), theirs)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("op", ROUNDED)
def test_rounded_quotients_near_whole_numbers(op, dtype):
    """0.3 / 0.1 rounds up to 3, but 0.3 < 3 * 0.1 in binary: the floor is 2."""
    steps = np.arange(-40, 41, dtype=dtype)
    a, b = (steps[:, None] * dtype(0.1)).astype(dtype), np.array([0.1, -0.1, 0.3, 0.7, 1e-3, 1e30, np.inf, 0], dtype)
    theirs = torch.div(torch.from_numpy(a), torch.from_numpy(b), rounding_mode=ROUNDED[op])
    same(getattr(backend, op)(nd(a), nd(b)), theirs)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("op", ROUNDED)
def test_rounded_quotients_at_the_ends_of_the_range(op, dtype):
    """The quotient overflows, underflows, or is a multiple of an infinity: Python's and torch's rules for them."""
    limits = np.finfo(dtype)
    ends = [limits.max, limits.tiny, limits.smallest_subnormal, np.inf, 0.0, 1e30, 7.0]
    values = np.array([sign * end for sign in (1, -1) for end in ends], dtype)
    theirs = torch.div(torch.from_numpy(values[:, None]), torch.from_numpy(values), rounding_mode=ROUNDED[op])
    same(getattr(backend, op)(nd(values[:, None].copy()), nd(values)), theirs)


@pytest.mark.parametrize("op", ROUNDED)
def test_no_integer_is_divided_by_zero(op):
    divide = getattr(backend, op)
    for dtype in INTEGERS:
        ones = nd(np.ones(3, dtype))
        for zero in (nd(np.array([1, 0, 2], dtype)), 0):
            with pytest.raises(ValueError, match="holds a 0"):
                divide(ones, zero)
        assert divide(nd(np.ones(0, dtype)), 0).shape == (0,)  # nothing is divided
        if dtype != np.uint8:  # the smallest one has no opposite: it wraps around, as in numpy
            least = np.iinfo(dtype).min
            same(divide(nd(np.array([least, least + 1], dtype)), -1), np.array([least, -(least + 1)], dtype))


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_powers_of_integers(dtype, shapes, rng):
    """Exact modulo 2^bits, where floating arithmetic would have lost the last digits."""
    a, b = draw(rng, shapes[0], dtype), rng.integers(0, 70, shapes[1]).astype(dtype)
    same(backend.pow(nd(a), nd(b)), torch.pow(torch.from_numpy(a), torch.from_numpy(b)))
    for exponent in (0, 1, 2, 3, 19):
        same(backend.pow(nd(a), exponent), torch.pow(torch.from_numpy(a), exponent))


def test_negative_powers_of_integers_are_cut():
    for dtype in (np.int32, np.int64):
        a = np.array([[-3, -1, 0, 1, 2]], dtype)
        b = np.array([[-1], [-2], [-3], [np.iinfo(dtype).min]], dtype)
        same(backend.pow(nd(a), nd(b)), torch.pow(torch.from_numpy(a), torch.from_numpy(b)))


@pytest.mark.parametrize("dtype", FLOATING)
def test_special_values(dtype):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.0], dtype)
    a, b = np.repeat(values, 7), np.tile(values, 7)
    for op in (*EVERY_DTYPE, *COMPARISONS, "div", "pow", *ROUNDED):
        in_torch = getattr(torch, op, functools.partial(torch.div, rounding_mode=ROUNDED.get(op)))
        theirs = in_torch(torch.from_numpy(a), torch.from_numpy(b))
        same(getattr(backend, op)(nd(a), nd(b)), theirs)
        same(getattr(backend, op)(nd(a.reshape(7, 7)[:, :1].copy()), nd(values)), theirs.reshape(7, 7))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_take_the_dtype(dtype, rng):
    x = draw(rng, (3, 11), dtype)
    for op in EVERY_DTYPE + COMPARISONS:
        for number in (3, np.int64(3), True) + ((2.5, np.float32(0.5)) if dtype in FLOATING else ()):
            there = dtype(number)
            forward = getattr(torch, op)(torch.from_numpy(x), torch.tensor(there))
            backward = getattr(torch, op)(torch.tensor(there), torch.from_numpy(x))
            same(getattr(backend, op)(nd(x), number), forward)
            same(getattr(backend, op)(number, nd(x)), backward)


def test_numbers_that_do_not_fit():
    bytes_, integers, floats = (nd(np.zeros((2, 3), dtype)) for dtype in (np.uint8, np.int64, np.float32))
    for array, number, error in (
        (integers, 1.5, TypeError),
        (integers, 1.0, TypeError),
        (integers, 2**63, ValueError),
        (bytes_, 256, ValueError),
        (bytes_, -1, ValueError),
        (floats, 1e39, ValueError),
        (floats, "1", TypeError),
        (floats, None, TypeError),
        (floats, [1.0], TypeError),
        (floats, np.ones(3), TypeError),
    ):
        for arguments in ((array, number), (number, array)):
            with pytest.raises(error):
                backend.add(*arguments)
    for number in (np.inf, -np.inf, np.nan, 2**70):
        assert backend.add(floats, number).shape == (2, 3)


def test_errors():
    x = nd(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\).*dimension -1 .* 3 and 4"):
        backend.add(x, nd(np.zeros((2, 4), np.float32)))
    with pytest.raises(ValueError, match="dimension -2"):
        backend.mul(x, nd(np.zeros((3, 3), np.float32)))
    with pytest.raises(TypeError, match="float64"):
        backend.add(x, nd(np.zeros((2, 3))))
    with pytest.raises(TypeError, match="wanted float32 or float64"):
        backend.div(nd(np.ones(3, np.int64)), nd(np.ones(3, np.int64)))
    with pytest.raises(TypeError, match="mask"):
        backend.where(x, x, x)
    with pytest.raises(ValueError):
        backend.broadcast_to(x, (2, 4))
    with pytest.raises(ValueError):
        backend.broadcast_to(x, (3,))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shapes",
    [((3, 5),) * 3, ((3, 1), (5,), (3, 5)), ((5,), (), (2, 1, 5)), ((4, 1, 1), (3, 1), (7,)), ((0,), (1,), ())],
)
def test_where(dtype, shapes, rng):
    mask = rng.integers(0, 3, shapes[0], dtype=np.uint8)
    a, b = (draw(rng, shape, dtype) for shape in shapes[1:])
    theirs = torch.where(torch.from_numpy(mask) != 0, torch.from_numpy(a), torch.from_numpy(b))
    same(backend.where(nd(mask), nd(a), nd(b)), theirs)
    same(backend.where(nd(mask), nd(a), 2), np.where(mask != 0, a, dtype(2)))
    same(backend.where(nd(mask), 2, nd(b)), np.where(mask != 0, dtype(2), b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_broadcast_to(dtype, rng):
    for source, destination in (
        ((3, 1), (3, 5)),
        ((), (2, 3)),
        ((5,), (4, 3, 5)),
        ((2, 1, 3), (7, 2, 5, 3)),
        ((1,), (0,)),
    ):
        x = draw(rng, source, dtype)
        same(backend.broadcast_to(nd(x), destination), np.broadcast_to(x, destination))


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place(dtype, rng):
    for source in ((3, 5, 7), (7,), (5, 1), ()):
        a, b = draw(rng, (3, 5, 7), dtype), draw(rng, source, dtype)
        theirs_a, theirs_b = torch.from_numpy(a.copy()), torch.from_numpy(b)
        ours = nd(a)
        address = ours.data_ptr
        for step, (op, arguments, name) in enumerate(
            (
                (backend.mul_, (), "mul_"),
                (backend.add_, (), "add_"),
                (backend.copy_, (), "copy_"),
            )
        ):
            result = op(ours, nd(b), *arguments)
            getattr(theirs_a, name)(theirs_b)
            same(ours, theirs_a)
            assert result.shares_storage(ours)
            assert ours.version == step + 1
            assert ours.data_ptr == address
        backend.fill_(ours, 7)
        same(ours, np.full((3, 5, 7), 7, dtype))
        backend.mul_(ours, 3)
        backend.add_(ours, 2, alpha=2)
        same(ours, np.full((3, 5, 7), 25, dtype))


@pytest.mark.parametrize("dtype", FLOATING)
def test_add_scaled(dtype, rng):
    a, b = draw(rng, (5, 33), dtype), draw(rng, (33,), dtype)
    exact = a.astype(np.longdouble) + np.longdouble(dtype(-0.3)) * b
    ours = backend.add_(nd(a.copy()), nd(b), alpha=-0.3).numpy()
    assert (np.abs(ours - exact) <= np.finfo(dtype).eps * (np.abs(a) + 0.3 * np.abs(b))).all()


def test_in_place_with_shared_memory():
    whole = np.arange(12, dtype=np.float32)
    array = nd(whole)
    backend.add_(array, array)
    same(array, 2 * np.arange(12, dtype=np.float32))

    whole = np.arange(12, dtype=np.float32)
    shifted = np.concatenate([whole[:1], whole[1:] + whole[:-1]])
    backend.add_(nd(whole[1:]), nd(whole[:-1]))
    np.testing.assert_array_equal(whole, shifted)

    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted = matrix * matrix[0]
    backend.mul_(nd(matrix), nd(matrix[0]))
    np.testing.assert_array_equal(matrix, wanted)


def test_in_place_errors():
    x = nd(np.zeros((2, 3), np.float32))
    for op in (backend.add_, backend.mul_, backend.copy_):
        with pytest.raises(ValueError):
            op(x, nd(np.zeros((4, 2, 3), np.float32)))
        with pytest.raises(ValueError):
            op(x, nd(np.zeros((2, 4), np.float32)))
        with pytest.raises(TypeError):
            op(x, nd(np.zeros((2, 3))))
    with pytest.raises(TypeError):
        backend.add_(nd(np.zeros(3, np.int64)), nd(np.zeros(3, np.int64)), alpha=0.5)
    assert x.version == 0


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("destination", DTYPES)
def test_astype(source, destination, rng):
    x = draw(rng, (3, 35), source)
    if source in FLOATING and destination not in FLOATING:  # inside the range: |x| < 40 beyond all chance
        x *= dtype_scale(destination)
        if destination is np.uint8:
            x = np.abs(x)
    with np.errstate(over="ignore"):
        wanted = x.astype(destination)
    same(nd(x).astype(DTYPE_OF[np.dtype(destination)]), wanted)


def dtype_scale(dtype) -> float:
    return {np.int64: 2.0**40, np.int32: 2.0**20, np.uint8: 6.0}[dtype]


@pytest.mark.parametrize("source", FLOATING)
def test_astype_beyond_the_range(source):
    x = np.array(
        [np.nan, np.inf, -np.inf, 1e30, -1e30, 254.9, 255.5, 256.0, 300.0, -0.9, -1.0, 2.0**31, 2.0**63, -(2.0**63)],
        source,
    )
    for destination in (np.uint8, np.int32, np.int64):
        limits = np.iinfo(destination)
        wanted = [
            0 if np.isnan(v) else limits.max if v >= limits.max else limits.min if v <= limits.min else int(v)
            for v in x
        ]
        same(nd(x).astype(DTYPE_OF[np.dtype(destination)]), np.array(wanted, destination))
    same(
        nd(np.array([1e300, -1e300, np.nan, 0.1])).astype(backend.float32),
        np.array([np.inf, -np.inf, np.nan, 0.1], np.float32),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_full(dtype):
    kind = DTYPE_OF[np.dtype(dtype)]
    for shape in ((), (0,), (3, 5), (70001,)):
        same(backend.full(shape, 9, kind), np.full(shape, 9, dtype))
        same(backend.full(shape, 9.0, kind), np.full(shape, 9, dtype))
    if dtype not in FLOATING:
        limits = np.iinfo(dtype)
        for bound in (limits.min, limits.max):
            same(backend.full((2,), int(bound), kind), np.full(2, bound, dtype))
        for number in (int(limits.max) + 1, int(limits.min) - 1, 1.5, np.nan, np.inf):
            with pytest.raises(ValueError, match="does not fit"):
                backend.full((2,), number, kind)


def test_same_bits_for_any_number_of_threads(rng):
    a, b = nd(draw(rng, (257, 1031), np.float32)), nd(draw(rng, (1031,), np.float32))
    for op in (backend.add, backend.div, backend.div_floor, backend.pow, backend.lt):
        for_all_threads(lambda op=op: op(a, b))
    for_all_threads(lambda: backend.add_(a.clone(), b, alpha=0.7))
