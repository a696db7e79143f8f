"""Every kernel of csrc/cuda that is not matmul's or convolution's, by name, against float64, element by element; on the
emulator also watched, and with the same bits in every order of the threads."""

import mytensor_backend as backend
import numpy as np
import pytest
from cases import MAKERS, Case, cases

import mytensor as mt

ELSEWHERE = {"conv2d", "conv2d_bias_grad", "im2col", "matmul"}  # have tests of their own
RUNGS = [(op, row["name"]) for op in sorted(MAKERS) for row in backend.kernels(op, "simt")]


def compare(case: Case, device: str) -> None:
    """The outputs are within their bounds of what is wanted; NaN and infinities only where they are wanted."""
    outputs = case.call(lambda array: backend.from_numpy(np.array(array)).to(device))
    assert len(outputs) == len(case.wanted)
    for output, wanted, bound in zip(outputs, case.wanted, case.bounds, strict=True):
        assert output.device == device
        got = output.cpu().numpy()
        assert got.shape == np.shape(wanted), f"{case.name}: shape {got.shape}, wanted {np.shape(wanted)}"
        if np.ndim(bound) == 0 and bound == 0:
            np.testing.assert_array_equal(got, np.asarray(wanted), case.name)
            continue
        error = np.abs(got.astype(np.float64) - wanted)
        is_right = error <= bound  # written so that NaN is wrong
        assert is_right.all(), f"{case.name}: {got[~is_right][:5]} wanted {np.asarray(wanted)[~is_right][:5]}"


def test_every_op_with_a_device_kernel_has_a_case():
    with_kernels = {op for op in backend.ops_with_kernels() if backend.kernels(op, "simt")}
    assert with_kernels - ELSEWHERE == set(MAKERS)


@pytest.mark.parametrize("op, rung", RUNGS, ids=lambda value: value)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_rung_equals_float64(op, rung, dtype, device, rng):
    with mt.use_kernel(op, rung):
        for case in cases(op, rng, dtype, small=False):
            compare(case, device)


@pytest.mark.parametrize("order", ("ascending", "descending"))
@pytest.mark.parametrize("op, rung", RUNGS, ids=lambda value: value)
def test_a_watched_rung(op, rung, order, rng):
    with mt.use_kernel(op, rung), mt.simt.order(order), mt.simt.watch():
        for case in cases(op, rng, np.float32, small=True):
            compare(case, "simt")


@pytest.mark.parametrize("op, rung", [pair for pair in RUNGS if pair[1] != "atomic"], ids=lambda value: value)
def test_the_bits_do_not_depend_on_the_order(op, rung, rng):
    with mt.use_kernel(op, rung):
        for case in cases(op, rng, np.float32, small=False):
            bits = []
            for order in ("ascending", "descending", "shuffled"):
                with mt.simt.order(order):
                    outputs = case.call(lambda array: backend.from_numpy(np.array(array)).to("simt"))
                    bits.append([output.cpu().numpy().tobytes() for output in outputs])
            assert bits[0] == bits[1] == bits[2], case.name


def test_naive_cross_entropy_overflows_and_the_others_do_not():
    logits = backend.from_numpy(np.array([[200.0, 0, 0]], np.float32)).to("simt")
    target = backend.from_numpy(np.array([1])).to("simt")
    for rung, is_finite in (("naive", False), ("log_sum_exp", True), ("online", True)):
        with mt.use_kernel("cross_entropy", rung):
            assert np.isfinite(backend.cross_entropy(logits, target)[0].item()) == is_finite


@pytest.mark.parametrize("rung", ("log_sum_exp", "online"))
@pytest.mark.parametrize("row", ([-np.inf] * 3, [-np.inf, 1.0, 2.0], [np.nan, 0.0, 0.0], [np.inf, 0.0, 1.0]))
def test_cross_entropy_of_what_is_not_finite(row, rung):
    logits, target = np.array([row], np.float32), np.array([2])
    wanted = backend.cross_entropy(backend.from_numpy(logits), backend.from_numpy(target))[0].item()
    with mt.use_kernel("cross_entropy", rung):
        got = backend.cross_entropy(*(backend.from_numpy(array).to("simt") for array in (logits, target)))[0].item()
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_indices_and_labels_on_a_device_are_checked(device):
    def put(values, dtype=np.int64):
        return backend.from_numpy(np.array(values, dtype)).to(device)

    x = backend.full((3, 2), 1.0, backend.float32, device)
    for wrong in (3, -1):
        with pytest.raises(IndexError, match=rf"index\[1\] is {wrong}"):
            backend.index_select(x, put([0, wrong]))
    with pytest.raises(IndexError, match="is 2; labels go from 0 to 1"):
        backend.cross_entropy(x, put([0, 1, 2]))
    backend.cross_entropy(x, put([0, 1, -100]))
    with pytest.raises(IndexError, match="an index is negative or not below 16"):
        backend.max_pool2d_backward(
            backend.full((1, 1, 2, 2), 1.0, backend.float32, device), put([[[[0, 1], [2, 16]]]]), (1, 1, 4, 4)
        )
    # What is written later is looked at again.
    index = put([0, 1])
    backend.index_select(x, index)
    backend.fill_(index, 7)
    with pytest.raises(IndexError, match="is 7"):
        backend.index_select(x, index)
    # And what is selected from an array of labels is no larger than they are.
    labels = put([0, 1, 5])
    with pytest.raises(IndexError, match="is 5"):
        backend.index_select(x, backend.narrow(labels, 0, 1, 2))
    backend.index_select(x, backend.narrow(labels, 0, 0, 2))
