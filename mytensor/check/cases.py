"""The cases that each op is checked on: drawn arguments, a float64 reference, and how large an error may be.

Sizes differ from each other, some are odd, none is a multiple of a tile, so that a kernel that mixes two dimensions up, or forgets the rest
behind its last whole tile, computes something else. Every function below that is marked @family("name") says how the checked
function is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mytensor.check import mutants, references
from mytensor.check.mutants import Mutant

Arrays = dict[str, np.ndarray]


def _call_plainly(function: Callable, tensors: list, options: dict) -> Any:
    return function(*tensors, **options)


@dataclass
class Case:
    """One example of an op.

    arguments: name -> array, in the order of the call. The floating ones are differentiated, unless trainable names fewer.
    reference: called as the checked function is, with float64 torch tensors.
    options: keyword arguments behind them; arrays among them become tensors.
    length: K, for all results or by name ("output", "input gradient", ...); 0 means exact. A result not named has 1.
    magnitude: where (|a| op |b|) comes from. "absolute": the reference and its backward on absolute values. "pointwise": |want| for the output, the
        backward of absolute upstream for gradients (each element depends on one input, or is a copy of it). Else a function (arguments,
        upstream, wanted) -> {result name: magnitude}, all float64.
    call: how the function is called, where it does not take the tensors one by one.
    """

    arguments: Arrays
    reference: Callable
    options: dict = field(default_factory=dict)
    length: int | dict = 1
    magnitude: str | Callable = "absolute"
    trainable: list[str] | None = None
    output_names: tuple[str, ...] = ("output",)
    call: Callable = _call_plainly
    dtype: Any = None

    def __post_init__(self) -> None:
        floating = [key for key, values in self.arguments.items() if values.dtype.kind == "f"]
        if self.trainable is None:
            self.trainable = floating
        if self.dtype is None:
            self.dtype = self.arguments[floating[0]].dtype

    def length_of(self, result: str) -> int:
        """K of one result."""
        return self.length if isinstance(self.length, int) else self.length.get(result, 1)

    def reference_outputs(self) -> Arrays:
        """The outputs in float64, without gradients."""
        return self._evaluate(self.arguments, None)

    def wanted(self, upstream: np.ndarray | None) -> tuple[Arrays, Arrays]:
        """Outputs and gradients in float64, and for the floating ones their magnitudes."""
        wanted = self._evaluate(self.arguments, upstream)
        size = None if upstream is None else np.abs(upstream)
        if callable(self.magnitude):
            magnitudes = self.magnitude(self.arguments, upstream, wanted)
        elif self.magnitude == "absolute":
            absolute = {
                key: np.abs(values) if values.dtype.kind == "f" else values for key, values in self.arguments.items()
            }
            magnitudes = self._evaluate(absolute, size)
        else:
            magnitudes = wanted if upstream is None else self._evaluate(self.arguments, size)
        return wanted, {key: np.abs(magnitudes[key]) for key, values in wanted.items() if values.dtype.kind == "f"}

    def _evaluate(self, arguments: Arrays, upstream: np.ndarray | None) -> Arrays:
        # On the CPU in float64, so TF32, which torch may use for float32 on a GPU, plays no part.
        import torch

        def tensor(values):
            return torch.tensor(values.astype(np.float64) if values.dtype.kind == "f" else values)

        tensors = {key: tensor(values) for key, values in arguments.items()}
        options = {
            key: tensor(value) if isinstance(value, np.ndarray) else value for key, value in self.options.items()
        }
        if upstream is not None:
            for key in self.trainable:
                tensors[key].requires_grad_()
        output = self.call(self.reference, list(tensors.values()), options)
        outputs = output if isinstance(output, tuple) else (output,)
        results = {key: _values_of(value) for key, value in zip(self.output_names, outputs, strict=True)}
        if upstream is not None:
            outputs[0].backward(torch.tensor(upstream.astype(np.float64)))
            for key in self.trainable:
                results[f"{key} gradient"] = tensors[key].grad.numpy()
        return results


def _values_of(output) -> np.ndarray:
    values = output if isinstance(output, np.ndarray) else output.detach().numpy()
    return values.view(np.uint8) if values.dtype == np.bool_ else values


class Draw:
    """Random arrays of one dtype."""

    def __init__(self, rng: np.random.Generator, dtype) -> None:
        self.rng = rng
        self.dtype = np.dtype(dtype)

    def normal(self, *shape: int) -> np.ndarray:
        """Standard normal."""
        return self.rng.standard_normal(shape).astype(self.dtype)

    def positive(self, *shape: int) -> np.ndarray:
        """Uniform from 0.25 to 2."""
        return self.rng.uniform(0.25, 2, shape).astype(self.dtype)

    def tied(self, *shape: int) -> np.ndarray:
        """-1, 0 or 1: full of ties."""
        return self.rng.integers(-1, 2, shape).astype(self.dtype)

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """int64, from low to high - 1."""
        return self.rng.integers(low, high, shape)


@dataclass
class Family:
    """All there is to know about checking one op."""

    draw: Callable[[Draw], Iterator[Case]]
    formula: str  # the bound, as the printed line states it
    mutants: tuple[Mutant, ...] = ()


FAMILIES: dict[str, Family] = {}

_SUM = "|error| <= 2·K·eps·(|a| op |b|)"
_EXACT = "exactly"


def family(name: str, formula: str = _SUM, *special_mutants: Mutant) -> Callable:
    """Registers a function that draws cases as the check of the op `name`."""

    def register(draw: Callable) -> Callable:
        FAMILIES[name] = Family(draw, formula, special_mutants)
        return draw

    return register


def _functional():
    import torch

    return torch.nn.functional


# ---------------------------------------------------------------------------------------------------------------------
# Convolution and its columns
# ---------------------------------------------------------------------------------------------------------------------


@family(
    "conv2d",
    _SUM,
    mutants.KERNEL_FLIPPED,
    mutants.INPUT_GRADIENT_KERNEL_NOT_FLIPPED,
    mutants.KERNEL_SIDES_SWAPPED,
    mutants.PADDING_OFF_BY_ONE,
    mutants.INPUT_GRADIENT_NOT_ACCUMULATED,
    mutants.BIAS_FORGOTTEN,
)
def _conv2d(draw: Draw) -> Iterator[Case]:
    """function(input, weight, bias, stride=, padding=, dilation=, groups=), as torch.nn.functional.conv2d."""

    def case(input_shape, weight_shape, with_bias=True, groups=1, **options) -> Case:
        arguments = {"input": draw.normal(*input_shape), "weight": draw.normal(*weight_shape)}
        if with_bias:
            arguments["bias"] = draw.normal(weight_shape[0])
        out_channels, group_channels, height, width = weight_shape
        made = Case(arguments, _functional().conv2d, {**options, "groups": groups})
        shape = made.reference_outputs()["output"].shape
        pixels = max(1, (shape[0] if len(shape) == 4 else 1) * shape[-2] * shape[-1])
        made.length = {
            "output": group_channels * height * width + 1,
            "input gradient": out_channels // groups * height * width,
            "weight gradient": pixels,
            "bias gradient": pixels,
        }
        return made

    yield case((2, 3, 9, 11), (5, 3, 3, 2))
    yield case((3, 2, 7, 10), (7, 2, 2, 5), padding=(1, 2))
    yield case((2, 4, 13, 8), (6, 2, 3, 5), stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2)
    yield case((3, 5, 6, 7), (19, 5, 1, 1), with_bias=False)
    yield case((2, 6, 5, 9), (6, 1, 3, 2), groups=6, stride=(1, 3), padding=1)
    yield case((5, 8, 7), (3, 5, 2, 3), padding=1)  # without a batch dimension
    yield case((2, 3, 1, 1), (4, 3, 3, 5), padding=(3, 4))  # one pixel; the padding is larger than the image
    yield case((0, 3, 6, 5), (4, 3, 3, 2))
    yield case((1, 3, 17, 35), (33, 3, 5, 3), padding=2)
    yield case((2, 3, 8, 7), (4, 3, 2, 3), stride=3)  # the last rows and columns are in no window


_WINDOWS = (
    {"kernel_size": (3, 2)},
    {"kernel_size": (2, 5), "padding": (1, 2), "stride": (2, 1)},
    {"kernel_size": (2, 3), "padding": 1, "stride": (1, 3), "dilation": (3, 2)},
    {"kernel_size": 1},
)


def _fold_counts(height: int, width: int, kernel_size, padding=0, stride=1, dilation=1) -> tuple[int, int, int]:
    """(kernel height * width, windows down, windows across)."""

    def pair(value):
        return value if isinstance(value, tuple) else (value, value)

    kernel, padding, stride, dilation = map(pair, (kernel_size, padding, stride, dilation))
    windows = [
        (side + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i, side in enumerate((height, width))
    ]
    return kernel[0] * kernel[1], windows[0], windows[1]


@family("unfold", "outputs exactly, gradients " + _SUM, mutants.PADDING_OFF_BY_ONE)
def _unfold(draw: Draw) -> Iterator[Case]:
    """function(input, kernel_size=, dilation=, padding=, stride=), as torch.nn.functional.unfold."""
    for shape in ((2, 3, 9, 11), (0, 2, 8, 9), (3, 1, 7, 5)):
        for window in _WINDOWS:
            length = {"output": 0, "input gradient": _fold_counts(*shape[2:], **window)[0]}
            yield Case({"input": draw.normal(*shape)}, _functional().unfold, window, length)


@family("fold", _SUM, mutants.FOLD_OVERWRITES)
def _fold(draw: Draw) -> Iterator[Case]:
    """function(columns, output_size=, kernel_size=, dilation=, padding=, stride=), as torch.nn.functional.fold."""
    for batch, channels, height, width in ((2, 3, 9, 11), (0, 2, 8, 9), (3, 1, 7, 5)):
        for window in _WINDOWS:
            kernel, down, across = _fold_counts(height, width, **window)
            columns = draw.normal(batch, channels * kernel, down * across)
            length = {"output": kernel, "columns gradient": 0}
            yield Case({"columns": columns}, _functional().fold, {"output_size": (height, width), **window}, length)


# ---------------------------------------------------------------------------------------------------------------------
# Products
# ---------------------------------------------------------------------------------------------------------------------


@family("matmul", _SUM, mutants.LAST_TERM_DROPPED)
def _matmul(draw: Draw) -> Iterator[Case]:
    """function(a, b): (m, k) @ (k, n), or a batch of them."""
    import torch

    for batch, m, k, n in (
        ((), 7, 5, 11),
        ((), 1, 67, 3),
        ((), 37, 19, 66),
        ((3,), 5, 9, 4),
        ((0,), 2, 3, 5),
        ((), 4, 1, 9),
        ((), 3, 301, 5),
        ((), 231, 2, 3),
    ):
        length = {"output": k, "a gradient": n, "b gradient": m}
        yield Case({"a": draw.normal(*batch, m, k), "b": draw.normal(*batch, k, n)}, torch.matmul, length=length)


@family("linear", _SUM, mutants.BIAS_FORGOTTEN, mutants.LAST_TERM_DROPPED)
def _linear(draw: Draw) -> Iterator[Case]:
    """function(input, weight, bias), as torch.nn.functional.linear."""
    for rows, inputs, outputs, with_bias in (
        (7, 5, 11, True),
        (3, 301, 10, True),
        (18, 33, 35, False),
        (0, 3, 4, True),
        (1, 9, 1, True),
    ):
        arguments = {"input": draw.normal(rows, inputs), "weight": draw.normal(outputs, inputs)}
        if with_bias:
            arguments["bias"] = draw.normal(outputs)
        length = {
            "output": inputs + 1,
            "input gradient": outputs,
            "weight gradient": max(rows, 1),
            "bias gradient": max(rows, 1),
        }
        yield Case(arguments, _functional().linear, length=length)


# ---------------------------------------------------------------------------------------------------------------------
# Pooling
# ---------------------------------------------------------------------------------------------------------------------

_POOLS = (
    {"kernel_size": 2},
    {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0)},
    {"kernel_size": (2, 3), "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": (3, 5), "stride": (2, 1), "padding": (0, 2)},
)


@family("max_pool2d", "outputs exactly, gradients " + _SUM, mutants.LAST_OF_TIES, mutants.PADDED_WITH_ZERO)
def _max_pool2d(draw: Draw) -> Iterator[Case]:
    """function(input, kernel_size=, stride=, padding=, dilation=, ceil_mode=), as torch.nn.functional.max_pool2d."""
    for shape in ((2, 3, 9, 11), (3, 2, 8, 7), (0, 2, 6, 5)):
        for values in (draw.normal(*shape), draw.tied(*shape)):
            for pool in (*_POOLS, {"kernel_size": (2, 3), "dilation": (3, 2), "stride": 1}):
                yield Case(
                    {"input": values}, _functional().max_pool2d, pool, {"output": 0, "input gradient": 15}, "pointwise"
                )
    # Below zero everywhere: padding by zeros instead of minus infinity shows.
    negative = {"kernel_size": 3, "stride": 2, "padding": 1}
    yield Case(
        {"input": -draw.positive(2, 3, 7, 6)},
        _functional().max_pool2d,
        negative,
        {"output": 0, "input gradient": 9},
        "pointwise",
    )
    yield Case({"input": draw.normal(2, 3, 1, 1)}, _functional().max_pool2d, negative, {"output": 0}, "pointwise")


@family("avg_pool2d", _SUM, mutants.PADDING_COUNT_SWAPPED)
def _avg_pool2d(draw: Draw) -> Iterator[Case]:
    """function(input, kernel_size=, stride=, padding=, ceil_mode=, count_include_pad=, divisor_override=), as torch's avg_pool2d."""
    further = ({}, {"count_include_pad": False}, {"divisor_override": 7})
    for shape in ((2, 3, 9, 11), (3, 2, 8, 7), (0, 2, 6, 5)):
        for pool in _POOLS:
            for option in further:
                yield Case({"input": draw.normal(*shape)}, _functional().avg_pool2d, {**pool, **option}, 16)


# ---------------------------------------------------------------------------------------------------------------------
# Elementwise
# ---------------------------------------------------------------------------------------------------------------------


@family("relu", _EXACT)
def _relu(draw: Draw) -> Iterator[Case]:
    """function(input)."""
    for values in (draw.normal(3, 5, 7), draw.tied(67), draw.normal(0, 3)):
        yield Case({"input": values}, _functional().relu, length=0)


_SHAPES = ((3, 5, 7), (67,), (0, 4), ())

# How many roundings a function of one number may make: correctly rounded ones 1; exp and its relatives are polynomials, good to a few units in the
# last place, and exp's own error comes with its derivative.
_POINTWISE: dict[str, tuple[int, bool]] = {
    # name: (K, only for positive numbers)
    "neg": (0, False),
    "abs": (0, False),
    "sqrt": (3, True),
    "exp": (4, False),
    "log": (4, True),
}


def _register_pointwise(name: str, length: int, positive: bool) -> None:
    @family(name, f"|error| <= {2 * length}·eps·|result|" if length else _EXACT)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        import torch

        for shape in _SHAPES:
            values = draw.positive(*shape) if positive else 3 * draw.normal(*shape)
            yield Case({"input": values}, getattr(torch, name), length=length, magnitude="pointwise")
        extreme = [1e-30, 1e-3, 1.0, 1e3, 1e30] if positive else [-80.0, -1e-3, -0.0, 1e-3, 80.0]
        yield Case({"input": np.array(extreme, draw.dtype)}, getattr(torch, name), length=length, magnitude="pointwise")


for _name, (_length, _positive) in _POINTWISE.items():
    _register_pointwise(_name, _length, _positive)


def _register_saturating(name: str) -> None:
    @family(name, "|error| <= 8·eps·|result|, gradients 8·eps·|upstream|")
    def draw_cases(draw: Draw) -> Iterator[Case]:
        import torch

        def magnitude(arguments, upstream, wanted):
            # The derivative is 1 - y^2, or y (1 - y): the difference cancels where y is near 1.
            return {"output": wanted["output"], "input gradient": upstream}

        for values in (
            *(3 * draw.normal(*shape) for shape in _SHAPES),
            np.array([-90, -1e-3, 0, 1e-3, 90], draw.dtype),
        ):
            yield Case({"input": values}, getattr(torch, name), length=4, magnitude=magnitude)


for _name in ("tanh", "sigmoid"):
    _register_saturating(_name)

_BROADCASTS = (
    ((3, 5, 7), (3, 5, 7)),
    ((3, 5, 7), (5, 1)),
    ((4, 1, 3), (2, 1)),
    ((67,), ()),
    ((0, 4), (4,)),
    ((1, 6), (5, 1)),
)


def _register_binary(name: str, kind: str) -> None:
    @family(name, "outputs 2·eps·|result|, gradients " + _SUM)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        import torch

        function = getattr(torch, name)
        for first, second in _BROADCASTS:
            make = {"any": draw.normal, "positive": draw.positive, "tied": draw.tied}[kind]
            a, b = make(*first), make(*second)
            if name == "div":
                a = draw.normal(*first)
            repeats = int(np.prod(np.broadcast_shapes(first, second)))
            # A gradient is summed over what was broadcast; x^y and its derivatives are made of exp and log.
            output_length = {"pow": 16, "maximum": 0, "minimum": 0}.get(name, 1)
            lengths = {
                "output": output_length,
                "a gradient": repeats + output_length + 3,
                "b gradient": repeats + output_length + 3,
            }
            yield Case({"a": a, "b": b}, function, length=lengths, magnitude=_binary_magnitude(function))

    def _binary_magnitude(function):
        def magnitude(arguments, upstream, wanted):
            # Each output is one rounded operation. A gradient sums upstream * derivative over what was broadcast.
            a, b = np.broadcast_arrays(*(arguments[key].astype(np.float64) for key in ("a", "b")))
            terms = Case({"a": a.copy(), "b": b.copy()}, function)._evaluate(
                {"a": a.copy(), "b": b.copy()}, np.abs(upstream)
            )
            sizes = {"output": wanted["output"]}
            for key in ("a", "b"):
                sizes[f"{key} gradient"] = references.sum_to_shape(
                    np.abs(terms[f"{key} gradient"]), arguments[key].shape
                )
            return sizes

        return magnitude


for _name, _kind in (
    ("add", "any"),
    ("sub", "any"),
    ("mul", "any"),
    ("div", "positive"),
    ("pow", "positive"),
    ("maximum", "tied"),
    ("minimum", "tied"),
):
    _register_binary(_name, _kind)


def _register_comparison(name: str) -> None:
    @family(name, _EXACT)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(a, b) -> uint8, 1 where it holds."""
        import torch

        for first, second in _BROADCASTS:
            yield Case({"a": draw.tied(*first), "b": draw.tied(*second)}, getattr(torch, name), trainable=[], length=0)


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    _register_comparison(_name)


@family("where", "outputs exactly, gradients " + _SUM)
def _where(draw: Draw) -> Iterator[Case]:
    """function(mask, a, b), mask uint8."""
    import torch

    for mask, a, b in (((3, 5), (3, 5), (3, 5)), ((4, 1), (3,), (4, 3)), ((6,), (2, 6), ()), ((0, 2), (2,), (0, 2))):
        arguments = {"mask": draw.integers(0, 2, *mask).astype(np.uint8), "a": draw.normal(*a), "b": draw.normal(*b)}
        lengths = {"output": 0, "a gradient": 12, "b gradient": 12}
        yield Case(arguments, lambda mask, a, b: torch.where(mask.bool(), a, b), length=lengths, magnitude="pointwise")


# ---------------------------------------------------------------------------------------------------------------------
# Reductions
# ---------------------------------------------------------------------------------------------------------------------

_REDUCED = (
    ((3, 5, 7), None),
    ((3, 5, 7), (0,)),
    ((3, 5, 7), (1,)),
    ((3, 5, 7), (0, 2)),
    ((4, 131), (-1,)),
    ((2, 3, 5, 4), (0, 2, 3)),
)


def _positional(*values):
    """A call that gives `values` positionally behind the tensors: torch and mytensor name them differently (dim, dims, size, shape)."""
    return lambda function, tensors, options: function(*tensors, *values, **options)


def _register_reduction(name: str) -> None:
    exact = name in ("amax", "amin")

    @family(name, ("outputs exactly, gradients " if exact else "") + _SUM, mutants.LAST_TERM_DROPPED)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(input, dims, keepdim=); dims None: over all."""
        import torch

        # The mean of nothing is 0 / 0, its largest element does not exist; the sum of nothing is 0.
        shapes = (*_REDUCED, ((0, 4), (0,)), ((3, 1000), None)) if name == "sum" else _REDUCED
        for shape, dims in shapes:
            for keepdim in (False, True):
                over = tuple(range(len(shape))) if dims is None else dims
                count = max(1, int(np.prod([shape[dim] for dim in over])))
                length = (
                    {"output": 0, "input gradient": 3}
                    if exact
                    else {"output": count + 1, "input gradient": 1 if name == "mean" else 0}
                )
                values = draw.tied(*shape) if exact and keepdim else draw.normal(*shape)
                # An int where there is one dimension, as torch takes it too.
                call = _positional(over[0] if dims is not None and len(over) == 1 and keepdim else over)
                magnitude = "pointwise" if exact else "absolute"
                yield Case({"input": values}, getattr(torch, name), {"keepdim": keepdim}, length, magnitude, call=call)


for _name in ("sum", "mean", "amax", "amin"):
    _register_reduction(_name)


@family("argmax", _EXACT)
def _argmax(draw: Draw) -> Iterator[Case]:
    """function(input, dim, keepdim=) -> int64. Without ties in the draws: which of equal ones it takes is not promised by torch."""
    import torch

    for shape, dim in (((3, 5, 7), 1), ((3, 67), -1), ((9,), 0)):
        yield Case(
            {"input": draw.normal(*shape)}, torch.argmax, {"keepdim": dim == 1}, 0, trainable=[], call=_positional(dim)
        )


@family("broadcast_to", "outputs exactly, gradients " + _SUM)
def _broadcast_to(draw: Draw) -> Iterator[Case]:
    """function(input, shape)."""
    import torch

    for before, after in (((5, 1), (3, 5, 7)), ((), (4, 3)), ((3, 5), (3, 5)), ((1, 6), (0, 6))):
        yield Case(
            {"input": draw.normal(*before)},
            torch.broadcast_to,
            {},
            {"output": 0, "input gradient": 21},
            call=_positional(after),
        )


# ---------------------------------------------------------------------------------------------------------------------
# Softmax and losses
# ---------------------------------------------------------------------------------------------------------------------


def _logits(draw: Draw) -> Iterator[tuple[np.ndarray, int]]:
    """(logits, dim), overflowing ones among them: exp(1e4) is infinite in every dtype."""
    yield draw.normal(7, 10), 1
    yield draw.normal(3, 5, 4), 1
    yield draw.normal(5, 67), 0
    yield draw.normal(0, 4), 1
    yield 1e4 * draw.normal(5, 9), 1
    yield draw.normal(6, 11) + draw.dtype.type(1e4), -1
    yield draw.normal(5, 1), 1


@family("softmax", "|error| <= 2·(K + spread of the logits)·eps·y", mutants.MAXIMUM_NOT_SUBTRACTED)
def _softmax(draw: Draw) -> Iterator[Case]:
    """function(input, dim)."""
    import torch

    for logits, dim in _logits(draw):

        def magnitude(arguments, upstream, wanted, dim=dim):
            sizes = references.softmax_sizes(arguments["input"], dim)
            y = wanted["output"]
            weighted = np.sum(np.abs(upstream) * y, axis=dim, keepdims=True)
            return {
                "output": y * sizes.relative,
                "input gradient": 2 * y * (np.abs(upstream) + weighted) * sizes.relative,
            }

        yield Case({"input": logits}, torch.softmax, {}, 1, magnitude, call=_positional(dim))


@family("log_softmax", "|error| <= 2·eps·(K + |x| + |log-sum-exp|)", mutants.MAXIMUM_NOT_SUBTRACTED)
def _log_softmax(draw: Draw) -> Iterator[Case]:
    """function(input, dim)."""
    import torch

    for logits, dim in _logits(draw):

        def magnitude(arguments, upstream, wanted, dim=dim):
            sizes = references.softmax_sizes(arguments["input"], dim)
            error = sizes.absolute + np.abs(arguments["input"])
            total = np.sum(np.abs(upstream), axis=dim, keepdims=True)
            gradient = np.abs(upstream) + np.exp(wanted["output"]) * total * (error + sizes.relative)
            return {"output": error, "input gradient": gradient}

        yield Case({"input": logits}, torch.log_softmax, {}, 1, magnitude, call=_positional(dim))


@family("logsumexp", "|error| <= 2·eps·(K + |maximum| + |log-sum-exp|)", mutants.MAXIMUM_NOT_SUBTRACTED)
def _logsumexp(draw: Draw) -> Iterator[Case]:
    """function(input, dims, keepdim=)."""
    import torch

    cases = [(logits, (dim,)) for logits, dim in _logits(draw)] + [(draw.normal(3, 5, 4), (0, 2))]
    for logits, dims in cases:
        for keepdim in (False, True):

            def magnitude(arguments, upstream, wanted, dims=dims, keepdim=keepdim):
                sizes = references.softmax_sizes(arguments["input"], dims)
                size = sizes.absolute if keepdim else np.squeeze(sizes.absolute, axis=dims)
                return {
                    "output": size,
                    "input gradient": np.abs(wanted["input gradient"]) * (sizes.absolute + sizes.relative),
                }

            yield Case({"input": logits}, torch.logsumexp, {"keepdim": keepdim}, 1, magnitude, call=_positional(dims))


def _targets(draw: Draw) -> Iterator[tuple[np.ndarray, np.ndarray, dict]]:
    """(scores, target, options) for the losses; ignored labels, class weights, pixels, an empty batch."""
    weight = draw.positive(5)
    for shape in ((7, 5), (3, 5, 4), (2, 5, 3, 4)):
        scores, target = draw.normal(*shape), draw.integers(0, 5, shape[0], *shape[2:])
        target.flat[0] = 2
        for reduction in ("mean", "sum", "none"):
            yield scores, target, {"reduction": reduction}
            yield scores, target, {"reduction": reduction, "weight": weight, "ignore_index": 2}
        marked = target.copy()
        marked.flat[1] = -100
        yield scores, marked, {}
    yield draw.normal(0, 5), draw.integers(0, 5, 0), {"reduction": "sum"}


@family("nll_loss", _SUM, mutants.LOSS_DIVIDED_TWICE, mutants.IGNORED_COUNTED)
def _nll_loss(draw: Draw) -> Iterator[Case]:
    """function(input, target, weight=, reduction=, ignore_index=), as torch.nn.functional.nll_loss."""
    for scores, target, options in _targets(draw):
        length = 0 if options.get("reduction") == "none" and "weight" not in options else max(1, target.size) + 2
        yield Case({"input": scores, "target": target}, _functional().nll_loss, options, length)


@family(
    "cross_entropy",
    "|error| <= 2·eps·(K + |x| + |log-sum-exp|)",
    mutants.MAXIMUM_NOT_SUBTRACTED,
    mutants.LOSS_DIVIDED_TWICE,
    mutants.IGNORED_COUNTED,
)
def _cross_entropy(draw: Draw) -> Iterator[Case]:
    """function(input, target, weight=, reduction=, ignore_index=, label_smoothing=), as torch.nn.functional.cross_entropy."""
    cases = list(_targets(draw))
    cases += [(scores, target, {**options, "label_smoothing": 0.2}) for scores, target, options in cases]
    overflowing = (draw.normal(6, 5) * 1e4).astype(draw.dtype)
    cases += [(overflowing, draw.integers(0, 5, 6), {"reduction": reduction}) for reduction in ("mean", "none")]
    for logits, target, options in cases:

        def magnitude(arguments, upstream, wanted, options=options):
            return references.cross_entropy_sizes(arguments["input"], arguments["target"], upstream, **options)

        yield Case({"input": logits, "target": target}, _functional().cross_entropy, options, 1, magnitude)


# ---------------------------------------------------------------------------------------------------------------------
# Shape and rows
# ---------------------------------------------------------------------------------------------------------------------


@family("reshape", _EXACT)
def _reshape(draw: Draw) -> Iterator[Case]:
    """function(input, shape)."""
    import torch

    for before, after in (((3, 4, 5), (5, 12)), ((6, 7), (-1,)), ((0, 4), (2, 0)), ((1,), ())):
        yield Case({"input": draw.normal(*before)}, torch.reshape, length=0, call=_positional(after))


@family("permute", _EXACT)
def _permute(draw: Draw) -> Iterator[Case]:
    """function(input, dims)."""
    import torch

    for shape, dims in (
        ((3, 5), (1, 0)),
        ((2, 3, 5, 7), (0, 2, 3, 1)),
        ((2, 3, 5, 7), (3, 1, 0, 2)),
        ((4, 0, 2), (2, 0, 1)),
        ((37, 19), (1, 0)),
    ):
        yield Case({"input": draw.normal(*shape)}, torch.permute, length=0, call=_positional(dims))


@family("transpose", _EXACT)
def _transpose(draw: Draw) -> Iterator[Case]:
    """function(input, dim0, dim1)."""
    import torch

    for shape, dims in (((3, 5), (0, 1)), ((2, 3, 5, 7), (1, -1)), ((2, 3, 5), (2, 0))):
        yield Case({"input": draw.normal(*shape)}, torch.transpose, length=0, call=_positional(*dims))


@family("cat", _EXACT)
def _cat(draw: Draw) -> Iterator[Case]:
    """function([a, b, c], dim)."""
    import torch

    for shape, dim, lengths in (((3, 1, 5), 1, (2, 4, 3)), ((1, 7), 0, (3, 0, 2)), ((2, 3, 1), -1, (1, 5, 4))):

        def call(function, tensors, options, dim=dim):
            return function(tensors, dim)

        arguments = {}
        for name, length in zip("abc", lengths, strict=True):
            sizes = list(shape)
            sizes[dim] = length
            arguments[name] = draw.normal(*sizes)
        yield Case(arguments, torch.cat, length=0, call=call)


@family("narrow", _EXACT)
def _narrow(draw: Draw) -> Iterator[Case]:
    """function(input, dim, start, length)."""
    import torch

    for shape, dim, start, length in (((3, 9, 5), 1, 2, 4), ((7, 3), 0, 6, 1), ((2, 5), -1, 0, 5), ((4, 3), 0, 2, 0)):
        yield Case({"input": draw.normal(*shape)}, torch.narrow, length=0, call=_positional(dim, start, length))


@family("index_select", "outputs exactly, gradients " + _SUM, mutants.ROWS_OVERWRITTEN)
def _index_select(draw: Draw) -> Iterator[Case]:
    """function(input, index): the rows of dimension 0 that index names, repeated ones too."""
    import torch

    for shape, count in (((5, 7), 11), ((6, 2, 3), 4), ((9,), 5), ((4, 3), 0)):
        arguments = {"input": draw.normal(*shape), "index": draw.integers(0, shape[0], count)}
        lengths = {"output": 0, "input gradient": max(count, 1)}
        yield Case(arguments, lambda x, index: torch.index_select(x, 0, index), {}, lengths)


# ---------------------------------------------------------------------------------------------------------------------
# Random numbers and training
# ---------------------------------------------------------------------------------------------------------------------


def _call_random(function, tensors, options):
    import mytensor_backend

    options = dict(options)
    if function not in (references.uniform, references.normal):
        options["dtype"] = getattr(mytensor_backend, options["dtype"])
    return function(**options)


def _register_random(name: str, reference: Callable, first: str, second: str, formula: str, largest: float) -> None:
    @family(name, formula)
    def draw_cases(draw: Draw) -> Iterator[Case]:
        """function(shape=, low=, high= or mean=, std=, seed=, offset=, dtype=), dtype mytensor_backend's."""

        def magnitude(arguments, upstream, wanted):
            return {"output": np.full(wanted["output"].shape, abs(a) + largest * abs(b))}

        for shape in ((5, 7), (67,), (0, 3), ()):
            seed, offset = int(draw.integers(0, 2**62)), int(draw.integers(0, 2**40))
            a, b = (-1.5, 2.25)
            options = {"shape": shape, first: a, second: b, "seed": seed, "offset": offset, "dtype": draw.dtype.name}
            yield Case({}, reference, options, 1, magnitude, trainable=[], call=_call_random, dtype=draw.dtype)


_register_random("uniform", references.uniform, "low", "high", "Philox4x32-10, |error| <= 2·eps·(|low| + 2·|high|)", 2)
# Of 53 random bits the largest radius is sqrt(2 log 2^53) = 8.6.
_register_random(
    "normal", references.normal, "mean", "std", "Philox4x32-10 and Box-Muller, |error| <= 2·eps·(|mean| + 9·std)", 9
)


@family("sgd", "three steps, |error| <= 2·K·eps·(|a| op |b|)")
def _sgd(draw: Draw) -> Iterator[Case]:
    """function: the optimizer class, called as torch.optim.SGD; it takes three steps with drawn gradients."""
    import torch

    def call(function, tensors, options):
        parameter, *gradients = tensors
        parameter = parameter.requires_grad_()
        optimizer = function([parameter], **options)
        for gradient in gradients:
            parameter.grad = gradient
            optimizer.step()
        return parameter.detach()

    def magnitude(arguments, upstream, wanted):
        # Every term of the three steps in absolute value, times at most (1 + momentum)^3 and the learning rate, all below 1.
        return {"output": sum(np.abs(values.astype(np.float64)) for values in arguments.values()) * 2}

    plain = {"lr": 0.1}
    momentum = {"lr": 0.05, "momentum": 0.9}
    options = (
        plain,
        momentum,
        {**plain, "weight_decay": 0.2},
        {**momentum, "weight_decay": 0.1, "nesterov": True},
        {**momentum, "dampening": 0.5},
    )
    for option in options:
        for shape in ((5, 7), (67,)):
            arguments = {name: draw.normal(*shape) for name in ("parameter", "first", "second", "third")}
            yield Case(arguments, torch.optim.SGD, option, 12, magnitude, trainable=[], call=call)


@family("gather_batch", "|error| <= 6·eps·(|x| + |mean|) / std")
def _gather_batch(draw: Draw) -> Iterator[Case]:
    """function(images uint8 (N, C, H, W), index, mean, std, flip, crop, padding), NDArrays, -> float32."""
    if draw.dtype != np.float32:
        return

    def magnitude(arguments, upstream, wanted):
        mean, std = (arguments[key].astype(np.float64)[:, None, None] for key in ("mean", "std"))
        return {"output": np.broadcast_to((1 + np.abs(mean)) / std, wanted["output"].shape)}

    for count, flip, crop, padding in (
        (5, False, False, 0),
        (7, True, False, 0),
        (6, True, True, 2),
        (0, False, False, 0),
    ):

        def call(function, tensors, options, flip=flip, crop=crop, padding=padding):
            if function is references.gather_batch:
                tensors = [tensor.numpy() for tensor in tensors]
            else:
                tensors = [getattr(tensor, "array", tensor) for tensor in tensors]
            images, index, mean, std, flips, crops = tensors
            return function(images, index, mean, std, flips if flip else None, crops if crop else None, padding)

        arguments = {
            "images": draw.integers(0, 256, 9, 3, 6, 7).astype(np.uint8),
            "index": draw.integers(0, 9, count),
            "mean": draw.positive(3) / 2,
            "std": draw.positive(3),
            "flip": draw.integers(0, 2, count).astype(np.uint8),
            "crop": draw.integers(0, 2 * padding + 1, count, 2),
        }
        yield Case(arguments, references.gather_batch, {}, 3, magnitude, trainable=[], call=call)
