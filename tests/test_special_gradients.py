"""Gradients at NaN, infinity, zeros and ties: each differentiable op beside torch, on each device."""

import itertools
import zlib

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from devices import DEVICES

import mytensor as mt
import mytensor.nn.functional as F
from mytensor import ops
from mytensor.autograd import Function
from mytensor.inspect.recorded_graph import graph

NAN, INF = np.nan, np.inf
NUMBERS = np.array([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 3.0])
FIRST, SECOND = np.array(list(itertools.product(NUMBERS, NUMBERS))).T.copy()  # every number beside every number
ROWS = np.array(list(itertools.product([NAN, INF, -INF, 0.0, 1.0, 2.0], repeat=3)))  # ties included
FEW_ROWS = ROWS[::7]
IMAGES = np.random.default_rng(3).choice([NAN, -INF, 0.0, 1.0, 2.0], size=(2, 3, 5, 7), p=[0.1, 0.2, 0.2, 0.25, 0.25])
FACTORS = np.random.default_rng(4).choice([NAN, INF, 0.0, 1.0, 2.0], size=(3, 4, 5), p=[0.04, 0.04, 0.3, 0.3, 0.32])
KERNELS = np.random.default_rng(5).choice([0.0, 1.0, -2.0], size=(4, 3, 2, 3))
LABELS = np.arange(len(ROWS)) % 3
CHOSEN = np.array([1, 1, 5, 0])


class Library:
    """What a case needs of one of the two libraries: its functions, and constants on the device at hand."""

    def __init__(self, module, functional, device: str):
        self.module, self.F, self.device = module, functional, device

    def constant(self, values):
        made = self.module.tensor(values)
        return made.to(self.device) if self.module is mt else made

    def mask(self, values):
        return self.constant(values.astype(np.uint8)) if self.module is mt else torch.tensor(values)

    def __getattr__(self, name):
        return getattr(self.module, name)


# name -> (inputs, function of a library and the inputs' tensors)
CASES = {
    "add": ((FIRST, SECOND), lambda t, a, b: a + b),
    "sub": ((FIRST, SECOND), lambda t, a, b: a - b),
    "mul": ((FIRST, SECOND), lambda t, a, b: a * b),
    "div": ((FIRST, SECOND), lambda t, a, b: a / b),
    "div trunc": ((FIRST, SECOND), lambda t, a, b: a.div(b, rounding_mode="trunc")),
    "div floor": ((FIRST, SECOND), lambda t, a, b: a.div(b, rounding_mode="floor")),
    "pow": ((FIRST, SECOND), lambda t, a, b: a**b),
    "maximum": ((FIRST, SECOND), lambda t, a, b: t.maximum(a, b)),
    "minimum": ((FIRST, SECOND), lambda t, a, b: t.minimum(a, b)),
    "maximum repeats": ((NUMBERS[:, None], NUMBERS), lambda t, a, b: t.maximum(a, b)),
    "minimum repeats": ((NUMBERS[:, None], NUMBERS), lambda t, a, b: t.minimum(a, b)),
    "where": ((FIRST, SECOND), lambda t, a, b: t.where(t.mask(np.arange(FIRST.size) % 3 == 1), a, b)),
    "neg": ((NUMBERS,), lambda t, x: -x),
    "abs": ((NUMBERS,), lambda t, x: x.abs()),
    "exp": ((NUMBERS,), lambda t, x: x.exp()),
    "log": ((NUMBERS,), lambda t, x: x.log()),
    "sqrt": ((NUMBERS,), lambda t, x: x.sqrt()),
    "tanh": ((NUMBERS,), lambda t, x: x.tanh()),
    "sigmoid": ((NUMBERS,), lambda t, x: x.sigmoid()),
    "relu": ((np.tile(NUMBERS[::-1], 7),), lambda t, x: x.relu()),  # whole registers, and what is left: NaN
    "softmax": ((ROWS,), lambda t, x: x.softmax(1)),
    "log_softmax": ((ROWS,), lambda t, x: x.log_softmax(1)),
    "logsumexp": ((ROWS,), lambda t, x: x.logsumexp(1)),
    "sum": ((ROWS,), lambda t, x: x.sum(1)),
    "mean": ((ROWS,), lambda t, x: x.mean(1)),
    "var": ((ROWS,), lambda t, x: x.var(1)),
    "amax": ((ROWS,), lambda t, x: x.amax(1)),
    "amin": ((ROWS,), lambda t, x: x.amin(1)),
    "max along": ((ROWS,), lambda t, x: x.max(1)[0]),
    "min along": ((ROWS,), lambda t, x: x.min(1)[0]),
    "max along 0": ((FEW_ROWS,), lambda t, x: x.max(0)[0]),
    "min along 0": ((FEW_ROWS,), lambda t, x: x.min(0)[0]),
    "cross_entropy": ((ROWS,), lambda t, x: t.F.cross_entropy(x, t.constant(LABELS), reduction="none")),
    "cross_entropy mean": ((FEW_ROWS,), lambda t, x: t.F.cross_entropy(x, t.constant(LABELS[::7]))),
    "smoothed": ((ROWS,), lambda t, x: t.F.cross_entropy(x, t.constant(LABELS), reduction="none", label_smoothing=0.1)),
    "nll_loss": ((ROWS,), lambda t, x: t.F.nll_loss(x, t.constant(LABELS), reduction="none")),
    "max_pool2d": ((IMAGES,), lambda t, x: t.F.max_pool2d(x, 2)),
    "max_pool2d overlap": ((IMAGES,), lambda t, x: t.F.max_pool2d(x, (3, 2), 1, 1)),
    "avg_pool2d": ((IMAGES,), lambda t, x: t.F.avg_pool2d(x, (3, 2), 1, 1)),
    "conv2d": ((IMAGES, KERNELS), lambda t, x, w: t.F.conv2d(x, w)),
    "unfold": ((IMAGES,), lambda t, x: t.F.unfold(x, (2, 3))),
    "fold": ((IMAGES.reshape(2, 15, 7),), lambda t, x: t.F.fold(x, (3, 7), (5, 1), padding=(1, 0))),
    "matmul": ((FACTORS[0], FACTORS[1].T.copy()), lambda t, a, b: a @ b),
    "linear": ((FACTORS[0], FACTORS[1], FACTORS[2, :, 0].copy()), lambda t, x, w, b: t.F.linear(x, w, b)),
    "reshape": ((ROWS,), lambda t, x: x.reshape(-1)),
    "permute": ((ROWS,), lambda t, x: x.permute(1, 0)),
    "narrow": ((ROWS,), lambda t, x: x.narrow(0, 5, 9)),
    "cat": ((NUMBERS, FIRST), lambda t, a, b: t.cat([a, b])),
    "broadcast_to": ((NUMBERS,), lambda t, x: x.broadcast_to((3, NUMBERS.size))),
    "rows": ((ROWS,), lambda t, x: x.index_select(0, t.constant(CHOSEN))),
    "clone": ((NUMBERS,), lambda t, x: x.clone()),
    "cast": ((NUMBERS,), lambda t, x: (x.double() * 3).float()),
    "to": ((NUMBERS,), lambda t, x: x.to("cpu") * 3),
    "copy_": ((NUMBERS, NUMBERS[::-1].copy()), lambda t, a, b: (a * 1).copy_(b)),
    "fill_": ((NUMBERS,), lambda t, x: (x * 1).fill_(2.0)),
}
for number in (0.0, 1.0, -1.0, 2.0, 3.0, -2.5, INF, -INF, NAN):  # not 0.5: torch takes the square root, which differs
    CASES[f"pow to {number}"] = ((NUMBERS,), lambda t, x, number=number: x**number)
    CASES[f"pow of {number}"] = ((NUMBERS,), lambda t, x, number=number: number**x)
for row in ([NAN, 1.0, NAN], [1.0, 1.0, 0.0], [INF, INF, 1.0], [-INF, NAN, INF], [NAN, NAN, NAN], [-INF, -INF, 2.0]):
    for name in ("max", "min", "amax", "amin", "mean", "sum"):
        CASES[f"{name} of {row}"] = ((np.array(row),), lambda t, x, name=name: getattr(x, name)())


def results(name: str, library: Library, dtype, upstream: str):
    """The output, the gradient of each input, and (ours) the names of the ops that were recorded."""
    inputs, function = CASES[name]
    leaves = [library.constant(array.astype(dtype)).requires_grad_() for array in inputs]
    output = function(library, *leaves)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    drawn = rng.normal(size=tuple(output.shape))
    if upstream == "special":
        drawn = rng.choice([NAN, INF, -INF, 0.0, 1.0, -2.0], size=tuple(output.shape))
    constant = library.constant(np.asarray(drawn, dtype))
    recorded = {node.name for node in graph(output).nodes} if library.module is mt else set()
    output.backward(constant.to(output.dtype).to(output.device))
    arrays = [output.detach(), *(leaf.grad for leaf in leaves)]
    return [array.cpu().numpy() for array in arrays], recorded


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """NaN and infinities in the same places; numbers within the rounding of 64 operations on them."""
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    finite = np.isfinite(theirs)
    np.testing.assert_array_equal(ours[~finite], theirs[~finite])
    bound = 64 * np.finfo(theirs.dtype).eps * (1 + np.abs(theirs[finite]))
    assert (np.abs(ours[finite] - theirs[finite]) <= bound).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_are_torchs(name, device):
    for dtype, upstream in ((np.float32, "drawn"), (np.float64, "special")):
        ours, _ = results(name, Library(mt, F, device), dtype, upstream)
        theirs, _ = results(name, Library(torch, torch.nn.functional, "cpu"), dtype, upstream)
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            try:
                assert_close(mine, other)
            except AssertionError as error:
                which = f"the gradient of input {index - 1}" if index else "the output"
                raise AssertionError(f"{name}: {which}, {dtype.__name__}, upstream {upstream}: {error}") from error


def every_function(base=Function):
    """The differentiable ops: all Functions of mytensor.ops that say what they compute."""
    for function in base.__subclasses__():
        if function.__module__.startswith("mytensor.ops.") and "forward" in vars(function):
            yield function.__name__
        yield from every_function(function)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_op_has_a_case():
    recorded = set()
    for name in CASES:
        recorded |= results(name, Library(mt, F, "cpu"), np.float32, "drawn")[1]
    x = mt.ones(2, requires_grad=True)
    recorded |= {node.name for node in graph(ops.to_device(x, "cpu")).nodes}  # `to` needs a second device
    assert not set(every_function()) - recorded, "ops without a case above"


WEIGHTS = {
    "absent": ([1.0, 2.0, INF], [0, 1, 1]),
    "absent NaN": ([1.0, 2.0, NAN], [0, 1, 0]),
    "present": ([INF, 2.0, 1.0], [0, 1, 2]),
    "all present": ([INF, INF, INF], [0, 1, 2]),
    "ignored item": ([1.0, 2.0, INF], [0, -100, 1]),
    "only ignored": ([1.0, INF, 1.0], [-100, -100, -100]),
    "negative": ([1.0, 2.0, -INF], [0, 0, 1]),
}
LOSSES = [("nll_loss", 0.0), ("cross_entropy", 0.0), ("cross_entropy", 0.1), ("cross_entropy", 1.0)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("loss, smoothing", LOSSES)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_infinite_class_weights(weights, loss, smoothing, device, rng):
    """Every kernel of the losses: what an infinite weight does is torch's, and an absent class does nothing."""
    weight, labels = WEIGHTS[weights]
    options = {"label_smoothing": smoothing} if loss == "cross_entropy" else {}
    forwards, backwards = backend.kernels(loss, device), backend.kernels(f"{loss}_backward", device)
    kernels = [(forwards[i % len(forwards)], backwards[i % len(backwards)]) for i in range(6)]  # each of them
    for number, reduction in itertools.product(range(max(len(forwards), len(backwards))), ("none", "mean", "sum")):
        (forward, backward), dtype = kernels[number], (np.float32, np.float64)[number % 2]
        values, upstream = -np.abs(rng.normal(size=(3, 3))).astype(dtype), rng.normal(size=3).astype(dtype)

        def run(library, values=values, upstream=upstream, reduction=reduction, dtype=dtype):
            x = library.constant(values).requires_grad_()
            w = library.constant(np.array(weight, dtype))
            output = getattr(library.F, loss)(x, library.constant(labels), weight=w, reduction=reduction, **options)
            output.backward(library.constant(upstream if reduction == "none" else upstream[0]))
            return [array.cpu().numpy() for array in (output.detach(), x.grad)]

        with mt.use_kernel(loss, forward["name"]), mt.use_kernel(f"{loss}_backward", backward["name"]):
            ours = run(Library(mt, F, device))
        for mine, other in zip(ours, run(Library(torch, torch.nn.functional, "cpu")), strict=True):
            assert_close(mine, other)


@pytest.mark.parametrize("device", DEVICES)
def test_the_loss_of_a_class_that_weighs_infinity_and_is_absent_learns(device):
    """The weights 1 / count of a batch that lacks a class."""
    counts = np.array([3, 1, 0, 2])
    with np.errstate(divide="ignore"):
        weight = mt.tensor((1 / counts).astype(np.float32)).to(device)
    x = mt.tensor(np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 3, 3]]).to(device).requires_grad_()
    F.cross_entropy(x, mt.tensor([0, 0, 0, 1, 3, 3]).to(device), weight=weight).backward()
    assert np.isfinite(x.grad.cpu().numpy()).all() and np.abs(x.grad.cpu().numpy()).max() > 0
