"""Integer tensors: exact, as torch's, or an error; the ends of every dtype's range are among the values."""

import warnings

import numpy as np
import pytest
import torch
from devices import DEVICES

import mytensor as mt

INTEGERS = {"int64": torch.int64, "int32": torch.int32, "uint8": torch.uint8}
BEYOND = 2**53 + 1  # the first integer that float64 does not hold


def edges(name: str) -> list[int]:
    """Values of both ends of the range, and in between."""
    info = np.iinfo(name)
    return [1, int(info.min), 200 % info.max, int(info.max), int(info.min) + 1, 0, int(info.max) - 1, BEYOND % info.max]


def both(values, name: str, device: str = "cpu"):
    return mt.tensor(values, dtype=name, device=device), torch.tensor(values, dtype=INTEGERS[name])


# ---------------------------------------------------------------------------------------------------------------------
# In place
# ---------------------------------------------------------------------------------------------------------------------

CHANGES = {
    "x += 1": lambda x, y: x.__iadd__(1),
    "x += y": lambda x, y: x.__iadd__(y),
    "x -= 1": lambda x, y: x.__isub__(1),
    "x -= y": lambda x, y: x.__isub__(y),
    "x *= 3": lambda x, y: x.__imul__(3),
    "x *= y": lambda x, y: x.__imul__(y),
    "add_(1, alpha=2)": lambda x, y: x.add_(1, alpha=2),
    "add_(y, alpha=2)": lambda x, y: x.add_(y, alpha=2),
    "add_(y, alpha=-1)": lambda x, y: x.add_(y, alpha=-1),
    "sub_(1, alpha=5)": lambda x, y: x.sub_(1, alpha=5),
    "sub_(y)": lambda x, y: x.sub_(y),
    "sub_(y, alpha=3)": lambda x, y: x.sub_(y, alpha=3),
    "sub_(y, alpha=0)": lambda x, y: x.sub_(y, alpha=0),
    "zero_": lambda x, y: x.zero_(),
    "fill_(7)": lambda x, y: x.fill_(7),
    "copy_(y)": lambda x, y: x.copy_(y),
    "x = -x": lambda x, y: x.copy_(-x),
    "x + y": lambda x, y: x.copy_(x + y),
    "x - y": lambda x, y: x.copy_(x - y),
    "1 - x": lambda x, y: x.copy_(1 - x),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("change", CHANGES)
def test_in_place(change, name, device):
    x, theirs = both(edges(name), name, device)
    y, their_y = both(edges(name)[::-1], name, device)
    assert CHANGES[change](x, y) is x
    CHANGES[change](theirs, their_y)
    assert x.tolist() == theirs.tolist() and x.dtype.name == name


@pytest.mark.parametrize("device", DEVICES)
def test_in_place_numbers_keep_every_digit(device):
    x, theirs = both([BEYOND, -BEYOND, 0], "int64", device)
    for tensor in (x, theirs):
        tensor += BEYOND
        tensor.add_(tensor.clone(), alpha=3).sub_(BEYOND, alpha=2)
        tensor.add_(tensor.clone(), alpha=BEYOND)
    assert x.tolist() == theirs.tolist()


FRACTIONS = {
    "x += 0.5": lambda x: x.__iadd__(0.5),
    "x -= 0.5": lambda x: x.__isub__(0.5),
    "x *= 0.5": lambda x: x.__imul__(0.5),
    "x /= 2": lambda x: x.__itruediv__(2),
    "x /= x": lambda x: x.__itruediv__(x),
    "div_": lambda x: x.div_(2),
    "alpha=0.5": lambda x: x.add_(1, alpha=0.5),
    "alpha=1.0": lambda x: x.add_(x, alpha=1.0),
    "sub_ alpha=2.0": lambda x: x.sub_(x, alpha=2.0),
    "x += 2.5 of numpy": lambda x: x.__iadd__(np.float32(2.5)),
}


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("change", FRACTIONS)
def test_fractions_are_refused_in_place_as_in_torch(change, name):
    x, theirs = both([1, 2, 3], name)
    with pytest.raises(RuntimeError):
        FRACTIONS[change](theirs)
    with pytest.raises(TypeError, match=rf"{name}.*float"):
        FRACTIONS[change](x)
    assert x.tolist() == [1, 2, 3]


def test_numbers_that_do_not_fit_are_refused():
    x = mt.tensor([1, 2], dtype=mt.uint8)
    for number in (300, -1, 2**64):
        with pytest.raises(ValueError, match="does not fit uint8"):
            x += number
    assert x.tolist() == [1, 2]


# ---------------------------------------------------------------------------------------------------------------------
# The largest and the smallest
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("op", ["max", "min", "amax", "amin", "argmax", "sum"])
def test_reductions(op, name, device):
    x, theirs = both([edges(name), edges(name)[::-1], [5] * 8], name, device)
    for arguments in ((), (0,), (1,), (1, True)):
        if op in ("amax", "amin", "argmax", "sum") and len(arguments) == 0:
            arguments = (None,) if op in ("argmax", "sum") else ((0, 1),)
        ours, wanted = getattr(x, op)(*arguments), getattr(theirs, op)(*arguments)
        if isinstance(wanted, tuple):
            # Of equal ones ours is the first; torch does not promise which.
            assert ours.values.tolist() == wanted.values.tolist() and ours.values.dtype == x.dtype
            axis, numpy_op = arguments[0], {"max": np.argmax, "min": np.argmin}[op]
            first = numpy_op(theirs.numpy(), axis, keepdims=len(arguments) == 2)
            assert ours.indices.tolist() == first.tolist() and ours.indices.dtype == mt.int64
        else:
            assert ours.tolist() == wanted.tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["max", "min"])
def test_floating_extremes_with_nan_and_zeros_of_both_signs(op, device):
    rows = [[1.0, np.nan, 0.0], [-np.inf, np.inf, 2.0], [0.0, -0.0, 0.0], [-0.0, 0.0, 1.0], [np.nan, np.nan, 1.0]]
    ours, theirs = getattr(mt.tensor(rows, device=device), op)(1), getattr(torch.tensor(rows), op)(1)
    np.testing.assert_array_equal(ours.values.cpu().numpy(), theirs.values.numpy())
    numpy_op = {"max": np.argmax, "min": np.argmin}[op]
    assert ours.indices.tolist() == numpy_op(np.array(rows), 1).tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("keepdim", [False, True])
def test_extremes_are_differentiated_on_every_device(op, dim, keepdim, device):
    values = np.random.default_rng(3).permutation(24).reshape(2, 3, 4).astype(np.float32)
    x, theirs = mt.tensor(values, device=device).requires_grad_(), torch.tensor(values, requires_grad=True)
    ours, wanted = getattr(x, op)(dim, keepdim).values, getattr(theirs, op)(dim, keepdim).values
    upstream = np.random.default_rng(4).standard_normal(wanted.shape).astype(np.float32)
    ours.backward(mt.tensor(upstream, device=device))
    wanted.backward(torch.tensor(upstream))
    assert ours.tolist() == wanted.tolist() and x.grad.device == device
    np.testing.assert_array_equal(x.grad.cpu().numpy(), theirs.grad.numpy())


def test_extremes_of_a_single_number_are_a_copy():
    for op in ("max", "min"):
        x = mt.tensor(3.0, requires_grad=True)
        values, indices = getattr(x, op)(0)
        assert (values.item(), indices.item()) == (3.0, 0) and values is not x
        values.backward()
        assert x.grad.item() == 1
        with mt.no_grad():
            getattr(x, op)(0).values.zero_()
        assert x.item() == 3


def test_negation_wraps_around():
    for name in INTEGERS:
        x, theirs = both(edges(name), name)
        assert (-x).tolist() == (-theirs).tolist() == x.neg().tolist()


# ---------------------------------------------------------------------------------------------------------------------
# mt.tensor(values, dtype)
# ---------------------------------------------------------------------------------------------------------------------

VALUES = [
    [0, 1, 255], [256], [300, 1], [2**31 - 1], [2**31], [-(2**31)], [-(2**31) - 1], [2**63 - 1], [2**63], [-(2**63)],
    [-(2**63) - 1], [1, 2**63], [2**70], [0.5, BEYOND], [1.5], [-0.5], [255.9], [300.5], [1e300], [float("nan")],
    [float("inf")], [1, float("-inf")], [True, 2], [True, False], [BEYOND, 1], [0.5, 2**62 + 1], [[1, 2], [3, 2**63]],
    [], [[]], [1.5, 2**63], [-(2.0**63)], [2.0**31], 7, 7.5, 2**64, True,
]  # fmt: skip


@pytest.mark.parametrize("name", [None, "int64", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("values", VALUES, ids=str)
def test_new_tensors_hold_what_they_were_given(values, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            wanted = torch.tensor(values, dtype=None if name is None else getattr(torch, name))
        except (RuntimeError, ValueError, OverflowError):
            with pytest.raises(ValueError, match="does not fit"):
                mt.tensor(values, dtype=name)
            return
        got = mt.tensor(values, dtype=name)
    if wanted.dtype == torch.bool:
        wanted = wanted.to(torch.uint8)
    assert got.dtype.name == str(wanted.dtype).removeprefix("torch.")
    np.testing.assert_array_equal(got.numpy(), wanted.numpy())
    assert got.shape == tuple(wanted.shape)


ARRAYS = [  # of numpy and tensors: torch wraps these silently, here all are checked
    (np.array([300]), "uint8"), (np.array([-1]), "uint8"), (np.array([2**40]), "int32"), (np.array([np.nan]), "int64"),
    (np.array([1e300]), "int64"), (np.float32([np.inf]), "int32"), (np.array([2**63], np.uint64), "int64"),
    (np.array([-(2.0**31) - 1]), "int32"), (np.array(256.0), "uint8"), (mt.tensor([300]), "uint8"),
    (mt.tensor([float("nan")]), "int64"), (torch.tensor([300]), "uint8"), (np.float16([300]), "uint8"),
    (np.array([2.0**63]), "int64"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "name"), ARRAYS, ids=str)
def test_arrays_are_checked_too(values, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=rf"the number .* does not fit {name}"):
            mt.tensor(values, dtype=name)


def test_lists_of_numpy_numbers_keep_their_dtype():
    for name in ("uint8", "int32", "int64", "float32"):
        for values in ([np.dtype(name).type(1), np.dtype(name).type(2)], [np.ones(2, name)]):
            assert mt.tensor(values).dtype.name == str(torch.tensor(values).dtype).removeprefix("torch.") == name
    assert mt.tensor(bytearray(b"ab")).tolist() == [97, 98] and mt.tensor(range(3)).dtype == mt.int64
    with pytest.raises(TypeError, match="float16"):
        mt.tensor([np.float16(1)])
    with pytest.raises(ValueError, match="does not fit int64"):
        mt.tensor([np.uint64(2**63)])


def test_arrays_that_fit():
    assert mt.tensor(np.array([-(2.0**63), 2.0**62]), dtype=mt.int64).tolist() == [-(2**63), 2**62]
    assert mt.tensor(np.float32([0.9, 254.5]), dtype=mt.uint8).tolist() == [0, 254]
    assert mt.tensor(np.array([2**63], np.uint64), dtype=mt.float64).tolist() == [2.0**63]
    assert mt.tensor(np.zeros((0, 3)), dtype=mt.uint8).shape == (0, 3)
    assert mt.tensor(np.array([True, False]), dtype=mt.int32).tolist() == [1, 0]
    assert mt.tensor(mt.tensor([255, 0]), dtype=mt.uint8).tolist() == [255, 0]
    assert mt.tensor(np.array([1e300]), dtype=mt.float32).tolist() == [float("inf")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([1, None], "holds None"),
        (["a", 1], "str"),
        ([[1, 2], [3]], "lists of one length"),
        ([mt.ones(2, 3), None], "lists of one length"),
        (None, "None"),
        ({1, 2}, "set"),
        ({}, "dict"),
        ((n for n in range(3)), "generator"),
        (object(), "object"),
        ([1j], "complex128.*real"),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
def test_what_holds_no_numbers(data, words):
    with pytest.raises((TypeError, ValueError), match=words):
        mt.tensor(data)


# ---------------------------------------------------------------------------------------------------------------------
# var
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3), (1, 3), (3, 1), (0, 3), (3, 0), (), (1,)], ids=str)
@pytest.mark.parametrize("correction", [0, 1, 2, 3, 7, 0.5, 2.5, True, None])
@pytest.mark.parametrize("keepdim", [False, True])
def test_var(shape, correction, keepdim):
    values = np.arange(1.0, 1.0 + np.prod(shape, dtype=int)).reshape(shape) ** 2
    for dim in (None, 0, -1, (0,), ()):
        if keepdim and dim == ():
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = torch.tensor(values).var(dim, correction=correction, keepdim=keepdim)
        got = mt.tensor(values).var(dim, correction=correction, keepdim=keepdim)
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-14, strict=True)
        assert not (got.numpy() < 0).any()


def test_var_is_never_negative():
    for value in (0.1, 1e30, 1e-30, 16777217.0, -3e38, 1 / 3):
        for count in (1, 2, 3, 1000):
            assert mt.full((count,), value).var(correction=0).item() >= 0
    with pytest.raises(TypeError, match="var: wanted float32 or float64, got int64"):
        mt.tensor([1, 2]).var()
