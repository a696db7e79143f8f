"""The softmax family and the losses against float64 torch, element by element."""

import mytensor_backend as backend
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from arrays import FLOATING, draw, for_all_threads, nd, same

from mytensor.check.comparison import within

pytestmark = pytest.mark.usefixtures("poisoned_memory")

SHAPES = [
    ((), 0),
    ((1,), 0),
    ((300,), -1),
    ((7, 10), 1),
    ((7, 10), 0),
    ((3, 33, 5), 1),
    ((2, 5, 3, 17), -3),
    ((0, 3), 1),
]
SHAPES += [((3, 0), 1), ((4, 1, 9), 1), ((65, 16), 1)]
FAMILY = {
    "softmax": (torch.softmax, backend.softmax, backend.softmax_backward),
    "log_softmax": (torch.log_softmax, backend.log_softmax, backend.log_softmax_backward),
}


def double(array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float64))


def same_kinds(ours: backend.NDArray, theirs: torch.Tensor) -> None:
    """NaN, infinity and minus infinity stand in the same places."""
    finite = np.isfinite(theirs.numpy())
    np.testing.assert_array_equal(np.isfinite(ours.numpy()), finite)
    np.testing.assert_array_equal(ours.numpy()[~finite], theirs.numpy()[~finite])


@pytest.mark.parametrize("size", (1, 30, 1e4))
@pytest.mark.parametrize("shape, dim", SHAPES, ids=str)
@pytest.mark.parametrize("op", FAMILY)
@pytest.mark.parametrize("dtype", FLOATING)
def test_softmax_family(dtype, op, shape, dim, size, rng):
    reference, forward, backward = FAMILY[op]
    values = np.asarray(size * draw(rng, shape, np.float64), dtype)
    upstream = np.asarray(draw(rng, shape, np.float64), dtype)
    x = double(values).requires_grad_()
    wanted = reference(x, dim)
    length = x.shape[dim] if x.ndim else 1
    if x.numel() == 0:
        assert forward(nd(values), dim).shape == shape
        return
    eps = np.finfo(dtype).eps
    # x - maximum is rounded by eps/2 of it: a relative error of its exponential. Then K additions and a few roundings.
    spread = (x.amax(dim, keepdim=True) - x).detach().numpy()
    output = forward(nd(values), dim)
    if op == "softmax":
        within(
            output,
            wanted.detach().numpy(),
            (length + 5 + spread) * eps * wanted.detach().numpy() + np.finfo(dtype).tiny,
        )
    else:
        within(output, wanted.detach().numpy(), (length + 5 + 2 * spread + np.log(length)) * eps)

    # The derivative is that at the output it is given.
    given = output.numpy().astype(np.float64)
    u = upstream.astype(np.float64)
    axis = dim if x.ndim else None
    if op == "softmax":
        gradient = given * (u - (u * given).sum(axis, keepdims=True))
        bound = (length + 3) * eps * given * (np.abs(u) + np.abs(u * given).sum(axis, keepdims=True))
    else:
        gradient = u - np.exp(given) * u.sum(axis, keepdims=True)
        bound = (length + 5) * eps * (np.abs(u) + np.exp(given) * np.abs(u).sum(axis, keepdims=True))
    within(backward(nd(upstream), output, dim), np.asarray(gradient), bound + np.finfo(dtype).tiny)
    # And the gradient is torch's, up to the rounding of the output.
    wanted.backward(double(upstream))
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=0, atol=(length + 20) ** 2 * eps * (1 + size / 100))


@pytest.mark.parametrize("op", FAMILY)
@pytest.mark.parametrize("dim", (0, 1, 2))
@pytest.mark.parametrize("dtype", FLOATING)
def test_softmax_of_infinities(dtype, dim, op, rng):
    reference, forward, _ = FAMILY[op]
    x = draw(rng, (5, 4, 19), dtype)
    x[0], x[:, 1, 7], x[1, 2, 3], x[2, 0, 0], x[3, :, 4] = -np.inf, -np.inf, np.inf, np.nan, -np.inf
    same_kinds(forward(nd(x), dim), reference(torch.from_numpy(x), dim))


@pytest.mark.parametrize("keepdim", (False, True))
@pytest.mark.parametrize("size", (1, 1e4))
@pytest.mark.parametrize(
    "shape, dims",
    [
        ((7, 10), (1,)),
        ((7, 10), (0, 1)),
        ((3, 5, 7, 11), (0, 2)),
        ((3, 5, 7, 11), (1, -1)),
        ((40, 3), (0,)),
        ((2, 0), (1,)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", FLOATING)
def test_logsumexp(dtype, shape, dims, size, keepdim, rng):
    values = np.asarray(size * draw(rng, shape, np.float64), dtype)
    wanted = torch.logsumexp(double(values), dims, keepdim).numpy()
    ours = backend.logsumexp(nd(values), dims, keepdim)
    if 0 in shape:
        same(ours, wanted.astype(dtype))
        return
    bound = np.finfo(dtype).eps * (values.size + 5 + 2 * len(dims) * np.abs(values).max())
    within(ours, wanted, bound)


def test_logsumexp_of_infinities(rng):
    x = draw(rng, (6, 20), np.float32)
    x[0], x[1, 3], x[2, 4], x[3, 5:7], x[4, 8] = -np.inf, np.inf, np.nan, (np.inf, -np.inf), -np.inf
    for dim in (0, 1):
        same_kinds(backend.logsumexp(nd(x), [dim]), torch.logsumexp(torch.from_numpy(x), dim))


LOGITS = [(64, 10), (5, 3), (1, 1), (7, 40), (3, 5, 2), (2, 4, 5, 7), (2, 33, 3, 17), (0, 3), (2, 3, 0)]


def classification(rng, shape, dtype, size=1.0, ignore_index=-100):
    """Logits, targets of which some are ignored, and class weights."""
    logits = np.asarray(size * draw(rng, shape, np.float64), dtype)
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    target[rng.random(target.shape) < 0.3] = ignore_index
    target.flat[:1] = 0  # one at least counts
    return logits, target, rng.uniform(0.5, 2, shape[1]).astype(dtype)


@pytest.mark.parametrize("label_smoothing", (0.0, 0.1, 1.0))
@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize("reduction", ("none", "mean", "sum"))
@pytest.mark.parametrize("shape", LOGITS, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_cross_entropy(dtype, shape, reduction, weighted, label_smoothing, rng):
    for size, ignore_index in ((1, -100), (1e4, 255)):
        values, target, weight = classification(rng, shape, dtype, size, ignore_index)
        logits = double(values).requires_grad_()
        options = (reduction, ignore_index, label_smoothing)
        wanted = F.cross_entropy(
            logits,
            torch.from_numpy(target),
            double(weight) if weighted else None,
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
        )
        class_weights = nd(weight) if weighted else None
        loss, log_sum_exp, total_weight = backend.cross_entropy(nd(values), nd(target), class_weights, *options)
        counted = target != ignore_index
        eps, classes = np.finfo(dtype).eps, shape[1]
        # The reference adds up in float64 as we do, in an order of its own.
        summation = target.size * np.finfo(np.float64).eps
        sum_of_weights = np.float64(weight[target[counted]].astype(np.float64).sum() if weighted else counted.sum())
        within(total_weight, np.asarray(sum_of_weights), (summation + eps) * sum_of_weights)

        # Each loss: a few roundings of numbers up to the spread of the logits; for smoothing, a sum over the classes.
        one = (
            2 * eps * (classes + 8) * (1 + (np.ptp(values) if values.size else 0) * (classes if label_smoothing else 1))
        )
        if values.size == 0 and reduction == "mean":
            assert np.isnan(loss.numpy()) and torch.isnan(wanted)
        else:
            within(loss, wanted.detach().numpy(), 2 * one * (target.size if reduction == "sum" else 1))
        exact = torch.logsumexp(logits, 1).detach().numpy()
        within(log_sum_exp, exact, eps * (classes + 5 + 2 * np.abs(exact)))

        upstream = np.asarray(draw(rng, tuple(wanted.shape), np.float64), dtype)
        wanted.backward(double(upstream))
        gradient = backend.cross_entropy_backward(
            nd(upstream), nd(values), nd(target), log_sum_exp, total_weight, class_weights, *options
        )
        # Of probabilities, with an error of the rounded exponent each, up to the weight of all classes.
        largest = 2 * (1 + (classes if label_smoothing else 0)) * np.abs(upstream).max(initial=0)
        within(gradient, logits.grad.numpy(), eps * (classes + 20) * largest * (4 if size == 1 else 40))


@pytest.mark.parametrize("shape", ((9, 10), (3, 7, 5)), ids=str)
def test_large_logits_close_together(shape, rng):
    """The log-sum-exp is near 10,000, where float32 numbers are 0.001 apart; losses and gradients must be finer."""
    values = (10_000 + 2 * draw(rng, shape, np.float64)).astype(np.float32)
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    logits = double(values).requires_grad_()
    wanted = F.cross_entropy(logits, torch.from_numpy(target), reduction="none")
    loss, *saved = backend.cross_entropy(nd(values), nd(target), None, "none")
    bound = (shape[1] + 8) * np.finfo(np.float32).eps * (1 + np.ptp(values))
    within(loss, wanted.detach().numpy(), bound)
    wanted.sum().backward()
    ones = nd(np.ones(target.shape, np.float32))
    gradient = backend.cross_entropy_backward(ones, nd(values), nd(target), *saved, None, "none", -100, 0.0)
    within(gradient, logits.grad.numpy(), bound)


@pytest.mark.parametrize("label_smoothing", (0.0, 0.3))
def test_naive_cross_entropy(label_smoothing, rng):
    values, target, weight = classification(rng, (6, 5, 3), np.float64)
    stable = backend.cross_entropy(nd(values), nd(target), nd(weight), "none", -100, label_smoothing)
    backend.select_kernel("cross_entropy", "naive")
    try:
        naive = backend.cross_entropy(nd(values), nd(target), nd(weight), "none", -100, label_smoothing)
        for ours, theirs in zip(naive, stable, strict=True):
            within(ours, theirs.numpy(), 1e-13)
        large = nd(np.array([[100.0, 0.0]], np.float32))
        loss, log_sum_exp, _ = backend.cross_entropy(large, nd(np.array([0])))
        assert loss.item() == log_sum_exp.item() == np.inf  # which log_sum_exp is there to avoid
    finally:
        backend.select_kernel("cross_entropy", None)
    assert backend.cross_entropy(large, nd(np.array([0])))[0].item() == 0


@pytest.mark.parametrize("weighted", (False, True))
@pytest.mark.parametrize("reduction", ("none", "mean", "sum"))
@pytest.mark.parametrize("shape", LOGITS, ids=str)
@pytest.mark.parametrize("dtype", FLOATING)
def test_nll_loss(dtype, shape, reduction, weighted, rng):
    values, target, weight = classification(rng, shape, dtype)
    x = double(values).requires_grad_()
    class_weights = nd(weight) if weighted else None
    wanted = F.nll_loss(x, torch.from_numpy(target), double(weight) if weighted else None, reduction=reduction)
    loss, total_weight = backend.nll_loss(nd(values), nd(target), class_weights, reduction)
    # The reference adds up in float64 as we do, in an order of its own.
    eps = np.finfo(dtype).eps + target.size * np.finfo(np.float64).eps
    if values.size == 0 and reduction == "mean":
        assert np.isnan(loss.numpy()) and torch.isnan(wanted)
    else:
        bound = 4 * eps * 2 * np.abs(values).max(initial=0) * (target.size if reduction == "sum" else 1)
        within(loss, wanted.detach().numpy(), bound)
    upstream = np.asarray(draw(rng, tuple(wanted.shape), np.float64), dtype)
    wanted.backward(double(upstream))
    gradient = backend.nll_loss_backward(nd(upstream), nd(target), shape, class_weights, reduction, -100, total_weight)
    within(gradient, x.grad.numpy(), 4 * eps * np.abs(x.grad.numpy()))


@pytest.mark.parametrize("label_smoothing", (0.0, 0.1))
def test_all_ignored(label_smoothing, rng):
    logits = draw(rng, (3, 4), np.float32)
    target = np.full(3, -100)
    one = nd(np.float32(1))
    for reduction, wanted in (("none", np.zeros(3)), ("sum", 0.0), ("mean", np.nan)):
        upstream = nd(np.ones(3, np.float32)) if reduction == "none" else one
        options = (reduction, -100, label_smoothing)
        loss, log_sum_exp, total_weight = backend.cross_entropy(nd(logits), nd(target), None, *options)
        same(loss, np.asarray(wanted, np.float32))
        gradient = backend.cross_entropy_backward(
            upstream, nd(logits), nd(target), log_sum_exp, total_weight, None, *options
        )
        same(gradient, np.zeros((3, 4), np.float32))
        loss, total_weight = backend.nll_loss(nd(logits), nd(target), None, reduction)
        same(loss, np.asarray(wanted, np.float32))
        gradient = backend.nll_loss_backward(upstream, nd(target), (3, 4), None, reduction, -100, total_weight)
        same(gradient, np.zeros((3, 4), np.float32))


def test_infinite_logits(rng):
    values = draw(rng, (8, 5), np.float32)
    values[0], values[1, 1], values[2, 2], values[3, 0], values[4, 4] = -np.inf, np.inf, np.nan, -np.inf, -np.inf
    target = np.array([0, 1, 0, 0, 2, 3, -100, 4])
    logits = torch.from_numpy(values).requires_grad_()
    for reduction in ("none", "sum"):
        logits.grad = None
        wanted = F.cross_entropy(logits, torch.from_numpy(target), reduction=reduction)
        loss, log_sum_exp, total_weight = backend.cross_entropy(nd(values), nd(target), None, reduction)
        same_kinds(loss, wanted.detach())
        upstream = np.ones(tuple(wanted.shape), np.float32)
        wanted.backward(torch.from_numpy(np.asarray(upstream)))
        gradient = backend.cross_entropy_backward(
            nd(upstream), nd(values), nd(target), log_sum_exp, total_weight, None, reduction, -100, 0.0
        )
        same_kinds(gradient, logits.grad)


@pytest.mark.parametrize("shape", ((700, 10), (5, 9, 31, 33)), ids=str)
def test_threads(shape, rng):
    values, target, weight = (nd(array) for array in classification(rng, shape, np.float32))
    upstream, one = nd(draw(rng, shape, np.float32)), nd(np.float32(1.5))
    for _, forward, backward in FAMILY.values():
        output = forward(values, 1)
        for_all_threads(lambda forward=forward: forward(values, 1))
        for_all_threads(lambda backward=backward, output=output: backward(upstream, output, 1))
    for_all_threads(lambda: backend.logsumexp(values, [1]))
    options = ("mean", -100, 0.1)
    _, log_sum_exp, total_weight = backend.cross_entropy(values, target, weight, *options)
    for i in range(3):
        for_all_threads(lambda i=i: backend.cross_entropy(values, target, weight, *options)[i])
    saved = (log_sum_exp, total_weight, weight)
    for_all_threads(lambda: backend.cross_entropy_backward(one, values, target, *saved, *options))
    for_all_threads(lambda: backend.nll_loss(values, target, weight)[0])
    for_all_threads(lambda: backend.nll_loss_backward(one, target, shape, weight, "mean", -100, total_weight))


def test_errors():
    logits, target = nd(np.zeros((3, 4, 2), np.float32)), np.zeros((3, 2), np.int64)
    for loss in (backend.cross_entropy, backend.nll_loss):
        for wrong in (4, -1):
            labels = target.copy()
            labels[1, 1] = labels[2, 0] = wrong
            with pytest.raises(IndexError, match=rf"position \(1, 1\) is {wrong}; labels go from 0 to 3"):
                loss(logits, nd(labels))
            loss(logits, nd(labels), None, "mean", wrong)
        with pytest.raises(ValueError, match=r"wanted \(3, 2\)"):
            loss(logits, nd(target.T.copy()))
        with pytest.raises(TypeError, match="int64"):
            loss(logits, nd(target.astype(np.float32)))
        with pytest.raises(TypeError, match="float32 or float64"):
            loss(nd(np.zeros((3, 4, 2), np.int64)), nd(target))
        with pytest.raises(ValueError, match=r"wanted \(N, C\)"):
            loss(nd(np.zeros(3, np.float32)), nd(target))
        with pytest.raises(ValueError, match="'none', 'mean' or 'sum'"):
            loss(logits, nd(target), None, "average")
        with pytest.raises(ValueError, match="weight"):
            loss(logits, nd(target), nd(np.ones(3, np.float32)))
        with pytest.raises(TypeError, match="weight"):
            loss(logits, nd(target), nd(np.ones(4)))
    with pytest.raises(ValueError, match="label_smoothing"):
        backend.cross_entropy(logits, nd(target), label_smoothing=1.1)
    with pytest.raises(ValueError, match="label_smoothing"):
        backend.cross_entropy(logits, nd(target), label_smoothing=float("nan"))
    _, log_sum_exp, total_weight = backend.cross_entropy(logits, nd(target))
    with pytest.raises(ValueError, match="upstream"):
        backend.cross_entropy_backward(
            nd(np.zeros(3, np.float32)), logits, nd(target), log_sum_exp, total_weight, None, "mean", -100, 0.0
        )
    with pytest.raises(ValueError, match="upstream"):
        backend.nll_loss_backward(nd(np.float32(1)), nd(target), (3, 4, 2), None, "none", -100, total_weight)
    for op in (backend.softmax, backend.log_softmax):
        with pytest.raises(IndexError, match="dimension 3"):
            op(logits, 3)
        with pytest.raises(TypeError, match="int64"):
            op(nd(target), 0)
    with pytest.raises(ValueError, match="empty"):
        backend.logsumexp(logits, [])
    with pytest.raises(ValueError, match="twice"):
        backend.logsumexp(logits, [1, -2])
    with pytest.raises(ValueError, match="upstream"):
        backend.softmax_backward(nd(np.zeros((3, 4), np.float32)), logits, 1)
