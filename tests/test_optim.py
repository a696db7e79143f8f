"""SGD and its schedules against torch, number by number."""

import warnings

import numpy as np
import pytest
import torch

import mytensor as mt

SHAPES = [(3, 5), (7,), (2, 3, 3, 2)]


def run(options, dtype, steps=50, groups=False, schedule=None):
    """The parameters of both after each step, given the same random gradients."""
    draw = np.random.default_rng()
    starts = [draw.standard_normal(shape).astype(dtype) for shape in SHAPES]
    ours = [mt.tensor(start, requires_grad=True) for start in starts]
    theirs = [torch.tensor(start, requires_grad=True) for start in starts]

    def grouped(parameters):
        return (
            [{"params": parameters[:1], "lr": 0.01, "weight_decay": 0.1}, {"params": parameters[1:]}]
            if groups
            else parameters
        )

    my_sgd = mt.optim.SGD(grouped(ours), **options)
    their_sgd = torch.optim.SGD(grouped(theirs), foreach=False, **options)
    my_schedule, their_schedule = schedule(my_sgd, their_sgd) if schedule else (None, None)
    for step in range(steps):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if index == 1 and step in (0, 7):  # a parameter without a gradient in this step, one that starts late
                mine.grad = other.grad = None
                continue
            gradient = draw.standard_normal(mine.shape).astype(dtype)
            mine.grad, other.grad = mt.tensor(gradient), torch.tensor(gradient)
        my_sgd.step()
        their_sgd.step()
        if schedule and step % 5 == 4:
            my_schedule.step()
            their_schedule.step()
            np.testing.assert_allclose(my_schedule.get_last_lr(), their_schedule.get_last_lr(), rtol=1e-12, atol=1e-15)
    return ours, theirs, steps


def assert_close(ours, theirs, steps, dtype):
    """Each step rounds a handful of times; torch may keep or fuse a rounding where we do not: 8 eps a step at most."""
    for mine, other in zip(ours, theirs, strict=True):
        want = other.detach().numpy()
        error = np.abs(mine.detach().numpy() - want)
        assert (error <= 8 * steps * np.finfo(dtype).eps * np.maximum(np.abs(want), 1)).all(), error.max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 0.1, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    ],
    ids=str,
)
def test_steps_like_torch(options, dtype):
    assert_close(*run(options, dtype), dtype)


def test_parameter_groups():
    assert_close(*run({"lr": 0.1, "momentum": 0.9}, np.float64, groups=True), np.float64)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("StepLR", (3, 0.5)), ("MultiStepLR", ([2, 5, 5, 7], 0.3)), ("CosineAnnealingLR", (8, 0.001))],
)
def test_schedules_like_torch(name, arguments):
    def schedule(my_sgd, their_sgd):
        return (
            getattr(mt.optim.lr_scheduler, name)(my_sgd, *arguments),
            getattr(torch.optim.lr_scheduler, name)(their_sgd, *arguments),
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_close(*run({"lr": 0.1, "momentum": 0.9}, np.float64, groups=True, schedule=schedule), np.float64)


def test_schedule_state():
    sgd = mt.optim.SGD([mt.zeros(2, requires_grad=True)], lr=0.8)
    schedule = mt.optim.lr_scheduler.StepLR(sgd, 2, 0.5)
    for _ in range(5):
        schedule.step()
    other = mt.optim.SGD([mt.zeros(2, requires_grad=True)], lr=0.8)
    twin = mt.optim.lr_scheduler.StepLR(other, 100)
    twin.load_state_dict(schedule.state_dict())
    other.load_state_dict(sgd.state_dict())  # the rates themselves are the optimizer's
    assert twin.get_last_lr() == schedule.get_last_lr() == [0.2]
    for each in (schedule, twin):
        each.step()
    assert twin.get_last_lr() == schedule.get_last_lr() == [0.1]


def test_state_dict_continues_bit_for_bit():
    draw = np.random.default_rng()
    gradients = draw.standard_normal((10, 4)).astype(np.float32)

    def steps(parameter, sgd, rows):
        for row in rows:
            parameter.grad = mt.tensor(row)
            sgd.step()

    options = {"lr": 0.1, "momentum": 0.9}
    whole, part = mt.ones(4, requires_grad=True), mt.ones(4, requires_grad=True)
    sgd = mt.optim.SGD([whole], **options)
    steps(whole, sgd, gradients)
    first = mt.optim.SGD([part], **options)
    steps(part, first, gradients[:4])
    saved, resumed = first.state_dict(), mt.tensor(part.detach().numpy(), requires_grad=True)
    second = mt.optim.SGD([resumed], lr=5.0)
    second.load_state_dict(saved)
    steps(resumed, second, gradients[4:])
    assert resumed.tolist() == whole.tolist()
    with pytest.raises(ValueError, match="groups"):
        mt.optim.SGD([whole, part], lr=1).load_state_dict(saved)
    with pytest.raises(ValueError, match="shape"):
        mt.optim.SGD([mt.zeros(3, requires_grad=True)], lr=1).load_state_dict(saved)


def test_step_changes_what_the_graph_saved():
    x = mt.ones(2, requires_grad=True)
    sgd = mt.optim.SGD([x], lr=0.1)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    sgd.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_zero_grad():
    x = mt.ones(2, requires_grad=True)
    sgd = mt.optim.SGD([x], lr=0.1)
    (x * x).sum().backward()
    sgd.zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0, 0]
    sgd.zero_grad()
    assert x.grad is None
    sgd.step()  # nothing to do
    assert x.tolist() == [1, 1] and "lr=0.1" in repr(sgd)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda x: mt.optim.SGD([]), ValueError, "no parameters"),
        (lambda x: mt.optim.SGD(x), TypeError, "list"),
        (lambda x: mt.optim.SGD([1.0]), TypeError, "Tensors"),
        (lambda x: mt.optim.SGD([x * 2]), ValueError, "leaf"),
        (lambda x: mt.optim.SGD([x, x]), ValueError, "twice"),
        (lambda x: mt.optim.SGD([x], lr=-1), ValueError, "lr"),
        (lambda x: mt.optim.SGD([x], lr=float("nan")), ValueError, "lr"),
        (lambda x: mt.optim.SGD([x], nesterov=True), ValueError, "nesterov"),
        (lambda x: mt.optim.SGD([{"params": [x], "beta": 1}]), TypeError, "beta"),
        (lambda x: mt.optim.lr_scheduler.StepLR(mt.optim.SGD([x]), 0), ValueError, "step_size"),
        (lambda x: mt.optim.lr_scheduler.CosineAnnealingLR(mt.optim.SGD([x]), 0), ValueError, "T_max"),
    ],
)
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make(mt.ones(2, requires_grad=True))
