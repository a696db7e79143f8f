"""Bad input through the public functions: an exception that says what came and what was wanted, or as in torch."""

import gc
import pathlib
import re
import warnings

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mytensor as mt
import mytensor.nn.functional as F
from mytensor import check, ops


def image(*shape, dtype=mt.float32):
    return mt.full(shape or (2, 3, 5, 7), 0.5, dtype=dtype)


def ints(*values):
    return mt.tensor(list(values), dtype=mt.int64)


# ---------------------------------------------------------------------------------------------------------------------
# Wrong dtype, shape, device, size, index. Each row: the call, the exception, words of what came and of what was wanted.
# ---------------------------------------------------------------------------------------------------------------------

BAD_CALLS = {
    # dtypes
    "conv2d of integers": (
        lambda: F.conv2d(mt.zeros(2, 3, 5, 7, dtype=mt.int64), image(4, 3, 3, 3)),
        TypeError,
        ["int64", "float32"],
    ),
    "conv2d of two dtypes": (
        lambda: F.conv2d(image(), image(4, 3, 3, 3, dtype=mt.float64)),
        TypeError,
        ["float32", "float64"],
    ),
    "matmul of two dtypes": (lambda: image(2, 3) @ image(3, 2, dtype=mt.float64), TypeError, ["float32", "float64"]),
    "sum of two dtypes": (lambda: image(2) + ints(1, 2), TypeError, ["float32", "int64"]),
    "exp of integers": (lambda: mt.exp(ints(1, 2)), TypeError, ["int64", "float"]),
    "softmax of integers": (lambda: F.softmax(ints(1, 2), 0), TypeError, ["int64", "float32"]),
    "avg_pool2d of uint8": (
        lambda: F.avg_pool2d(mt.zeros(1, 1, 4, 4, dtype=mt.uint8), 2),
        TypeError,
        ["uint8", "float32"],
    ),
    "integers in place by a fraction": (lambda: ints(1, 2).div_(2), TypeError, ["int64", "float32"]),
    "integers by zero": (lambda: ints(1, 2) // 0, ValueError, ["int64", "0", "float"]),
    "a rounding mode": (lambda: ints(1, 2).div(2, rounding_mode="up"), ValueError, ["up", "trunc", "floor"]),
    "integers to a negative power": (lambda: ints(1, 2) ** -2, ValueError, ["int64", "-2", "float"]),
    "probabilities of another dtype": (
        lambda: F.cross_entropy(image(2, 3), image(2, 3, dtype=mt.float64)),
        TypeError,
        ["float32", "float64"],
    ),
    "probabilities and a class to ignore": (
        lambda: F.cross_entropy(image(2, 3), image(2, 3), ignore_index=1),
        ValueError,
        ["probabilities", "ignore_index"],
    ),
    "probabilities and a weight too many": (
        lambda: F.cross_entropy(image(2, 3), image(2, 3), image(4)),
        ValueError,
        ["(3,)", "(4,)"],
    ),
    "cat of a number": (lambda: mt.cat([image(2), mt.tensor(1.0)]), ValueError, ["place 1", "reshape"]),
    "cat of None": (lambda: mt.cat([image(2), None]), TypeError, ["None", "place 1", "Tensor"]),
    "cat of one tensor": (lambda: mt.cat(image(2, 3)), TypeError, ["list", "Tensor"]),
    "cat of two dtypes": (lambda: mt.cat([image(2), ints(1)]), TypeError, ["float32", "int64"]),
    "cat beside what is nearly nothing": (lambda: mt.cat([image(2, 0), image(2, 3)]), ValueError, ["(2, 0)", "(2, 3)"]),
    "stack of two shapes": (lambda: mt.stack([image(2), image(3)]), ValueError, ["(2,)", "(3,)"]),
    "stack of nothing": (lambda: mt.stack([]), ValueError, ["at least one"]),
    "stack of a list": (lambda: mt.stack([image(2), [1.0, 2.0]]), TypeError, ["list", "place 1"]),
    "stride ()": (lambda: F.conv2d(image(), image(4, 3, 3, 3), stride=()), TypeError, ["conv2d: stride", "()"]),
    "kernel ()": (lambda: F.avg_pool2d(image(), ()), TypeError, ["avg_pool2d: kernel_size", "()"]),
    "padding ()": (lambda: F.max_pool2d(image(), 2, padding=()), TypeError, ["max_pool2d: padding", "()"]),
    "a kernel (2,) for unfold": (lambda: F.unfold(image(), (2,)), TypeError, ["kernel_size", "(2,)"]),
    "a truth value for groups": (
        lambda: F.conv2d(image(), image(4, 3, 3, 3), groups=True),
        TypeError,
        ["groups", "True"],
    ),
    "a truth value for a divisor": (
        lambda: F.avg_pool2d(image(), 2, divisor_override=True),
        TypeError,
        ["divisor_override", "True"],
    ),
    "a number for ceil_mode": (lambda: F.max_pool2d(image(), 2, ceil_mode=1), TypeError, ["ceil_mode", "1 (int)"]),
    "probabilities and a weight of another dtype": (
        lambda: F.cross_entropy(image(2, 3), image(2, 3), mt.ones(3, dtype=mt.float64)),
        TypeError,
        ["weight float64", "float32"],
    ),
    "a truth value for a size": (lambda: F.max_pool2d(image(), True), TypeError, ["kernel_size", "True"]),
    "a kernel (2,) for Conv2d": (lambda: mt.nn.Conv2d(3, 4, (2,)), TypeError, ["Conv2d: kernel_size", "(2,)"]),
    "transpose of a number": (lambda: mt.tensor(1.0).transpose(0, 1), IndexError, ["1"]),
    "flatten of a number": (lambda: mt.tensor(1.0).flatten(1), IndexError, ["1"]),
    "cross_entropy with float labels": (
        lambda: F.cross_entropy(image(2, 3), image(2)),
        (TypeError, ValueError),
        ["float32"],
    ),
    "index_select with float index": (lambda: ops.index_select(image(), image(2)), TypeError, ["float32", "int64"]),
    "gradient of integers": (lambda: mt.tensor([1, 2], requires_grad=True), TypeError, ["int64", "float"]),
    "a string": (lambda: mt.tensor("three"), TypeError, ["str"]),
    "complex numbers": (lambda: mt.tensor(np.zeros(3, np.complex64)), TypeError, ["complex64", ".real"]),
    "half precision": (lambda: mt.tensor(np.zeros(3, np.float16)), TypeError, ["float16", "float32"]),
    "a list where a tensor is wanted": (lambda: F.conv2d([[1.0]], image(4, 3, 3, 3)), TypeError, ["list", "ensor"]),
    "numpy handed to the backend": (lambda: backend.relu(np.zeros(3)), TypeError, ["ndarray", "NDArray"]),
    # shapes
    "conv2d channels": (lambda: F.conv2d(image(), image(4, 2, 3, 3)), ValueError, ["3 channels", "(4, 2, 3, 3)"]),
    "conv2d of two dimensions": (lambda: F.conv2d(image(5, 7), image(4, 3, 3, 3)), ValueError, ["(5, 7)"]),
    "conv2d bias": (lambda: F.conv2d(image(), image(4, 3, 3, 3), image(3)), ValueError, ["(3,)", "(4,)"]),
    "conv2d groups": (lambda: F.conv2d(image(), image(4, 3, 3, 3), groups=2), ValueError, ["3 channels", "groups"]),
    "matmul": (lambda: image(2, 3) @ image(4, 5), ValueError, ["(2, 3)", "(4, 5)"]),
    "linear": (lambda: F.linear(image(2, 3), image(5, 4)), ValueError, ["3", "4"]),
    "broadcast": (lambda: image(2, 3) * image(2, 4), ValueError, ["(2, 3)", "(2, 4)"]),
    "reshape": (lambda: image(2, 3).reshape(4, 2), ValueError, ["(2, 3)", "(4, 2)"]),
    "cat": (lambda: mt.cat([image(2, 3), image(2, 4)], 0), ValueError, ["(2, 3)", "(2, 4)"]),
    "cat of nothing": (lambda: mt.cat([]), ValueError, []),
    "fold": (lambda: F.fold(image(2, 12, 7), (4, 5), (2, 2)), ValueError, ["7", "12"]),
    "cross_entropy": (lambda: F.cross_entropy(image(2, 3), ints(0, 1, 2)), ValueError, ["(2, 3)", "(3,)"]),
    "nll_loss weight": (lambda: F.nll_loss(image(2, 3), ints(0, 1), weight=image(2)), ValueError, ["(2,)", "3"]),
    "backward": (lambda: image(2, 3).requires_grad_().relu().backward(image(3, 2)), ValueError, ["(3, 2)", "(2, 3)"]),
    "ragged lists": (lambda: mt.tensor([[1, 2], [3]]), (TypeError, ValueError), []),
    "mean over a dimension that is not there": (lambda: image(2, 3).mean(2), IndexError, ["2"]),
    "softmax over a dimension that is not there": (lambda: F.softmax(image(2, 3), -3), IndexError, ["-3"]),
    "permute twice the same": (lambda: image(2, 3).permute(0, 0), ValueError, ["(0, 0)"]),
    "narrow beyond the end": (lambda: image(2, 3).narrow(1, 2, 2), (IndexError, ValueError), ["3"]),
    "amax of nothing": (lambda: image(0, 3).amax(0), (IndexError, ValueError), ["(0, 3)"]),
    # devices
    "an unknown device": (lambda: backend.empty((2,), mt.float32, "tpu"), ValueError, ["tpu", "cpu"]),
    "an unknown device for a tensor": (
        lambda: mt.tensor([1.0], device="tpu"),
        (ValueError, NotImplementedError),
        ["tpu", "cpu"],
    ),
    # zero and negative sizes
    "a negative size": (lambda: mt.zeros(2, -3), ValueError, ["-3"]),
    "stride 0": (lambda: F.conv2d(image(), image(4, 3, 3, 3), stride=0), ValueError, ["stride", "0", "at least 1"]),
    "negative padding": (
        lambda: F.conv2d(image(), image(4, 3, 3, 3), padding=-1),
        ValueError,
        ["padding", "-1", "at least 0"],
    ),
    "dilation 0": (lambda: F.unfold(image(), 2, dilation=0), ValueError, ["dilation", "0", "at least 1"]),
    "kernel 0": (lambda: F.max_pool2d(image(), 0), ValueError, ["kernel", "0", "at least 1"]),
    "a weight without elements": (
        lambda: F.conv2d(image(), mt.zeros(4, 3, 0, 3)),
        ValueError,
        ["(4, 3, 0, 3)", "at least 1"],
    ),
    "images without pixels": (lambda: F.conv2d(mt.zeros(2, 3, 0, 7), image(4, 3, 3, 3)), ValueError, ["(2, 3, 0, 7)"]),
    "groups 0": (lambda: F.conv2d(image(), image(4, 3, 3, 3), groups=0), ValueError, ["groups", "0", "at least 1"]),
    "divisor 0": (lambda: F.avg_pool2d(image(), 2, divisor_override=0), ValueError, ["0"]),
    "three numbers for a pair": (
        lambda: F.conv2d(image(), image(4, 3, 3, 3), stride=(1, 2, 3)),
        (TypeError, ValueError),
        ["(1, 2, 3)"],
    ),
    "a fraction for a size": (lambda: F.max_pool2d(image(), 2.5), (TypeError, ValueError), ["2.5"]),
    # a kernel larger than the padded image
    "conv2d": (lambda: F.conv2d(image(), image(4, 3, 8, 3), padding=1), ValueError, ["8", "7"]),
    "dilated conv2d": (lambda: F.conv2d(image(), image(4, 3, 3, 3), dilation=4), ValueError, ["9", "5"]),
    "max_pool2d": (lambda: F.max_pool2d(image(), 6), ValueError, ["6", "5"]),
    "avg_pool2d": (lambda: F.avg_pool2d(image(), (2, 9)), ValueError, ["9", "7"]),
    "unfold": (lambda: F.unfold(image(), 9), ValueError, ["9", "5"]),
    "max_pool2d padding": (lambda: F.max_pool2d(image(), 2, padding=2), ValueError, ["padding", "2"]),
    # labels and indices out of range
    "a label too large": (lambda: F.cross_entropy(image(2, 3), ints(0, 3)), IndexError, ["3"]),
    "a negative label": (lambda: F.cross_entropy(image(2, 3), ints(0, -1)), IndexError, ["-1"]),
    "nll_loss label": (lambda: F.nll_loss(image(2, 3), ints(7, 0)), IndexError, ["7", "3"]),
    "a row that is not there": (lambda: ops.index_select(image(2, 3), ints(0, 2)), IndexError, ["2"]),
    "a negative row": (lambda: backend.index_select(image(2, 3).array, ints(-3).array), IndexError, ["-3"]),
    "an element that is not there": (lambda: image(2, 3)[2], IndexError, ["2"]),
    "max_pool2d_backward's index": (
        lambda: backend.max_pool2d_backward(
            image(1, 1, 1, 1).array, mt.full((1, 1, 1, 1), 4, dtype=mt.int64).array, (1, 1, 2, 2)
        ),
        IndexError,
        [],
    ),
    # what is not supported, and calls in the wrong order
    "unknown reduction": (
        lambda: F.cross_entropy(image(2, 3), ints(0, 1), reduction="max"),
        ValueError,
        ["max", "mean"],
    ),
    "label smoothing": (lambda: F.cross_entropy(image(2, 3), ints(0, 1), label_smoothing=1.5), ValueError, ["1.5"]),
    "an unknown kernel": (lambda: mt.use_kernel("conv2d", "fft"), ValueError, ["fft", "im2col_naive"]),
    "an op without kernels": (lambda: mt.use_kernel("conv3d", "naive"), ValueError, ["conv3d"]),
    "backward of many numbers": (lambda: image().requires_grad_().relu().backward(), RuntimeError, ["(2, 3, 5, 7)"]),
    "numpy of a tensor with gradient": (lambda: image().requires_grad_().numpy(), RuntimeError, ["detach"]),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name):
    call, error, words = BAD_CALLS[name]
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value)
    assert len(str(raised.value)) > 10


def test_backward_twice():
    x = image(3).requires_grad_()
    loss = x.exp().sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"second time|retain_graph"):
        loss.backward()


# ---------------------------------------------------------------------------------------------------------------------
# What works, as in torch
# ---------------------------------------------------------------------------------------------------------------------


def test_empty_batches_work():
    x = mt.zeros(0, 3, 8, 9, requires_grad=True)
    weight, bias = image(4, 3, 3, 3).requires_grad_(), image(4).requires_grad_()
    hidden = F.avg_pool2d(F.max_pool2d(F.relu(F.conv2d(x, weight, bias, padding=1)), 2), 2)
    matrix = image(5, 4 * 2 * 2).requires_grad_()
    scores = F.linear(hidden.flatten(1), matrix)
    assert scores.shape == (0, 5)
    loss = F.cross_entropy(scores, mt.zeros(0, dtype=mt.int64), reduction="sum")
    loss.backward()
    assert loss.item() == 0
    assert x.grad.shape == (0, 3, 8, 9)
    for parameter in (weight, bias, matrix):
        assert (parameter.grad.numpy() == 0).all()
    assert np.isnan(F.cross_entropy(scores.detach(), mt.zeros(0, dtype=mt.int64)).item())  # 0 / 0, as in torch


# How each op is called on a (3, 6, 7, 9) array in torch; what cannot be said so is left out.
_WEIGHT = np.linspace(-1, 1, 4 * 6 * 3 * 2, dtype=np.float32).reshape(4, 6, 3, 2)
PROPAGATION = {
    "relu": lambda f, x, weight: f.relu(x),
    "max_pool2d": lambda f, x, weight: f.max_pool2d(x, (2, 3), 1),
    "max_pool2d 2x2": lambda f, x, weight: f.max_pool2d(x, 2),
    "avg_pool2d": lambda f, x, weight: f.avg_pool2d(x, 2, 1),
    "unfold": lambda f, x, weight: f.unfold(x, (2, 3)),
    "conv2d": lambda f, x, weight: f.conv2d(x, weight, padding=1),
    "softmax": lambda f, x, weight: f.softmax(x, 1),
    "log_softmax": lambda f, x, weight: f.log_softmax(x, 1),
    "exp": lambda f, x, weight: x.exp(),
    "log": lambda f, x, weight: x.log(),
    "sqrt": lambda f, x, weight: x.sqrt(),
    "abs": lambda f, x, weight: x.abs(),
    "tanh": lambda f, x, weight: x.tanh(),
    "sigmoid": lambda f, x, weight: x.sigmoid(),
    "sum": lambda f, x, weight: x.sum(3),
    "mean": lambda f, x, weight: x.mean(0),
    "amax": lambda f, x, weight: x.amax(2),
    "amin": lambda f, x, weight: x.amin(1),
    "logsumexp": lambda f, x, weight: x.logsumexp(1),
    "maximum": lambda f, x, weight: x.maximum(x.permute(0, 1, 2, 3) * 0 + 0.25),
    "times 0": lambda f, x, weight: x * 0.0,
    "matmul": lambda f, x, weight: x.reshape(18, 63) @ x.reshape(63, 18),
    "divided by 0": lambda f, x, weight: x / 0.0,
}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", PROPAGATION)
def test_nan_and_infinity_propagate_as_in_torch(name, value, rng):
    values = rng.standard_normal((3, 6, 7, 9)).astype(np.float32)
    values.reshape(-1)[[0, 200, 401, 1133]] = value
    values[1, :, 2, 3] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = PROPAGATION[name](torch.nn.functional, torch.tensor(values), torch.tensor(_WEIGHT))
        got = PROPAGATION[name](F, mt.tensor(values), mt.tensor(_WEIGHT))
    size = np.abs(np.nan_to_num(want.numpy(), posinf=0, neginf=0))
    # K is at most 63 here, and no term exceeds 25: generous, because what counts is where NaN and infinity stand.
    check.close(got, want, bound=1e-5 * size + 1e-3, allow_nonfinite=True, name=name)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_reaches_the_loss_and_every_gradient_that_it_should(value):
    logits = np.zeros((4, 3), np.float32)
    logits[2, 1] = value
    target = np.array([0, 1, 2, 0])
    ours, theirs = mt.tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    losses = (
        F.cross_entropy(ours, mt.tensor(target), reduction="none"),
        torch.nn.functional.cross_entropy(theirs, torch.tensor(target), reduction="none"),
    )
    check.close(losses[0].detach(), losses[1].detach(), bound=1e-6, allow_nonfinite=True)
    losses[0].backward(mt.ones(4))
    losses[1].backward(torch.ones(4))
    check.close(ours.grad, theirs.grad, bound=1e-6, allow_nonfinite=True)


def test_arrays_of_any_layout_give_the_same_result():
    values = np.random.default_rng(5).standard_normal((2, 3, 6, 7)).astype(np.float32)
    want = F.conv2d(mt.tensor(values), mt.tensor(_WEIGHT[:, :3])).numpy()
    read_only = values.copy()
    read_only.flags.writeable = False
    for array in (np.asfortranarray(values), values.astype(">f4"), read_only, np.repeat(values, 2, axis=3)[..., ::2]):
        check.equal(F.conv2d(mt.from_numpy(array), mt.from_numpy(_WEIGHT[:, :3])).numpy(), want)


# ---------------------------------------------------------------------------------------------------------------------
# Sizes of windows, drawn: as torch, or a ValueError where torch raises too
# ---------------------------------------------------------------------------------------------------------------------

pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
# Fresh draws in every run; hypothesis prints the one that failed, and how to repeat it.
drawn = settings(
    max_examples=60, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck), database=None
)


def _as_torch(ours, theirs, values, bound) -> None:
    """Both functions give the same, or both raise."""
    try:
        want = theirs(torch.tensor(values))
        of_one_image = theirs(torch.zeros(1, *values.shape[1:]))
    except (RuntimeError, ValueError):
        with pytest.raises(ValueError):
            ours(mt.tensor(values))
        return
    if of_one_image.isneginf().any():
        # A dilated window that sees padding alone has no largest element; torch: -inf, with an index outside.
        with pytest.raises(ValueError, match="nothing but padding"):
            ours(mt.tensor(values))
        return
    check.close(ours(mt.tensor(values)), want, bound=bound, allow_nonfinite=True)


@drawn
@given(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)), pairs, pairs, pairs, pairs)
def test_any_convolution(sizes, kernel, stride, padding, dilation):
    batch, height, width = sizes
    padding = (padding[0] - 1, padding[1] - 1)
    values = np.random.default_rng(sum(sizes)).standard_normal((batch, 2, height, width)).astype(np.float32)
    weight = np.random.default_rng(3).standard_normal((3, 2, *kernel)).astype(np.float32)
    _as_torch(
        lambda x: F.conv2d(x, mt.tensor(weight), None, stride, padding, dilation),
        lambda x: torch.nn.functional.conv2d(x, torch.tensor(weight), None, stride, padding, dilation),
        values,
        # K = 2 * 4 * 4 terms of size at most 16.
        bound=2 * 32 * np.finfo(np.float32).eps * 32 * 16,
    )


@drawn
@given(
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)),
    pairs,
    pairs,
    pairs,
    pairs,
    st.booleans(),
    st.booleans(),
)
def test_any_pooling(sizes, kernel, stride, padding, dilation, ceil_mode, count_include_pad):
    batch, height, width = sizes
    padding = (padding[0] - 1, padding[1] - 1)
    values = np.random.default_rng(sum(sizes)).integers(-2, 3, (batch, 2, height, width)).astype(np.float32)
    _as_torch(
        lambda x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode),
        lambda x: torch.nn.functional.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode),
        values,
        bound=0,
    )
    _as_torch(
        lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad),
        lambda x: torch.nn.functional.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad),
        values,
        bound=2 * 17 * np.finfo(np.float32).eps * 2,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Large
# ---------------------------------------------------------------------------------------------------------------------


def test_requests_larger_than_the_machine():
    for shape in ((2**40,), (2**20, 2**20), (2**60,)):
        with pytest.raises(MemoryError, match=r"asked for \d+ MiB more.*this machine has \d+ MiB"):
            backend.empty(shape)
    with pytest.raises(MemoryError, match="MiB"):
        ops.broadcast_to(mt.zeros(1), (2**20, 2**21))
    with pytest.raises(MemoryError, match="MiB"):
        mt.zeros(2**20, 1) + mt.zeros(1, 2**20)
    with pytest.raises(MemoryError, match="MiB"):
        mt.zeros(2**19, 1) @ mt.zeros(1, 2**20)
    for shape in ((2**62, 4), (2**63 - 1, 2)):
        with pytest.raises(ValueError, match=re.escape(str(shape))):
            backend.empty(shape)
    assert (backend.full((3,), 1.0).numpy() == 1).all()  # and it goes on


def test_more_than_two_to_the_31_elements():
    count = 2**31 + 12345
    meminfo = pathlib.Path("/proc/meminfo")
    if not meminfo.exists() or int(re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())[1]) < 3 * 2**20:
        pytest.skip("needs 3 GiB of free memory")
    array = backend.full((count,), 1, backend.uint8)
    array.numpy()[-3:] = (5, 6, 7)
    assert array.size == count
    assert backend.sum(array).item() == count - 3 + 5 + 6 + 7
    check.equal(backend.narrow(array, 0, count - 4, 4).numpy(), np.array([1, 5, 6, 7], np.uint8))
    assert backend.argmax(array, 0).item() == count - 1
    rows = array.reshape((-1, 5)) if count % 5 == 0 else array.reshape((count, 1))
    last = backend.index_select(rows, backend.from_numpy(np.array([rows.shape[0] - 1])))
    assert last.numpy()[0, -1] == 7
    del array, rows
    gc.collect()
    backend.empty_cache()
