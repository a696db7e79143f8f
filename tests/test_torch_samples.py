"""PyTorch's own samples of its operators (its OpInfo database), run through every operation of ours that has one: the
outputs and all gradients, for every dtype we have, beside torch's.

Nobody names the operations. An entry of the database is tried if it has the name of a method of Tensor, of a function
of nn.functional or of one of mytensor; so the next operation is tried without being named here. What is refused is
refused in a sentence of ours: REASONS lists these sentences, and a new one is noticed.
"""

from __future__ import annotations

import functools
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import pytest
import torch

import mytensor as mt
import mytensor.nn.functional as F
from mytensor import ops

pytest.importorskip("expecttest", reason="torch's samples need the package expecttest, of the extra dev")
# The import would freeze the switches of torch.backends, which the tests of comparing and benching throw.
with warnings.catch_warnings(), mock.patch.object(torch.backends, "disable_global_flags", lambda: None):
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

DTYPES = {
    torch.float32: mt.float32,
    torch.float64: mt.float64,
    torch.int64: mt.int64,
    torch.int32: mt.int32,
    torch.uint8: mt.uint8,
}
DTYPE_OF = {**DTYPES, torch.bool: mt.uint8}  # there is no boolean dtype here

# Entries whose name is one of ours, but which mean something else, or nothing that could be compared: name -> reason.
ELSEWHERE = {
    "select": "torch's is x[..., i]; ops.select takes rows by their numbers, torch's index_select",
    "normal": "torch.normal draws by tensors of means; ours are normal_ and randn",
    "normal.number_mean": "torch.normal draws by tensors of means; ours are normal_ and randn",
}
# What is drawn or never written: only shape and dtype are compared.
NO_VALUES = {"empty", "empty_like", "rand_like", "randn", "randn_like", "normal.in_place", "uniform"}


# Entries whose arguments come in another order than ours, or by place where ours want them by name, or whose function
# writes into what it is given.
IN_OUR_WORDS = {
    "where": lambda x, mask, other: mt.where(mask, x, other),
    "fill": lambda x, value: x.clone().fill_(value),
    "zero_": lambda x: x.clone().zero_(),
    "normal.in_place": lambda x, *numbers: x.detach().normal_(*numbers),
    "uniform": lambda x, *numbers: x.detach().uniform_(*numbers),
    "to": lambda x, *arguments: x.to(*arguments[:-1], copy=arguments[-1]),
}

# The sentences with which samples are refused. A number in a message is an N.
NOT_FLOATING = r"wanted floatN or floatN"
REASONS = {
    "functions of integers": NOT_FLOATING,
    "a number that an integer dtype does not hold": r"the number -?N(\.N)? does not fit",
    "fractions in an integer range": r"arange: fractions do not fit",
    "masks and several lists as an index": r"supported are ints, slices with step N",
    "a bool for a dimension": r"a dim must be an int, got (True|False)",
    "two tensors for max": r"dim must be an int, got .*x\.maximum\(y\)",
}


# The database by name, with the variant behind a dot.
ENTRIES = {info.name + (f".{info.variant_test_name}" if info.variant_test_name else ""): info for info in op_db}


def counterpart(name: str, info) -> Callable | None:
    """Our function for an entry of the database."""
    if name in ELSEWHERE:
        return None
    if name in IN_OUR_WORDS:
        return IN_OUR_WORDS[name]
    if info.name.startswith("nn.functional."):
        return getattr(F, info.name.removeprefix("nn.functional."), None)
    for place in (mt.Tensor, mt, ops):
        found = vars(place).get(info.name)
        if callable(found):
            return found
        if isinstance(found, property):
            return found.fget
    return None


TRIED = {name: (info, counterpart(name, info)) for name, info in ENTRIES.items() if counterpart(name, info)}


# ---------------------------------------------------------------------------------------------------------------------
# One sample
# ---------------------------------------------------------------------------------------------------------------------


class NotOurs(Exception):
    """The sample has something that we have no word for: a dtype, a layout."""


def translate(value, device: str, leaves: list):
    """torch's arguments in our words. leaves: collects (our tensor, torch's) of those that get a gradient."""
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPE_OF:
            raise NotOurs(str(value.dtype))
        tensor = mt.tensor(value.detach().contiguous().numpy(), device=device, requires_grad=value.requires_grad)
        if value.requires_grad:
            leaves.append((tensor, value))
        return tensor
    if isinstance(value, torch.dtype):
        if value not in DTYPE_OF:
            raise NotOurs(str(value))
        return DTYPE_OF[value]
    if isinstance(value, torch.device) or value == "cpu":
        return device
    if isinstance(value, (tuple, list)):
        parts = [translate(part, device, leaves) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, dict):  # memory_format: ours are contiguous, and the numbers are the same
        return {key: translate(part, device, leaves) for key, part in value.items() if key != "memory_format"}
    return value


def compare(ours, theirs, what: str, values: bool = True) -> None:
    """The same shape, dtype and elements. Both are rounded; the samples' sums have a few hundred terms at most."""
    if not isinstance(theirs, torch.Tensor):
        assert ours == theirs, f"{what}: {ours}, wanted {theirs}"
        return
    assert isinstance(ours, mt.Tensor), f"{what}: {type(ours).__name__}"
    got, wanted = ours.detach().cpu().numpy(), theirs.detach().numpy()
    wanted = wanted.astype(np.uint8) if wanted.dtype == bool else wanted
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), what
    if not values:
        return
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, what)
        return
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(got[~finite], wanted[~finite], what)
    error = np.abs(got - wanted)[finite]
    bound = 512 * np.finfo(wanted.dtype).eps * max(np.abs(wanted[finite]).max(initial=0), 1)
    assert (error <= bound).all(), f"{what}: largest error {error.max()}, bound {bound}"


def compare_gradients(output: mt.Tensor, wanted: torch.Tensor, leaves: list) -> None:
    upstream = np.random.default_rng(7).standard_normal(tuple(wanted.shape)).astype(wanted.detach().numpy().dtype)
    theirs = torch.autograd.grad(wanted, [leaf for _, leaf in leaves], torch.tensor(upstream), allow_unused=True)
    output.backward(mt.tensor(upstream, device=output.device))
    for (leaf, _), gradient in zip(leaves, theirs, strict=True):
        if gradient is None:
            assert leaf.grad is None or not leaf.grad.cpu().numpy().any(), "a gradient where torch has none"
        else:
            assert leaf.grad is not None, "no gradient"
            compare(leaf.grad, gradient, f"gradient of an input of shape {leaf.shape}")


def run(name: str, sample, device: str = "cpu") -> str:
    """ "right", "not ours", or the reason for which the sample was refused. AssertionError: it is wrong."""
    info, function = TRIED[name]
    leaves: list = []
    try:
        arguments = [translate(value, device, leaves) for value in (sample.input, *sample.args)]
        options = translate(sample.kwargs, device, leaves)
    except NotOurs:
        return "not ours"
    wanted = info.op(sample.input, *sample.args, **sample.kwargs)
    try:
        output = function(*arguments, **options)
    except (TypeError, ValueError, IndexError, NotImplementedError) as error:
        text = re.sub(r"\d+", "N", str(error))
        reasons = [reason for reason, words in REASONS.items() if re.search(words, text)]
        assert reasons, f"{type(error).__name__}: {error} (no sentence of REASONS)"
        return reasons[0]
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    output = output if isinstance(output, (tuple, list)) else (output,)
    assert len(output) == len(wanted)
    for ours, theirs in zip(output, wanted, strict=True):
        compare(ours, theirs, "output", name not in NO_VALUES)
    if leaves and name not in NO_VALUES and isinstance(wanted[0], torch.Tensor) and wanted[0].requires_grad:
        compare_gradients(output[0], wanted[0], leaves)
    return "right"


def samples(info, dtype: torch.dtype) -> Iterator:
    """max_pool2d has 1440 a dtype, of every combination of its arguments: some of them will do."""
    grad = dtype.is_floating_point and info.supports_autograd
    drawn = info.sample_inputs("cpu", dtype, requires_grad=grad)
    step = 13 if info.name == "nn.functional.max_pool2d" else 1
    return itertools.islice(drawn, 0, None, step)


@functools.cache
def outcomes(name: str, device: str = "cpu", dtypes: tuple = tuple(DTYPES), most: int | None = None) -> Counter:
    """How often a sample was right, not ours, or refused for which reason. AssertionError for a wrong one."""
    info, _ = TRIED[name]
    counts: Counter = Counter()
    for dtype in dtypes:
        if dtype not in info.supported_dtypes("cpu"):
            continue
        for place, sample in enumerate(itertools.islice(samples(info, dtype), most)):
            try:
                counts[run(name, sample, device)] += 1
            except AssertionError as error:
                raise AssertionError(f"{name}, {dtype}, sample {place}, {sample.summary()}: {error}") from error
    return counts


# ---------------------------------------------------------------------------------------------------------------------
# The tests
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def quiet_torch():
    """Warnings of torch's are its own affair; on small arrays threads cost more than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", sorted(TRIED))
def test_samples(name):
    assert outcomes(name).total() > 0


def test_counts():
    """So that a sample which is newly refused is noticed, and a sentence which nobody meets any more."""
    counts: Counter = sum((outcomes(name) for name in sorted(TRIED)), Counter())
    print(counts)
    refused = {reason for reason in counts if reason not in ("right", "not ours")}
    assert refused == set(REASONS)
    assert counts["right"] >= 4400, counts
    assert counts["not ours"] == 0, counts


def test_what_is_left_out_is_there():
    assert set(ELSEWHERE) | set(IN_OUR_WORDS) | NO_VALUES <= set(ENTRIES)


DEVICES = [device for device, problem in (("simt", mt.simt.problem()), ("cuda", mt.cuda.problem())) if not problem]


@pytest.mark.parametrize("device", DEVICES)
def test_samples_on_a_device(device):
    """The first samples; tests/device has more of the kernels."""
    for name in sorted(TRIED):
        assert outcomes(name, device, (torch.float32, torch.int64), 2).total() > 0


def test_what_torch_refuses():
    """The samples that torch answers with an error are answered with one of ours: no number comes back."""
    refused = 0
    for name, (info, function) in TRIED.items():
        for error in info.error_inputs("cpu") if info.error_inputs_func else ():
            sample = error.sample_input
            arguments = (sample.input, *sample.args)
            is_number = isinstance(sample.input, (int, float)) and info.name not in vars(mt.creation)
            tensors = [value for value in arguments if torch.is_tensor(value)]
            is_ours = all(tensor.dtype in DTYPES and tensor.ndim <= 64 for tensor in tensors)  # numpy's limit
            if "out" in sample.kwargs or is_number or not is_ours:
                continue  # there is no out=, no boolean and no complex dtype; a number may be the first operand
            ours = [translate(value, "cpu", []) for value in arguments]
            with pytest.raises((TypeError, ValueError, IndexError, NotImplementedError, RuntimeError)) as raised:
                print(name, sample.summary(), function(*ours, **translate(sample.kwargs, "cpu", [])))
            assert is_a_sentence(str(raised.value)), f"{name}, {sample.summary()}: {raised.value}"
            refused += 1
    assert refused >= 70


def is_a_sentence(text: str) -> bool:
    """Not one of Python's or pybind11's own messages."""
    own = "incompatible function|keyword argument|positional argument|object is not|object has no|not supported between"
    return len(text) > 10 and not re.search(own, text)


def test_a_wrong_function_is_noticed(monkeypatch):
    """The planted ones: an operand too many, a value in place of its gradient's, the other rounding, a dtype."""
    wrong = {
        "add": lambda x, other, alpha=1: x + other,
        "abs": lambda x: x.relu() + (x - x.relu()).neg().detach() if x.is_floating_point() else x.abs(),
        "div.floor_rounding": lambda x, other, rounding_mode: x.div(other, rounding_mode="trunc"),
        "eq": lambda x, other: (x == other).long(),
    }
    for name, function in wrong.items():
        monkeypatch.setitem(TRIED, name, (TRIED[name][0], function))
        with pytest.raises(AssertionError, match=name):
            outcomes.__wrapped__(name)
