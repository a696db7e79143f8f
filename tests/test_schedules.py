"""Schedules against torch, to the last bit: alone, beside others, and through whatever else happens to a learning rate.

Both take the same operations on Python's floats in the same order, so nothing is allowed for rounding.
"""

import copy
import itertools
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mytensor as mt
from mytensor.optim import lr_scheduler

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's on the order of calls

# What each schedule is tried with; a new one without an entry fails the test below.
ARGUMENTS = {
    "StepLR": [(3, 0.5), (1, 1.7), (2, 0), (np.int64(2), np.float32(0.3))],
    "MultiStepLR": [
        ([2, 5, 5, 7], 0.3),
        ([0, 3], 0.1),
        ([], 0.1),
        ([4, 1], 0),
        (np.array([1, 1, 3]), np.float64(0.7)),
    ],
    "CosineAnnealingLR": [(8, 0.001), (3,), (1, 0.01), (np.int64(4), np.float32(0.05)), (2, 0.5)],
}
CASES = [(name, arguments) for name, many in ARGUMENTS.items() for arguments in many]
FRAMEWORKS = (mt, torch)


def all_schedules():
    """Every schedule that there is, by name."""
    found, classes = {}, [lr_scheduler.LRScheduler]
    while classes:
        for one in classes.pop().__subclasses__():
            classes.append(one)
            if one.__module__ == lr_scheduler.__name__:
                found[one.__name__] = one
    return found


def test_every_schedule_is_tried():
    assert set(all_schedules()) == set(ARGUMENTS)


class Run:
    """One framework's optimizer and schedules, and what happens to them."""

    def __init__(self, framework, lrs=(0.1, 0.02)):
        self.framework = framework
        self.sgd = self.new_optimizer(lrs)
        self.schedules = []
        self.saved = None

    def parameter(self):
        return self.framework.ones(1, requires_grad=True)

    def new_optimizer(self, lrs):
        groups = [{"params": [self.parameter()], "lr": lr} for lr in lrs]
        return self.framework.optim.SGD(groups, lr=0.3)

    def begin(self, name, arguments, **options):
        self.schedules.append(getattr(self.framework.optim.lr_scheduler, name)(self.sgd, *arguments, **options))

    def step(self, which=None):
        for schedule in self.schedules if which is None else [self.schedules[which % len(self.schedules)]]:
            schedule.step()

    def set_lr(self, lr, group=None):
        for one in self.sgd.param_groups if group is None else [self.sgd.param_groups[group]]:
            one["lr"] = lr

    def add_group(self, lr=0.7):
        self.sgd.add_param_group({"params": [self.parameter()], "lr": lr})

    def save(self):
        self.saved = copy.deepcopy((self.sgd.state_dict(), [one.state_dict() for one in self.schedules]))

    def load(self, optimizer=True, schedules=True):
        if self.saved is None or len(self.saved[0]["param_groups"]) != len(self.sgd.param_groups):
            return
        if optimizer:
            self.sgd.load_state_dict(copy.deepcopy(self.saved[0]))
        if schedules:
            for one, state in zip(self.schedules, self.saved[1], strict=False):
                one.load_state_dict(copy.deepcopy(state))

    def in_a_new_process(self, optimizer=True, schedules=True, **options):
        """A new optimizer and new schedules, which take up the state of these, all of it or a part."""
        lrs = [0.1 * (1 + place) for place in range(len(self.sgd.param_groups))]
        names = [(type(one).__name__, self.arguments[place]) for place, one in enumerate(self.schedules)]
        self.save()
        saved, self.schedules = self.saved, []
        self.sgd = self.new_optimizer(lrs)
        if optimizer:
            self.sgd.load_state_dict(saved[0])
        for name, arguments in names:
            self.begin(name, arguments, **options)
        if schedules:
            for one, state in zip(self.schedules, saved[1], strict=True):
                one.load_state_dict(state)

    def rates(self):
        return (
            [float(group["lr"]) for group in self.sgd.param_groups],
            [[float(lr) for lr in one.get_last_lr()] for one in self.schedules],
            [one.last_epoch for one in self.schedules],
            [group.get("initial_lr") for group in self.sgd.param_groups],
        )


def exact(rates):
    """For comparing: NaN is equal to itself here, and a wrong bit is not."""
    return repr(rates)


def both(name, arguments, events):
    """Both frameworks' rates after each event."""
    told = []
    for framework in FRAMEWORKS:
        run = Run(framework)
        run.arguments = [arguments]
        run.begin(name, arguments)
        told.append([exact(run.rates())])
        for event in events:
            event(run)
            told[-1].append(exact(run.rates()))
    for number, (ours, theirs) in enumerate(zip(*told, strict=True)):
        assert ours == theirs, f"{name}{arguments}, after event {number}: {ours}, torch {theirs}"


def steps(count):
    return [Run.step] * count


SITUATIONS = {
    "alone, far beyond its end": steps(40),
    "a rate set by hand": [*steps(3), lambda run: run.set_lr(1.0), *steps(9), lambda run: run.set_lr(0, 1), *steps(9)],
    "resumed": [*steps(4), Run.in_a_new_process, *steps(12)],
    "the optimizer's state alone": [*steps(4), lambda run: run.in_a_new_process(schedules=False), *steps(12)],
    "the schedule's state alone": [*steps(4), lambda run: run.in_a_new_process(optimizer=False), *steps(12)],
    "neither state": [*steps(4), lambda run: run.in_a_new_process(False, False), *steps(12)],
    "last_epoch": [*steps(4), lambda run: run.in_a_new_process(schedules=False, last_epoch=4), *steps(12)],
    "last_epoch and state": [*steps(4), lambda run: run.in_a_new_process(last_epoch=2), *steps(12)],
    "back to an earlier state": [*steps(2), Run.save, *steps(5), Run.load, *steps(9)],
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_one_schedule(name, arguments, situation):
    both(name, arguments, SITUATIONS[situation])


@pytest.mark.parametrize(("first", "second"), list(itertools.product(CASES, CASES)), ids=str)
def test_two_schedules(first, second):
    """Beside each other, one begun after a while, and a saved optimizer handed to another schedule."""
    events = [*steps(2), lambda run: run.begin(*second), *steps(11)]
    both(*first, events)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_a_group_that_came_later(name, arguments):
    """torch stops with a ValueError where a cosine turns upwards, since it knows no first rate of the new group."""
    came = []
    for framework in FRAMEWORKS:
        run, rates = Run(framework), []
        run.begin(name, arguments)
        run.step()
        run.add_group()
        try:
            for _ in range(12):
                run.step()
                rates.append(exact(run.rates()))
        except ValueError:
            rates.append("ValueError")
        came.append(rates)
    assert came[0] == came[1]


EVENTS = {
    "step": st.tuples(st.just("step"), st.one_of(st.none(), st.integers(0, 3))),
    "set_lr": st.tuples(st.just("set_lr"), st.sampled_from([1.0, 0.0, 3e-5, 2]), st.sampled_from([None, 0, 1])),
    "add_group": st.tuples(st.just("add_group"), st.sampled_from([0.7, 0.0])),
    "save": st.tuples(st.just("save")),
    "load": st.tuples(st.just("load"), st.booleans(), st.booleans()),
    "begin": st.sampled_from([("begin", *case) for case in CASES]),
}


@settings(max_examples=150)
@given(st.sampled_from(CASES), st.lists(st.one_of(*EVENTS.values()), max_size=25))
def test_whatever_happens_in_whatever_order(case, events):
    runs = [Run(framework) for framework in FRAMEWORKS]
    for run in runs:
        run.begin(*case)
    for name, *arguments in events:
        came = []
        for run in runs:
            try:
                getattr(run, name)(*arguments)
                came.append(exact(run.rates()))
            except ValueError:  # a cosine turns upwards with a group that it does not know
                came.append("ValueError")
        assert came[0] == came[1], (case, name, arguments)
        if came[0] == "ValueError":
            return


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_a_schedule_is_pickled_with_its_optimizer(name, arguments):
    run = Run(mt)
    run.begin(name, arguments)
    run.step()
    schedule = pickle.loads(pickle.dumps(run.schedules[0]))
    for _ in range(9):
        run.step()
        schedule.step()
        assert schedule.get_last_lr() == run.schedules[0].get_last_lr()
        assert [group["lr"] for group in schedule.optimizer.param_groups] == schedule.get_last_lr()


def test_a_state_saved_before_schedules_followed_the_rate_at_hand_still_loads():
    run = Run(mt)
    run.begin("MultiStepLR", ([2, 5], 0.1))
    run.schedules[0].load_state_dict({"milestones": [3], "gamma": 0.5, "base_lrs": [0.1, 0.02], "last_epoch": 2})
    run.step()
    assert [group["lr"] for group in run.sgd.param_groups] == [0.05, 0.01]


def test_loading_an_optimizer_is_all_or_nothing():
    sgd, other = Run(mt).sgd, Run(mt).sgd
    good = other.state_dict()
    before = copy.deepcopy(sgd.state_dict())
    velocity = {"momentum_buffer": mt.ones(1)}
    for damage in (
        {"state": {9: velocity}},
        {"state": {0: {"momentum_buffer": mt.ones(2)}}},
        {"param_groups": good["param_groups"][:1]},
        {"param_groups": [good["param_groups"][0], {**good["param_groups"][1], "lr": -1}]},
        {"param_groups": [{**good["param_groups"][0], "lr": math.nan}, good["param_groups"][1]]},
    ):
        with pytest.raises(ValueError, match=r"^SGD: "):
            sgd.load_state_dict(good | damage)
        assert sgd.state_dict() == before


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda sgd: lr_scheduler.StepLR(sgd, 1.5), ValueError, r"step_size .*whole.* 1\.5"),
        (lambda sgd: lr_scheduler.StepLR(sgd, math.nan), ValueError, "step_size .*nan"),
        (lambda sgd: lr_scheduler.CosineAnnealingLR(sgd, math.inf), ValueError, "T_max .*inf"),
        (lambda sgd: lr_scheduler.MultiStepLR(sgd, 3), TypeError, r"write \[3\]"),
        (lambda sgd: lr_scheduler.StepLR(sgd, 2, last_epoch=3), ValueError, "load the optimiser's state first"),
        (lambda sgd: lr_scheduler.StepLR([1], 2), TypeError, "wanted an optimiser.*list"),
        (lambda sgd: lr_scheduler.LRScheduler(sgd), NotImplementedError, r"needs a method get_lr\(\)"),
    ],
)
def test_errors(make, error, words):
    with warnings.catch_warnings(), pytest.raises(error, match=words):
        make(Run(mt).sgd)
