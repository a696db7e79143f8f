"""Errors of layers, initialisers and SGD: odd arguments are refused in a sentence, and never in silence where torch
refuses them."""

import inspect
import math
import warnings

import numpy as np
import pytest
import torch

import mytensor as mt
from mytensor import nn

ODD = [
    None,
    True,
    -1,
    0,
    2.5,
    math.nan,
    math.inf,
    -0.5,
    2**70,
    1j,
    "3",
    "",
    b"x",
    (),
    (3,),
    (1, 2, 3),
    (-1, 2),
    (0, 0),
    (2.0, 2),
    ("a", 1),
    [2, 2],
    {},
    np.int64(3),
    np.float32(2),
    np.array([3]),
    np.ones(2),
    mt.tensor(2),
    mt.ones(2, 2),
    torch.ones(2, 2),
    nn.ReLU(),
    len,
    int,
    object(),
]
# What Python, numpy or pybind11 say when nobody has looked at an argument.
UNLOOKED_AT = [
    "incompatible function",
    "these arguments do not fit",
    "object has no attribute",
    "is not iterable",
    "not supported between",
    "unsupported operand",
    "not subscriptable",
    "unhashable",
    "is not a mapping",
    "division by zero",
    "recursion",
]
SENTENCES = (TypeError, ValueError, NotImplementedError, RuntimeError, IndexError)
LAYERS = {
    name: kind
    for name, kind in vars(nn).items()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind is not nn.Module
}
INITIALISERS = [
    name
    for name, f in vars(nn.init).items()
    if inspect.isfunction(f) and f.__module__ == nn.init.__name__ and not name.startswith("_")
]
GOOD = {"in_channels": 3, "out_channels": 4, "kernel_size": 3, "ksize": 3, "in_features": 5, "out_features": 2}
INPUTS = {"Conv2d": (2, 3, 6, 5), "Conv2D": (2, 3, 6, 5), "MaxPool2d": (2, 3, 6, 5), "AvgPool2d": (2, 3, 6, 5)}
# Windows and strides of one length, () and tensors: the functions of mytensor.nn.functional say what they take.
GEOMETRY = ("kernel_size", "stride", "padding", "dilation")


def for_torch(value):
    if isinstance(value, mt.Tensor):
        return torch.tensor(value.numpy())
    return torch.nn.ReLU() if isinstance(value, nn.Module) else value


def outcome(call):
    """None if it works, else the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except Exception as error:  # whatever it is: that is what is judged
            return error
    return None


def judge(what, call, theirs=None):
    """A sentence or a result; and no result where torch has none."""
    error = outcome(call)
    if error is None:
        refused = outcome(theirs) if theirs else None
        return [f"{what}: taken in silence; torch: {type(refused).__name__} {refused}"] if refused is not None else []
    unclear = not isinstance(error, SENTENCES) or any(words in str(error) for words in UNLOOKED_AT) or not str(error)
    return [f"{what}: {type(error).__name__} {error}"] if unclear else []


def use(name, layer, lib):
    if name.endswith("Loss"):
        return layer(lib.ones(4, 2), lib.tensor([0, 1, 1, 0]))
    return layer(lib.ones(*INPUTS.get(name, (4, 5))))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    """Every argument of every layer, with every odd value: at construction or at the first call."""
    kind, theirs = LAYERS[name], getattr(torch.nn, name, None)
    unclear, tried = [], 0
    for argument, parameter in inspect.signature(kind).parameters.items():
        for value in ODD:
            if name == "Sequential":
                arguments, options = [value], {}
            else:
                known = inspect.signature(kind).parameters
                arguments, options = [], {key: good for key, good in GOOD.items() if key in known} | {argument: value}
            what = f"{name}({argument}={value!r})"
            theirs_options = {key: for_torch(option) for key, option in options.items()}
            problems = judge(
                what,
                lambda a=arguments, o=options: use(name, kind(*a, **o), mt),
                theirs and (lambda a=arguments, o=theirs_options: use(name, theirs(*map(for_torch, a), **o), torch)),
            )
            if argument in GEOMETRY and isinstance(value, tuple) and len(value) < 2:
                continue
            if isinstance(value, dict) and parameter.kind is parameter.VAR_POSITIONAL:
                continue  # our Sequential takes a dict where torch wants an OrderedDict
            unclear += problems
            tried += 1
    assert not unclear, "\n".join(unclear)
    assert tried >= 30


@pytest.mark.parametrize("name", INITIALISERS)
def test_initialisers(name):
    ours, theirs = getattr(nn.init, name), getattr(torch.nn.init, name.replace("calculate_fan", "_calculate_fan"))
    good = {"tensor": mt.ones(3, 2), "val": 1.0, "nonlinearity": "leaky_relu"}
    known = inspect.signature(ours).parameters
    unclear = []
    for argument in known:
        for value in [*ODD, mt.ones(0, 3), mt.ones(3, 0), mt.ones(0, 0), mt.tensor([[1, 2], [3, 4]])]:
            value = value.clone() if isinstance(value, mt.Tensor) else value  # it is filled
            options = {key: option for key, option in good.items() if key in known} | {argument: value}
            takes = argument in ("a", "param") and not isinstance(value, (str, bytes, bool))  # torch: no numpy numbers
            if isinstance(value, int) and abs(value) >= 2**63 and argument != "tensor":
                continue  # a float here, an int64 in torch
            if isinstance(value, mt.Tensor) and value.shape == (0, 0):
                continue  # torch divides by zero
            unclear += judge(
                f"{name}({argument}={value!r})",
                lambda o=options: ours(**o),
                None if takes else lambda o=options: theirs(**{key: for_torch(option) for key, option in o.items()}),
            )
    assert not unclear, "\n".join(unclear)


def test_empty_weights_are_nothing_to_draw():
    for name in INITIALISERS:
        if name.endswith("_") and name != "constant_":
            for shape in ((0, 3), (3, 0), (0, 0), (2, 0, 3, 3)):
                assert getattr(nn.init, name)(mt.ones(shape)).shape == shape


def steps(sgd, lib):
    for group in sgd.param_groups:
        for parameter in group["params"]:
            parameter.grad = lib.ones(*parameter.shape)
    sgd.step()
    sgd.step()


def parameters(lib):
    return [lib.nn.Parameter(lib.ones(2)), lib.nn.Parameter(lib.ones(3))]


SETTINGS = [name for name in inspect.signature(mt.optim.SGD).parameters if name != "params"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_settings_of_sgd(setting):
    """Given at first, for a group, or set by hand between two steps."""
    unclear = []
    for value in ODD:
        if isinstance(value, int) and (isinstance(value, bool) or abs(value) >= 2**63):
            continue  # numbers here, while torch takes True for lr only, and only int64
        for momentum in (0.0, 0.9):
            options = {"lr": 0.1, "momentum": momentum, "nesterov": False}

            def first(lib, value, options=options):
                return steps(lib.optim.SGD(parameters(lib), **(options | {setting: value})), lib)

            def group(lib, value, options=options):
                return steps(lib.optim.SGD([{"params": parameters(lib), setting: value}], **options), lib)

            def by_hand(lib, value, options=options):
                sgd = lib.optim.SGD(parameters(lib), **options)
                sgd.param_groups[0][setting] = value
                return steps(sgd, lib)

            for way in (first, group, by_hand):
                unclear += judge(
                    f"{way.__name__} {setting}={value!r}",
                    lambda way=way, value=value: way(mt, value),
                    # torch does not look at a setting that is changed by hand, and fails or not by what it is used for
                    None if way is by_hand else lambda way=way, value=value: way(torch, for_torch(value)),
                )
    assert not unclear, "\n".join(unclear)


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), mt.tensor(0.5), torch.tensor(0.5), np.array(0.5)])
@pytest.mark.parametrize("setting", ["lr", "momentum", "dampening", "weight_decay"])
def test_numbers_of_other_libraries(setting, value):
    """The same steps as with a number of Python, given at first or set by hand."""
    ends = []
    for how in ("python", "given", "by hand"):
        weight = mt.Parameter(mt.tensor([1.0, -2.0]))
        number = 0.5 if how == "python" else value
        given = {setting: number} if how != "by hand" else {}
        sgd = mt.optim.SGD([weight], **({"lr": 0.1, "momentum": 0.9} | given))
        if how == "by hand":
            sgd.param_groups[0][setting] = number
        steps(sgd, mt)
        assert isinstance(sgd.param_groups[0][setting], float)
        ends.append(weight.tolist())
    assert ends[0] == ends[1] == ends[2]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value).partition(" at 0x")[0])
def test_parameters_of_sgd(value):
    unclear = []
    for params in (value, [value], [{"params": value}], [{"params": [value]}], [{"params": parameters(mt)}, value]):
        is_empty_group = isinstance(value, (tuple, dict)) and not value  # torch takes {"params": ()}
        is_parameter = isinstance(value, mt.Tensor) and value.is_floating_point()
        if not (is_empty_group or is_parameter):
            assert outcome(lambda params=params: mt.optim.SGD(params, lr=0.1)) is not None, params
        unclear += judge(f"SGD({params!r})", lambda params=params: mt.optim.SGD(params, lr=0.1))
    assert not unclear, "\n".join(unclear)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (nn.Linear(2, 2), r"hand over its \.parameters\(\)"),
        (nn.Sequential(nn.Linear(2, 2)), r"hand over its \.parameters\(\)"),
        ({"params": [mt.Parameter(mt.ones(1))]}, r"groups go into a list: \[{"),
        (mt.Parameter(mt.ones(1)), r"write \[tensor\]"),
        (nn.Linear(2, 2).named_parameters(), r"\.parameters\(\) gives them without names"),
        ([{"lr": 0.1}], r'wanted a group {"params".*got a dict of \[\'lr\'\]'),
        ([{"params": set()}], '"params" must be a list'),
        (nn.ReLU().parameters(), "got no parameters"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_meant_by_it(params, words):
    with pytest.raises((TypeError, ValueError), match=words):
        mt.optim.SGD(params)


def test_a_gradient_that_is_no_tensor():
    for gradient in (np.ones((1, 2), np.float32), torch.ones(1, 2), 1.0, [[1.0, 1.0]], mt.ones(1, 2).array, mt.ones(2)):
        layer = nn.Linear(2, 1)
        with pytest.raises((TypeError, ValueError), match="grad: wanted"):
            layer.weight.grad = gradient
        mt.optim.SGD(layer.parameters(), lr=0.1).step()  # there is nothing to do


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_parameters_of_two_dtypes_in_one_group(options):
    ends = []
    for lib in (mt, torch):
        weights = [lib.nn.Parameter(lib.ones(2, dtype=dtype)) for dtype in (lib.float32, lib.float64, lib.float32)]
        sgd = lib.optim.SGD(weights, lr=0.1, weight_decay=0.01, **options)
        for _ in range(3):
            for number, weight in enumerate(weights):
                weight.grad = lib.ones(2, dtype=weight.dtype) * (number + 1)
            sgd.step()
        ends.append([weight.detach().numpy() for weight in weights])
    for mine, other in zip(*ends, strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_allclose(mine, other, rtol=24 * np.finfo(mine.dtype).eps)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "Sequential"])
def test_what_is_no_tensor_is_no_input(name):
    """And a layer that is called where it should be made says so."""
    kind = LAYERS[name]
    layer = kind(**{key: good for key, good in GOOD.items() if key in inspect.signature(kind).parameters})
    targets = (mt.tensor([0, 1]),) if name.endswith("Loss") else ()
    for value in (None, 3, np.ones((2, 3, 6, 5), np.float32), torch.ones(2, 3, 6, 5), [[1.0]], "x", nn.ReLU()):
        problems = judge(f"{name}()({value!r})", lambda value=value: layer(value, *targets))
        assert not problems, problems
        with pytest.raises(TypeError):
            layer(value, *targets)
    with pytest.raises(TypeError, match=rf"{name}.forward\(\) missing .* required positional argument"):
        layer()


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("Sequential", "Conv2D", "Conv2d", "Linear")])
def test_a_layer_that_is_not_made_first(name):
    x = mt.ones(2, 3, 6, 5)
    with pytest.raises((TypeError, ValueError), match=rf"{name}: .*(layer|loss) first, then call it"):
        LAYERS[name](x)


@pytest.mark.parametrize(
    ("layer", "shape", "numbers"),
    [
        (nn.Linear(5, 2), (3, 4), ("5", "4")),
        (nn.Linear(5, 2), (4,), ("5", "4")),
        (nn.Linear(5, 2), (2, 3, 4), ("5", "4")),
        (nn.Conv2d(3, 4, 3), (2, 7, 6, 6), ("3", "7")),
        (nn.Conv2d(6, 4, 3, groups=2), (2, 7, 6, 6), ("6", "7")),
        (nn.Conv2D(3, 4, 3), (2, 7, 6, 6), ("3", "7")),
    ],
    ids=repr,
)
def test_wrong_sizes_name_both_numbers(layer, shape, numbers):
    with pytest.raises(ValueError) as raised:
        layer(mt.ones(shape))
    for number in numbers:
        assert number in str(raised.value)


class TestSequential:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))

    @pytest.mark.parametrize(
        ("part", "words"),
        [
            (nn.ReLU, r"got .*; write ReLU\(\)"),
            ([nn.ReLU()], r"got .*; write Sequential\(\*modules\)"),
            (nn.Sequential(nn.ReLU()).children(), r"got generator; write Sequential\(\*modules\)"),
            (None, "got None"),
            (3, "got 3"),
            (torch.nn.ReLU(), "got ReLU"),
            (lambda x: x, "got function"),
        ],
    )
    def test_what_is_no_module(self, part, words):
        for call in (lambda: nn.Sequential(part), lambda: nn.Sequential({"0": part})):
            with pytest.raises(TypeError, match=f"Sequential: part 0 must be a Module, {words}"):
                call()

    @pytest.mark.parametrize("index", [0, 1, 2, -1, -3, np.int64(1), np.uint8(2), mt.tensor(1)], ids=repr)
    def test_index(self, index):
        assert self.model[index] is list(self.model)[int(index)]

    @pytest.mark.parametrize("index", [3, -4, 100, 2**40, -(2**40)])
    def test_out_of_range(self, index):
        with pytest.raises(IndexError, match=rf"index {index} is out of range for 3 module\(s\)"):
            self.model[index]

    @pytest.mark.parametrize("index", ["0", None, 1.0, (0, 1), True, mt.ones(2), nn.ReLU()], ids=repr)
    def test_no_index(self, index):
        with pytest.raises(TypeError, match="an index must be an int"):
            self.model[index]

    def test_slices(self):
        """Names are kept, as in torch."""
        theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 4))
        for start in (None, 0, 1, 2, 5, -1, -2, -5):
            for stop in (None, 0, 1, 3, 9, -1, -3):
                for step in (None, 1, 2):
                    part = slice(start, stop, step)
                    mine, other = self.model[part], theirs[part]
                    assert [name for name, _ in mine.named_children()] == [name for name, _ in other.named_children()]
                    assert all(layer is self.model[int(name)] for name, layer in mine.named_children())
