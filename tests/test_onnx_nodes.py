"""ONNX's own tests of single operators, as far as they are of operations we have: each node is run by our functions and
its outputs compared, element by element, with those that the test brings along.

NODES says which operators these are. A test of one of them is run, or it is named below with the reason why not.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

import mytensor as mt
import mytensor.nn.functional as F

onnx = pytest.importorskip("onnx", reason="ONNX's tests come with the package onnx, of the extra dev")

# What torch refuses as well, and we in a sentence: test -> (exception, words of it).
PADDING = ValueError, "padding must be at most half of kernel_size"
EMPTY = ValueError, "has no elements, so there is no largest or smallest one"
REFUSED = {
    "test_averagepool_2d_pads": PADDING,
    "test_averagepool_2d_pads_count_include_pad": PADDING,
    "test_maxpool_2d_pads": PADDING,
    "test_reduce_max_empty_set": EMPTY,
    "test_reduce_max_empty_set_bool": EMPTY,
    "test_reduce_min_empty_set": EMPTY,
}

# What torch's function of that name has no argument for either, or ours says that it does not do: reason -> tests.
LEFT_OUT = {
    "windows in three dimensions": (
        "test_averagepool_3d_default",
        "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False",
        "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True",
        "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False",
        "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
        "test_averagepool_3d_dilations_small",
        "test_col2im_5d",
        "test_maxpool_3d_default",
        "test_maxpool_3d_dilations",
        "test_maxpool_3d_dilations_use_ref_impl",
        "test_maxpool_3d_dilations_use_ref_impl_large",
    ),
    "dilation of an average": ("test_averagepool_2d_dilations",),
    "the last of equal maxima": (
        "test_argmax_keepdims_example_select_last_index",
        "test_argmax_negative_axis_keepdims_example_select_last_index",
        "test_argmax_no_keepdims_example_select_last_index",
    ),
    "slices that go backwards": ("test_slice_neg_steps",),
}
REASON_OF = {name: reason for reason, names in LEFT_OUT.items() for name in names}


# ---------------------------------------------------------------------------------------------------------------------
# ONNX's operators in our words. Each takes the node's attributes (a dict) and its inputs, and returns its output, or a
# tuple of them. An input that the node leaves out is None.
# ---------------------------------------------------------------------------------------------------------------------


def plain(function: Callable) -> Callable:
    """An operator without attributes."""
    return lambda options, *inputs: function(*inputs)


def folded(function: Callable) -> Callable:
    """An operator of any number of inputs."""
    return lambda options, *inputs: functools.reduce(function, inputs)


def numbers(tensor: mt.Tensor) -> list[int]:
    return [int(number) for number in tensor.tolist()]


def divide(options, a, b):
    """The quotient of whole numbers is one, cut toward zero."""
    return a / b if a.is_floating_point() else a.div(b, rounding_mode="trunc")


def power(options, base, exponent):
    """The result has the base's dtype."""
    return base ** exponent.to(base.dtype)


def reduced(function: Callable) -> Callable:
    """A reduction over axes, which are an attribute or the second input; over all, or none, where they are missing."""

    def reduce(options, x, axes=None):
        dims = options.get("axes") if axes is None else numbers(axes)
        if not dims and options.get("noop_with_empty_axes"):
            return x
        return function(x, tuple(dims) if dims else None, bool(options.get("keepdims", 1)))

    return reduce


def argmax(options, x):
    return x.argmax(options.get("axis", 0), bool(options.get("keepdims", 1)))


def along_axis(function: Callable) -> Callable:
    return lambda options, x: function(x, options.get("axis", -1))


def gemm(options, a, b, c=None):
    a = a.T if options.get("transA") else a
    b = b.T if options.get("transB") else b
    product = (a @ b) * options.get("alpha", 1.0)
    return product if c is None else product + c * options.get("beta", 1.0)


def concat(options, *inputs):
    return mt.cat(inputs, options["axis"])


def split(options, x, lengths=None):
    axis = options.get("axis", 0)
    length = x.shape[axis]
    if lengths is None:
        part = math.ceil(length / options["outputs"])
        sizes = [min(part, length - start) for start in range(0, length, part)]
    else:
        sizes = numbers(lengths)
    starts = itertools.accumulate([0, *sizes[:-1]])
    return tuple(x.narrow(axis, start, size) for start, size in zip(starts, sizes, strict=True))


def slice_(options, x, starts, ends, axes=None, steps=None):
    keys = [slice(None)] * x.ndim
    dims = range(x.ndim) if axes is None else numbers(axes)
    step_of = itertools.repeat(1) if steps is None else numbers(steps)
    for dim, start, end, step in zip(dims, numbers(starts), numbers(ends), step_of, strict=False):
        keys[dim] = slice(start, end, step)
    return x[tuple(keys)]


def gather(options, x, index):
    """Rows of an axis by an index of any number of dimensions, negative ones counted from the end."""
    axis = options.get("axis", 0) % x.ndim
    rest = [dim for dim in range(x.ndim) if dim != axis]
    rows = x.permute(axis, *rest)[index.flatten().long()]
    back = [1 + rest.index(dim) if dim != axis else 0 for dim in range(x.ndim)]
    return rows.permute(back).reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def reshape(options, x, shape):
    sizes = numbers(shape)
    if not options.get("allowzero"):
        sizes = [x.shape[dim] if size == 0 else size for dim, size in enumerate(sizes)]
    return x.reshape(sizes)


def flatten(options, x):
    axis = options.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def squeeze(options, x, axes):
    for axis in sorted((axis % x.ndim for axis in numbers(axes)), reverse=True):
        x = x.squeeze(axis)
    return x


def unsqueeze(options, x, axes):
    ndim = x.ndim + len(numbers(axes))
    for axis in sorted(axis % ndim for axis in numbers(axes)):
        x = x.unsqueeze(axis)
    return x


def transpose(options, x):
    return x.permute(options.get("perm", [*range(x.ndim)][::-1]))


def expand(options, x, shape):
    return x.broadcast_to(np.broadcast_shapes(x.shape, numbers(shape)))


def constant_of_shape(options, shape):
    value = onnx.numpy_helper.to_array(options["value"])
    return mt.full(tuple(numbers(shape)), value.item(), dtype=value.dtype.name)


def classes_loss(function: Callable) -> Callable:
    def loss(options, x, target, weight=None):
        ignore_index = {"ignore_index": options["ignore_index"]} if "ignore_index" in options else {}
        return function(x, target.long(), weight, reduction=options.get("reduction", "mean"), **ignore_index)

    return loss


def softmax_cross_entropy(options, x, target, weight=None):
    return classes_loss(F.cross_entropy)(options, x, target, weight), F.log_softmax(x, 1)


# Windows. ONNX gives them for any number of dimensions; ours have two, and one is a second of length 1.


class Window:
    """A node's window in two dimensions: kernel, strides, dilations, and the padding before and behind."""

    def __init__(self, options, image: tuple[int, ...], kernel):
        dims = len(kernel)
        self.kernel = list(kernel)
        self.strides = list(options.get("strides", [1] * dims))
        self.dilations = list(options.get("dilations", [1] * dims))
        pads = options.get("pads", [0] * (2 * dims))
        self.before, self.behind = list(pads[:dims]), list(pads[dims:])
        if options.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
            for dim, length in enumerate(image):
                covered = self.dilations[dim] * (self.kernel[dim] - 1) + 1
                total = max((math.ceil(length / self.strides[dim]) - 1) * self.strides[dim] + covered - length, 0)
                halves = total // 2, total - total // 2
                self.before[dim], self.behind[dim] = halves if options["auto_pad"] == "SAME_UPPER" else halves[::-1]

    def padded(self, x: mt.Tensor, value: float) -> mt.Tensor:
        """Padding that differs at the two ends is put around the image; what is alike is left to the functions."""
        if self.before == self.behind:
            return x
        for dim in (2, 3):
            ends = []
            for length in (self.before[dim - 2], self.behind[dim - 2]):
                shape = [length if d == dim else size for d, size in enumerate(x.shape)]
                ends.append(mt.full(shape, value, dtype=x.dtype))
            x = mt.cat([ends[0], x, ends[1]], dim)
        self.before = self.behind = [0, 0]
        return x


def in_two_dimensions(function: Callable) -> Callable:
    """Calls function(options, x, kernel) with images of two dimensions, and takes a second that was added away."""

    def call(options, x):
        if x.ndim == 4:
            return function(options, x, options["kernel_shape"])
        wider = dict(options)
        for name, filling in (("strides", 1), ("dilations", 1)):
            if name in options:
                wider[name] = [*options[name], filling]
        if "pads" in options:
            wider["pads"] = [options["pads"][0], 0, options["pads"][1], 0]
        result = function(wider, x.unsqueeze(3), [*options["kernel_shape"], 1])
        return tuple(part.squeeze(3) for part in result) if isinstance(result, tuple) else result.squeeze(3)

    return call


def max_pool(options, x, kernel):
    window = Window(options, x.shape[2:], kernel)
    image = window.padded(x, -math.inf)
    geometry = window.kernel, window.strides, window.before, window.dilations
    output, indices = F.max_pool2d(image, *geometry, bool(options.get("ceil_mode")), return_indices=True)
    height, width = image.shape[2:]
    if options.get("storage_order"):  # column by column
        row = indices // width
        indices = (indices - row * width) * height + row
    planes = mt.arange(x.shape[0] * x.shape[1]).reshape(x.shape[0], x.shape[1], 1, 1)
    return output, indices + planes * (height * width)


def average_pool(options, x, kernel):
    window = Window(options, x.shape[2:], kernel)
    counts_padding = bool(options.get("count_include_pad"))
    rest = bool(options.get("ceil_mode")), counts_padding
    if window.before == window.behind:
        return F.avg_pool2d(x, window.kernel, window.strides, window.before, *rest)
    inside = Window(options, x.shape[2:], kernel).padded(mt.ones_like(x), float(counts_padding))
    image = window.padded(x, 0.0)
    sums, counts = (F.avg_pool2d(array, window.kernel, window.strides, 0, *rest) for array in (image, inside))
    return sums / counts


def conv(options, x, weight, bias=None):
    window = Window(options, x.shape[2:], weight.shape[2:])
    image = window.padded(x, 0.0)
    return F.conv2d(image, weight, bias, window.strides, window.before, window.dilations, options.get("group", 1))


def col2im(options, columns, image, block):
    geometry = {"dilation": "dilations", "padding": "pads", "stride": "strides"}
    chosen = {ours: tuple(options[theirs][:2]) for ours, theirs in geometry.items() if theirs in options}
    return F.fold(columns, tuple(numbers(image)), tuple(numbers(block)), **chosen)


NODES: dict[str, Callable] = {
    "Abs": plain(mt.Tensor.abs),
    "Add": plain(mt.Tensor.add),
    "ArgMax": argmax,
    "AveragePool": in_two_dimensions(average_pool),
    "Cast": lambda options, x: x.to(onnx.helper.tensor_dtype_to_np_dtype(options["to"]).name),
    "Col2Im": col2im,
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "Conv": conv,
    "Div": divide,
    "Equal": plain(mt.Tensor.__eq__),
    "Exp": plain(mt.exp),
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": plain(lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalMaxPool": plain(lambda x: x.amax((2, 3), keepdim=True)),
    "Greater": plain(mt.Tensor.__gt__),
    "GreaterOrEqual": plain(mt.Tensor.__ge__),
    "Identity": plain(mt.Tensor.clone),
    "Less": plain(mt.Tensor.__lt__),
    "LessOrEqual": plain(mt.Tensor.__le__),
    "Log": plain(mt.log),
    "LogSoftmax": along_axis(F.log_softmax),
    "MatMul": plain(mt.matmul),
    "Max": folded(mt.maximum),
    "MaxPool": in_two_dimensions(max_pool),
    "Mean": lambda options, *inputs: functools.reduce(mt.Tensor.add, inputs) / len(inputs),
    "Min": folded(mt.minimum),
    "Mul": plain(mt.Tensor.mul),
    "Neg": plain(mt.Tensor.neg),
    "NegativeLogLikelihoodLoss": classes_loss(F.nll_loss),
    "Pow": power,
    "Reciprocal": plain(lambda x: 1 / x),
    "ReduceLogSumExp": reduced(lambda x, dims, keepdim: mt.logsumexp(x, dims, keepdim)),
    "ReduceMax": reduced(mt.Tensor.amax),
    "ReduceMean": reduced(mt.Tensor.mean),
    "ReduceMin": reduced(mt.Tensor.amin),
    "ReduceSum": reduced(mt.Tensor.sum),
    "Relu": plain(mt.relu),
    "Reshape": reshape,
    "Sigmoid": plain(mt.Tensor.sigmoid),
    "Slice": slice_,
    "Softmax": along_axis(F.softmax),
    "SoftmaxCrossEntropyLoss": softmax_cross_entropy,
    "Split": split,
    "Sqrt": plain(mt.Tensor.sqrt),
    "Squeeze": squeeze,
    "Sub": plain(mt.Tensor.sub),
    "Sum": folded(mt.Tensor.add),
    "Tanh": plain(mt.Tensor.tanh),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Where": plain(mt.where),
}


# ---------------------------------------------------------------------------------------------------------------------
# The tests
# ---------------------------------------------------------------------------------------------------------------------


@functools.cache
def cases_by_operator() -> dict[str, list]:
    """ONNX's tests of one node, by operator. The package makes them anew, which takes seconds: once a run."""
    from onnx.backend.test.case.node import collect_testcases

    found: dict[str, list] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            nodes = case.model.graph.node
            if len(nodes) == 1 and not nodes[0].domain:
                found.setdefault(nodes[0].op_type, []).append(case)
    return found


def dtypes_of(case) -> set[str]:
    """The dtypes of a test's inputs and outputs, as the model declares them."""
    values = [*case.model.graph.input, *case.model.graph.output]
    numbers = {value.type.tensor_type.elem_type for value in values}  # 0: no tensor, but a sequence, say
    return {onnx.TensorProto.DataType.Name(number).lower() for number in numbers}


FOUR_DIGITS = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}  # its outputs are written down as 0.1511
OURS = {"float", "double", "int64", "int32", "uint8", "bool"}  # bool as uint8


def why_not(case) -> str | None:
    """Why a test of an operator we have is not run; None for those that are."""
    others = dtypes_of(case) - OURS
    return f"dtypes {sorted(others)}" if others else REASON_OF.get(case.name)


def options_of(node) -> dict:
    options = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    options = {name: value.decode() if isinstance(value, bytes) else value for name, value in options.items()}
    return {"outputs": len(node.output), **options}


def run(case) -> None:
    """Runs the node and compares every element."""
    (node,) = case.model.graph.node
    for given, wanted in case.data_sets:
        arrays = iter(given)
        inputs = [mt.tensor(numbers_in(next(arrays))) if name else None for name in node.input]
        outputs = NODES[node.op_type](options_of(node), *inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        for output, array in zip(outputs, wanted, strict=False):  # a node may leave out the last ones
            compare(output.numpy(), numbers_in(array), 5e-5 if case.name in FOUR_DIGITS else 0.0)


def numbers_in(value) -> np.ndarray:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def compare(got: np.ndarray, wanted: np.ndarray, written_off: float) -> None:
    """Whole numbers are equal; of the others, both sides are rounded sums of a few hundred terms at most. written_off:
    how far the wanted numbers are from what they stand for."""
    wanted = wanted.astype(np.uint8) if wanted.dtype == bool else wanted
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted)
        return
    finite = wanted[np.isfinite(wanted)]
    scale = np.abs(finite).max(initial=0)
    eps = np.finfo(wanted.dtype).eps
    np.testing.assert_allclose(got, wanted, rtol=64 * eps, atol=16 * eps * scale + 1.2 * written_off)


@pytest.mark.parametrize("operator", sorted(NODES))
def test_operator(operator):
    """Every test of the operator is right, refused as in torch, or left out with a reason."""
    assert operator in cases_by_operator(), f"ONNX has no test of {operator} that is one node"
    for case in cases_by_operator()[operator]:
        if why_not(case):
            continue
        if case.name in REFUSED:
            error, words = REFUSED[case.name]
            with pytest.raises(error, match=words):
                run(case)
            continue
        try:
            run(case)
        except Exception as error:
            raise AssertionError(f"{case.name}: {type(error).__name__}: {error}") from error


def test_counts():
    """So that a test which is no longer run, or newly refused, is noticed."""
    counts = Counter()
    for operator in NODES:
        for case in cases_by_operator()[operator]:
            reason = why_not(case)
            kind = "refused" if case.name in REFUSED else "right"
            counts["dtype" if reason and reason.startswith("dtypes") else "left out" if reason else kind] += 1
    assert counts["refused"] == len(REFUSED) == 6
    assert counts["left out"] == len(REASON_OF)
    assert counts["right"] >= 349, counts


def test_the_names_are_onnxs():
    names = {case.name for operator in NODES for case in cases_by_operator()[operator]}
    assert {*REFUSED, *REASON_OF} <= names


def test_a_wrong_operator_is_noticed(monkeypatch):
    """The planted ones: a flattened axis too many, the other rounding, an average that counts the padding."""
    wrong = {
        "Softmax": lambda options, x: F.softmax(x, 0),
        "Div": lambda options, a, b: a / b if a.is_floating_point() else a // (b + 1),
        "AveragePool": lambda options, x: NODES_BEFORE["AveragePool"]({**options, "count_include_pad": 1}, x),
        "Transpose": lambda options, x: x.permute([*range(x.ndim)]),
    }
    for operator, function in wrong.items():
        monkeypatch.setitem(NODES, operator, function)
        with pytest.raises(AssertionError, match="test_"):
            test_operator(operator)


NODES_BEFORE = dict(NODES)
