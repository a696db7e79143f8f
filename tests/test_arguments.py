"""What methods and functions do with arguments nobody meant: torch's answer, or an error that says what came.

The methods, functions, operators and parameters are listed from the package itself, so that a new one is tried as well.
"""

import decimal
import inspect
import itertools
import math
import re
import warnings
from fractions import Fraction

import mytensor_backend as backend
import numpy as np
import pytest
import torch

import mytensor as mt

ODD = {
    "None": None,
    "1.5": 1.5,
    "1": 1,
    "-1": -1,
    "7": 7,
    "2**64": 2**64,
    "10**400": 10**400,
    "nan": math.nan,
    "inf": math.inf,
    "True": True,
    "1j": 1j,
    "'a'": "a",
    "b'a'": b"a",
    "()": (),
    "(0, 1)": (0, 1),
    "[0, 1]": [0, 1],
    "(True,)": (True,),
    "(0.5,)": (0.5,),
    "('a',)": ("a",),
    "[None]": [None],
    "{}": {},
    "{0}": {0},
    "object": object(),
    "type": int,
    "function": len,
    "slice": slice(0, 1),
    "...": ...,
    "Decimal": decimal.Decimal(1),
    "Fraction": Fraction(1, 2),
    "dtype": mt.float64,
    "device": "cpu",
    "numpy int": np.int64(1),
    "numpy float": np.float32(1.5),
    "numpy bool": np.bool_(True),
    "numpy str": np.str_("a"),
    "numpy complex": np.complex64(1),
    "numpy date": np.datetime64("2020-01-01"),
    "numpy long": np.longdouble(1.5),
    "numpy array": np.ones(3, np.float32),
    "numpy 0-d": np.array(1),
    "numpy rows": np.array([0, 1]),
    "numpy objects": np.array([None]),
    "torch": torch.ones(3),
    "torch 0-d": torch.tensor(1.5),
    "torch 0-d int": torch.tensor(1),
    "tensor": mt.ones(3),
    "tensor 0-d": mt.tensor(1.5),
    "tensor 0-d int": mt.tensor(1),
    "tensor rows": mt.tensor([0, 1]),
    "tensor recorded": mt.ones(3, requires_grad=True),
    "NDArray": mt.ones(3).array,
    "tensors": [mt.ones(2, 3)],
    "tensor and None": [mt.ones(2, 3), None],
}
FEW = (
    "None",
    "1.5",
    "1",
    "True",
    "'a'",
    "(0, 1)",
    "numpy int",
    "numpy float",
    "numpy array",
    "tensor",
    "tensor 0-d int",
)
SUBJECTS = {
    "float": lambda: mt.tensor([[-2.0, -1.0, 0.0], [1.0, 2.0, 3.0]]),
    "int": lambda: mt.tensor([[0, 1, 2], [3, 4, 5]]),
    "0-d": lambda: mt.tensor(2.5),
    "empty": lambda: mt.zeros(0, 3),
    "uint8": lambda: mt.tensor([[1, 0, 2]], dtype=mt.uint8),
    "recorded": lambda: mt.ones(2, 3, requires_grad=True),
}

ALLOWED = (TypeError, ValueError, IndexError, RuntimeError, MemoryError, BufferError)  # and their subclasses
UNCLEAR = re.compile(
    "incompatible function arguments|has no attribute|not supported between|'\\w+' object is not|unsupported operand|"
    "'NoneType'|__index__|cannot be interpreted|not callable|must be real number|NumPy|not understood|setting an array|"
    "inhomogeneous|too large to convert|bad argument type"
)
ARITY = re.compile("positional argument|unexpected keyword|multiple values")  # Python's own words name the function

# What Python asks of every object, and what has no arguments to get wrong.
NOT_TRIED = {name for name in dir(object) if name not in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")}
NOT_TRIED |= {"__class_getitem__", "__array__", "__dlpack__", "__iter__", "__module__"}


def methods() -> list[str]:
    names = [name for name in dir(mt.Tensor) if name not in NOT_TRIED and re.match("[a-zA-Z]|__", name)]
    return [name for name in names if callable(getattr(mt.Tensor, name))]


def functions() -> list[str]:
    kinds = (inspect.isfunction, inspect.isbuiltin)
    return [name for name in mt.__all__ if any(is_one(getattr(mt, name)) for is_one in kinds)]


def outcome(call, what: str):
    """(value, None) or (None, the exception), which must be of a kind for users and say what came."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call(), None
    except Exception as error:
        text = str(error)
        assert isinstance(error, ALLOWED), f"{what}: {type(error).__name__}: {text}"
        assert (len(text) > 10 and not UNCLEAR.search(text)) or ARITY.search(text), f"{what}: {text}"
        return None, error


@pytest.fixture(autouse=True)
def settings_stay():
    threads, seed, mode = backend.get_num_threads(), mt.random.get_state(), backend.memory_mode()
    yield
    backend.set_num_threads(threads)
    mt.random.set_state(seed)
    backend.set_memory_mode(mode)


# ---------------------------------------------------------------------------------------------------------------------
# Every method and function
# ---------------------------------------------------------------------------------------------------------------------


def to_torch(value):
    if isinstance(value, mt.Tensor):
        return torch.tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
    if isinstance(value, backend.NDArray):
        return torch.tensor(value.numpy().copy())
    if value is mt.float64:
        return torch.float64
    if isinstance(value, (list, tuple)):
        return type(value)(to_torch(part) for part in value)
    return value


def plain(value):
    """Numbers and shapes, to compare."""
    if isinstance(value, (mt.Tensor, torch.Tensor)):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        return value.shape, np.dtype(np.uint8 if value.dtype == bool else value.dtype).name, value.tolist()
    return [plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def same(ours, theirs) -> bool:
    if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == theirs or (ours != ours and theirs != theirs) or abs(ours - theirs) <= 1e-5 * abs(theirs)
    return ours == theirs


# Where torch's answer is another one, on purpose.
OTHERWISE = {
    "backward": "returns nothing, and torch counts differently what one call leaves behind",
    "uniform_": "draws", "normal_": "draws", "rand": "draws", "randn": "draws", "rand_like": "draws",
    "randn_like": "draws", "empty": "not initialised", "empty_like": "not initialised",
    "__dlpack_device__": "an enum in torch", "register_hook": "a handle", "manual_seed": "a generator in torch",
    "get_num_threads": "a setting", "get_default_device": "a setting", "default_device": "a setting",
    "__repr__": "formatted in its own way", "item": "no arguments", "is_pinned": "no arguments",
}  # fmt: skip


def like_torch(name: str, ours, theirs, values: tuple, what: str) -> None:
    """ours() gives what theirs() gives, or one of them raises."""
    got, error = outcome(ours, what)
    if error is not None or name in OTHERWISE or inspect.isgenerator(got) or theirs is None:
        return
    if any(isinstance(value, np.bool_) for value in values):
        return  # a number 1.0 for torch, which makes floats of integers beside it; a bool for us
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = plain(theirs())
    except Exception:
        return
    if got is not NotImplemented and wanted is not NotImplemented:
        assert same(plain(got), wanted), f"{what}: {plain(got)}, torch: {wanted}"


@pytest.mark.parametrize("name", methods())
def test_methods(name):
    in_torch = getattr(torch.Tensor, name, None)
    calls = [("",), *((odd,) for odd in ODD), *itertools.product(FEW, FEW), *((1, 0, odd) for odd in FEW)]
    for subject in SUBJECTS:
        for call in calls if subject == "float" else calls[: len(ODD) + 1]:
            values = tuple(ODD.get(odd, odd) for odd in call if odd != "")
            x = SUBJECTS[subject]()
            y = to_torch(x)
            theirs = None if in_torch is None else lambda y=y, v=values: in_torch(y, *to_torch(v))
            what = f"{subject}.{name}({', '.join(map(str, call))})"
            like_torch(name, lambda x=x, v=values: getattr(x, name)(*v), theirs, values, what)


@pytest.mark.parametrize("name", methods())
def test_keywords_of_methods(name):
    parameters = inspect.signature(getattr(mt.Tensor, name)).parameters.values()
    required = {p.name: 0 for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    required.pop("self", None)
    for parameter in (
        p.name for p in parameters if p.name != "self" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ):
        for odd, value in ODD.items():
            arguments = {**required, parameter: value}
            x = SUBJECTS["float"]()
            outcome(lambda x=x, a=arguments: getattr(x, name)(**a), f"{name}({parameter}={odd})")


@pytest.mark.parametrize("name", functions())
def test_functions(name):
    function, in_torch = getattr(mt, name), getattr(torch, name, None)
    parameters = inspect.signature(function).parameters if inspect.isfunction(function) else {}
    keywords = [p.name for p in parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    calls = [(odd,) for odd in ODD] + list(itertools.product(FEW, FEW)) + [(odd, odd, odd) for odd in FEW]
    for call in calls:
        values = tuple(ODD[odd] for odd in call)
        theirs = None if in_torch is None else lambda v=values: in_torch(*to_torch(v))
        like_torch(name, lambda v=values: function(*v), theirs, values, f"mt.{name}({', '.join(call)})")
    for keyword, first in itertools.product(keywords, ((), (2,), (mt.ones(2, 3),), ([mt.ones(2, 3)],), ((2,), 1))):
        for odd, value in ODD.items():
            what = f"mt.{name}({first}, {keyword}={odd})"
            outcome(lambda f=first, k=keyword, v=value: function(*f, **{k: v}), what)


# ---------------------------------------------------------------------------------------------------------------------
# Dimensions
# ---------------------------------------------------------------------------------------------------------------------

DIM_NAMES = ("dim", "dims", "dim0", "dim1", "start_dim", "end_dim")
REST = {
    "index_select": {"index": mt.tensor([0])},
    "narrow": {"start": 0, "length": 1},
    "transpose": {"dim0": 0, "dim1": 0},
}
SEVERAL = {"sum", "mean", "var", "amax", "amin", "logsumexp", "squeeze"}  # take a tuple, as in torch


def dims_of_methods() -> list[tuple[str, str]]:
    pairs = []
    for name in methods():
        for parameter in inspect.signature(getattr(mt.Tensor, name)).parameters:
            if parameter in DIM_NAMES and not name.startswith("_") and name != "permute":
                pairs.append((name, parameter))
    return pairs


@pytest.mark.filterwarnings("ignore:var")
@pytest.mark.parametrize(("name", "parameter"), dims_of_methods())
def test_dims(name, parameter):
    def call(x, dim):
        rest = {**REST.get(name, {}), parameter: dim}
        rest = {key: to_torch(value) if isinstance(x, torch.Tensor) else value for key, value in rest.items()}
        return plain(getattr(x, name)(**rest))

    x = mt.tensor(np.arange(6.0).reshape(1, 2, 3))
    for number in (0, 1, -1):
        wanted = call(to_torch(x), number)
        ints = [number, np.int64(number), np.int32(number), np.int8(number)]
        if name not in ("max", "min"):  # there, a tensor is the other operand in torch
            ints += [mt.tensor(number), mt.tensor(number, dtype=mt.int32), torch.tensor(number), np.array(number)]
        for dim in ints:
            assert same(call(x, dim), wanted), f"{dim!r}"
    bad = [
        True,
        False,
        np.bool_(True),
        1.0,
        np.float32(1),
        "0",
        1j,
        (0, 1.0),
        (True,),
        (None,),
        ((0,),),
        {0},
        mt.ones(2),
    ]
    for dim in bad:
        with pytest.raises(TypeError, match="dim"):
            call(x, dim)
    for dim in (4, -5, 2**64, -(2**64)):
        with pytest.raises((IndexError, ValueError), match=r"dim|index"):
            call(x, dim)
    for dim in ((0, 1), [0, 2], (), (1,), (np.int64(1), -1)):
        if name == "logsumexp" and dim == ():
            continue  # an internal error of torch
        if name in SEVERAL:
            assert same(call(x, dim), call(to_torch(x), tuple(map(int, dim)))), f"{dim!r}"
        else:
            with pytest.raises(TypeError, match=r"dim.*int, got"):
                call(x, dim)
    if name in SEVERAL:
        with pytest.raises(ValueError, match="twice"):
            call(x, (0, -3))


def test_the_table_of_dims_is_complete():
    assert {name for name, _ in dims_of_methods()} >= SEVERAL | {"argmax", "softmax", "flatten", "narrow", "unsqueeze"}


def test_dims_of_functions_and_of_permute():
    x = mt.tensor(np.arange(6.0).reshape(2, 3))
    for one, zero in ((np.int64(1), np.uint8(0)), (mt.tensor(1), mt.tensor(0))):
        assert x.permute(one, zero).tolist() == x.permute((one, zero)).tolist() == x.T.tolist()
        assert mt.cat([x, x], one).shape == (2, 6) and mt.stack([x, x], one).shape == (2, 2, 3)
        assert mt.softmax(x, one).tolist() == x.softmax(1).tolist()
    for bad in (True, 1.0, (0, 1), "0", None):
        for call in (mt.softmax, mt.log_softmax, lambda x, dim: mt.cat([x], dim), lambda x, dim: mt.stack([x], dim)):
            with pytest.raises(TypeError, match=r"dim.*int, got"):
                call(x, bad)
    for bad in ((0.0, 1), (True, 0), (0, None)):
        with pytest.raises(TypeError, match="int, got"):
            x.permute(bad)


# ---------------------------------------------------------------------------------------------------------------------
# Sizes
# ---------------------------------------------------------------------------------------------------------------------

SIZED = {
    **{name: getattr(mt, name) for name in ("zeros", "ones", "empty", "rand", "randn")},
    "full": lambda *sizes: mt.full(sizes, 1.0),
    "uniform": lambda *sizes: mt.Tensor.uniform(*sizes),
    "reshape": lambda *sizes: mt.ones(6).reshape(*sizes),
    "view": lambda *sizes: mt.ones(6).view(*sizes),
    "expand": lambda *sizes: mt.ones(1).expand(*sizes),
    "broadcast_to": lambda *sizes: mt.ones(1).broadcast_to(*sizes),
}


@pytest.mark.parametrize("name", SIZED)
def test_sizes(name):
    make = SIZED[name]
    ints = [2, np.int64(2), np.int32(2), np.uint8(2), mt.tensor(2), torch.tensor(2), np.array(2)]
    for size in ints:
        assert make(size, 3).shape == (2, 3)
        assert make(*(size, np.int64(3))).shape == (2, 3)
    for size in (2.0, True, np.bool_(True), np.float64(2), "2", None, 1j, mt.tensor(2.0), mt.float64, object()):
        with pytest.raises(TypeError, match=r"size.*must be an int, got"):
            make(size, 3)
    for size in (2**63, 2**64, -(2**70), np.uint64(2**63)):
        with pytest.raises(ValueError, match=r"size.*int64"):
            make(size)
    for size in (-2, -(2**63)):
        with pytest.raises(ValueError, match=r"negative|-\d"):
            make(size, 3)
    with pytest.raises((ValueError, MemoryError)):
        make(2**62, 2**62)


def test_sizes_in_one_tuple():
    for sizes in ((2, np.int64(3)), [2, 3], torch.Size([2, 3]), mt.ones(2, 3).shape):
        assert mt.zeros(sizes).shape == mt.full(sizes, 1).shape == mt.ones(6).reshape(sizes).shape == (2, 3)
    assert mt.full(np.int64(2), 0.5).tolist() == [0.5, 0.5] and mt.zeros(()).shape == ()
    assert mt.eye(np.int64(2)).tolist() == [[1, 0], [0, 1]] and mt.eye(0).shape == (0, 0)
    for bad, error in ((-1, ValueError), (2.0, TypeError), (True, TypeError), (2**64, ValueError), (None, TypeError)):
        with pytest.raises(error, match="size"):
            mt.eye(bad)
    assert mt.ones(4).narrow(np.int64(0), np.int64(1), mt.tensor(2)).shape == (2,)
    for bad in (1.0, True, None, (1,)):
        for arguments in ((0, bad, 1), (0, 1, bad)):
            with pytest.raises(TypeError, match=r"narrow: (start|length) must be an int, got"):
                mt.ones(4).narrow(*arguments)


# ---------------------------------------------------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------------------------------------------------

NUMBERS = [  # and whether each is floating
    (3, False), (3.5, True), (np.int64(3), False), (np.int8(-3), False), (np.uint64(3), False), (np.float32(3), True),
    (np.float32(3.5), True), (np.float64(3), True), (np.float16(3), True), (np.longdouble(3.5), True),
    (mt.tensor(3.0), True), (mt.tensor(3), False), (mt.tensor(3.5, dtype=mt.float64), True), (np.array(3), False),
    (np.array(3.5), True), (torch.tensor(3.5), True), (torch.tensor(3), False),
]  # fmt: skip


@pytest.mark.parametrize(("number", "is_floating"), NUMBERS, ids=lambda value: f"{type(value).__name__} {value}")
def test_numbers(number, is_floating):
    value = number.item() if hasattr(number, "item") else number
    value = float(value) if is_floating else int(value)
    made = mt.full((2,), number)
    assert made.dtype == (mt.float32 if is_floating else mt.int64) and made.tolist() == [value, value]
    assert mt.full((2,), number, dtype=mt.float64).tolist() == [value, value]
    assert mt.full_like(mt.ones(2), number).tolist() == mt.ones(2).fill_(number).tolist() == [value, value]
    x = mt.zeros(2)
    x[0] = number
    assert x.tolist() == [value, 0]
    if value > 0:
        steps = mt.arange(number)
        assert steps.dtype == made.dtype and steps.tolist() == torch.arange(value).tolist()
    assert mt.zeros(2).add_(mt.ones(2), alpha=number).tolist() == [value, value]
    if isinstance(number, (int, float, np.generic)):
        for operation in (
            lambda x, n: x + n,
            lambda x, n: n + x,
            lambda x, n: x * n,
            lambda x, n: n - x,
            lambda x, n: x / n,
        ):
            ours, theirs = operation(mt.tensor([1.0, 2.0]), number), operation(torch.tensor([1.0, 2.0]), value)
            assert ours.tolist() == theirs.tolist() and ours.dtype == mt.float32
        assert (mt.tensor([value, 0.0]) == number).tolist() == (number == mt.tensor([value, 0.0])).tolist() == [1, 0]
        assert mt.where(mt.tensor([1, 0], dtype=mt.uint8), mt.zeros(2), number).tolist() == [0, value]


def test_bools_are_numbers_where_numbers_are_wanted():
    for true in (True, np.bool_(True)):
        assert (mt.ones(2) + true).tolist() == (true + mt.ones(2)).tolist() == [2, 2]
        assert (mt.tensor([1, 2]) * true).tolist() == [1, 2] and mt.ones(2).fill_(true).tolist() == [1, 1]
        made = mt.full((2,), true)
        assert made.dtype == mt.uint8 == mt.tensor(true).dtype and made.tolist() == [1, 1]


def test_what_is_no_number():
    for bad in (None, "3", 1j, np.complex64(1), mt.ones(1), np.ones(1), torch.ones(1), (3,), Fraction(1, 2), object()):
        for call in (
            lambda bad=bad: mt.full((2,), bad),
            lambda bad=bad: mt.arange(bad),
            lambda bad=bad: mt.ones(2).add_(1, alpha=bad),
            lambda bad=bad: mt.ones(2).uniform_(0, bad),
            lambda bad=bad: mt.ones(2).var(correction=bad) if bad is not None else mt.full((2,), bad),
        ):
            with pytest.raises(TypeError, match="must be a number, got"):
                call()
    for call in (mt.arange, lambda n: mt.arange(0, n), lambda n: mt.arange(0, 1, n)):
        for bad in (math.nan, math.inf, 2**63, -(2**64)):
            with pytest.raises(ValueError, match=r"arange.*int64"):
                call(bad)
    with pytest.raises(ValueError, match="step must not be 0"):
        mt.arange(0, 3, 0)
    with pytest.raises(ValueError, match="fractions do not fit int64"):
        mt.arange(0, 3, 0.5, dtype=mt.int64)
    with pytest.raises(ValueError, match=r"0-d Tensor, got a Tensor of shape \(1,\)"):
        mt.ones(2).fill_(mt.ones(1))
    with pytest.raises(TypeError, match="wanted a Tensor to make another"):
        mt.zeros_like(np.ones(2))


def test_a_filling_tensor_is_recorded():
    value = mt.tensor(2.0, requires_grad=True)
    x = mt.zeros(3).fill_(value)
    (x * mt.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.tolist() == [2, 2, 2] and value.grad.item() == 6


def test_defaults_may_be_spelt_none():
    for make in (mt.zeros, mt.ones, mt.empty, mt.rand, mt.randn):
        assert make(2, dtype=None, device=None).dtype == mt.float32
    assert mt.eye(2, dtype=None).dtype == mt.float32 and mt.tensor([1], dtype=None, device=None).dtype == mt.int64


def test_seeds():
    for seed in (3, np.int64(3), np.uint8(3), mt.tensor(3)):
        mt.manual_seed(seed)
        assert mt.random.get_state() == (3, 0)
    for bad, error in ((3.0, TypeError), (None, TypeError), (True, TypeError), (-1, ValueError), (2**64, ValueError)):
        with pytest.raises(error, match="manual_seed: wanted"):
            mt.manual_seed(bad)


# ---------------------------------------------------------------------------------------------------------------------
# to(...)
# ---------------------------------------------------------------------------------------------------------------------

DOUBLE = mt.zeros(1, dtype=mt.float64)
TO = {  # -> dtype, device of a float32 tensor on the CPU
    "device": (("cpu",), {}, "float32", "cpu"),
    "device=": ((), {"device": "cpu"}, "float32", "cpu"),
    "another device=": ((), {"device": "simt"}, "float32", "simt"),
    "dtype": ((mt.float64,), {}, "float64", "cpu"),
    "dtype=": ((), {"dtype": mt.int64}, "int64", "cpu"),
    "name of a dtype": (("uint8",), {}, "uint8", "cpu"),
    "numpy's dtype": ((np.float64,), {}, "float64", "cpu"),
    "device, dtype": (("simt", mt.float64), {}, "float64", "simt"),
    "device, dtype=": (("cpu",), {"dtype": mt.float64}, "float64", "cpu"),
    "device=, dtype=": ((), {"device": "simt", "dtype": "int32"}, "int32", "simt"),
    "other": ((DOUBLE,), {}, "float64", "cpu"),
    "other=": ((), {"other": DOUBLE}, "float64", "cpu"),
    "non_blocking": (("cpu", mt.float64, True), {}, "float64", "cpu"),
    "dtype, non_blocking": ((mt.float64, True), {}, "float64", "cpu"),
    "non_blocking=": (("simt",), {"non_blocking": np.bool_(True)}, "float32", "simt"),
    "nothing new": ((None, None), {}, "float32", "cpu"),
}


@pytest.mark.parametrize("name", TO)
def test_to(name):
    arguments, keywords, dtype, device = TO[name]
    x = mt.ones(2, requires_grad=True)
    y = x.to(*arguments, **keywords)
    assert (y.dtype.name, y.device) == (dtype, device) and y.tolist() == [1, 1]
    assert (y is x) == (dtype == "float32" and device == "cpu")
    copied = x.to(*arguments, **keywords, copy=True)
    assert copied is not x and not copied.array.shares_storage(x.array) and copied.tolist() == [1, 1]
    if y.is_floating_point():
        (copied * copied).sum().backward()
        assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "words"),
    [
        ((), {}, TypeError, "wanted a dtype"),
        (("gpu",), {}, ValueError, "'gpu' is not one of 'cpu', 'cuda', 'simt'"),
        (("cuda:0",), {}, ValueError, "'cuda:0'"),
        ((), {"device": 0}, TypeError, "got 0"),
        ((), {"device": torch.device("cpu")}, TypeError, "device must be one of"),
        ((torch.float64,), {}, TypeError, "torch.float64"),
        ((), {"dtype": "float16"}, TypeError, "float16"),
        ((), {"dtype": mt.ones(2)}, TypeError, "Tensor"),
        ((mt.float64,), {"dtype": mt.float32}, TypeError, "given twice"),
        ((DOUBLE,), {"dtype": mt.float32}, TypeError, "neither can be given beside"),
        (("cpu", mt.float64, True, True), {}, TypeError, "at most"),
        (("cpu",), {"memory": 3}, TypeError, "no argument 'memory'"),
        (("cpu",), {"non_blocking": "yes"}, TypeError, "True or False"),
        ((), {"other": 3}, TypeError, "other must be a Tensor"),
    ],
)
def test_to_with_wrong_arguments(arguments, keywords, error, words):
    with pytest.raises(error, match=words):
        mt.ones(2).to(*arguments, **keywords)


def test_functions_of_the_backend_say_what_came():
    for function, bad in ((mt.memory_stats, 3), (mt.set_num_threads, "two"), (mt.set_memory_mode, None)):
        with pytest.raises(
            TypeError, match=rf"these arguments do not fit: \({type(bad).__name__}.*wanted {function.__name__}"
        ):
            function(bad)
    assert mt.memory_stats(device="cpu") == mt.memory_stats()


# ---------------------------------------------------------------------------------------------------------------------
# .grad, and gradcheck of single numbers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gradient", "error", "words"),
    [
        (np.ones((2, 3), np.float32), TypeError, "wanted a Tensor or None, got numpy.ndarray"),
        (torch.ones(2, 3), TypeError, "got torch.Tensor"),
        (1.0, TypeError, "got 1.0"),
        (mt.ones(2, 3).array, TypeError, "NDArray"),
        (mt.ones(3, 2), ValueError, r"\(2, 3\), got \(3, 2\)"),
        (mt.ones(2, 3, dtype=mt.float64), TypeError, "float32, got float64"),
        (mt.ones(2, 3, device="simt"), ValueError, "cpu, got simt"),
    ],
    ids=str,
)
def test_a_gradient_that_does_not_fit_is_refused_when_it_is_set(gradient, error, words):
    x = mt.ones(2, 3, requires_grad=True)
    with pytest.raises(error, match=words):
        x.grad = gradient
    assert x.grad is None
    x.grad = mt.ones(2, 3)
    mt.optim.SGD([x], lr=1.0).step()
    assert x.tolist() == [[0, 0, 0], [0, 0, 0]]
    x.grad = None
    assert x.grad is None


def test_gradcheck_of_single_numbers_and_of_nothing():
    def number(value):
        return mt.tensor(value, dtype=mt.float64, requires_grad=True)

    row = mt.tensor([1.0, 2.0], dtype=mt.float64, requires_grad=True)
    assert mt.gradcheck(lambda a: a * a, number(2.0))
    assert mt.gradcheck(lambda a, b: a * b, [number(2.0), row])
    assert mt.gradcheck(lambda a: (a * a).sum(), (row,))
    assert mt.gradcheck(lambda a: (a.reshape(1), a * 2), number(2.0))
    assert mt.gradcheck(lambda a: a * 2, mt.zeros(0, 3, dtype=mt.float64, requires_grad=True))
    with pytest.raises(AssertionError, match=r"at \(\) by input 0 at \(\)"):
        mt.gradcheck(lambda a: a * a.detach(), number(2.0))
    for function, inputs in ((None, row), (3, row), (lambda a: a, None), (lambda a: a, np.ones(2))):
        with pytest.raises(TypeError, match="gradcheck: wanted"):
            mt.gradcheck(function, inputs)
