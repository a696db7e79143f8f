"""Hooks and grad modes: the same program in ours and in torch leaves the same trace."""

import asyncio
import contextlib
import copy
import functools
import gc
import inspect
import threading
import weakref

import numpy as np
import pytest
import torch

import mytensor as mt
from mytensor import autograd

LIBRARIES = (mt, torch)


def traces(program, *arguments):
    """What program(library, trace, ...) writes down with ours and with torch."""
    found = []
    for library in LIBRARIES:
        trace = []
        program(library, trace, *arguments)
        found.append(trace)
    return found


def same_trace(program, *arguments):
    ours, theirs = traces(program, *arguments)
    assert ours == theirs and ours


# ---------------------------------------------------------------------------------------------------------------------
# Everything that takes hooks
# ---------------------------------------------------------------------------------------------------------------------


class OnLeaf:
    """Tensor.register_hook, of a leaf."""

    def __init__(self, library):
        self.x = library.tensor([1.0, 2.0], requires_grad=True)

    def register(self, hook):
        return self.x.register_hook(lambda gradient: hook())

    def run(self):
        (self.x * 3).sum().backward()


class OnComputed:
    """Tensor.register_hook, of a tensor in the middle of the graph."""

    def __init__(self, library):
        self.x = library.tensor([1.0, 2.0], requires_grad=True)
        self.y = self.x * 3

    def register(self, hook):
        return self.y.register_hook(lambda gradient: hook())

    def run(self):
        self.y.sum().backward(retain_graph=True)


class OnModule:
    """Module.register_forward_hook."""

    def __init__(self, library):
        self.module, self.x = library.nn.ReLU(), library.tensor([1.0, 2.0])

    def register(self, hook):
        return self.module.register_forward_hook(lambda module, inputs, output: hook())

    def run(self):
        self.module(self.x)


class BeforeModule(OnModule):
    """Module.register_forward_pre_hook."""

    def register(self, hook):
        return self.module.register_forward_pre_hook(lambda module, inputs: hook())


PLACES = (OnLeaf, OnComputed, OnModule, BeforeModule)


def test_every_registering_method_is_tried():
    methods = {f"{owner.__name__}.{name}" for owner in (mt.Tensor, mt.nn.Module) for name in dir(owner)}
    registering = {name for name in methods if "register" in name and "hook" in name}
    assert registering == {place.__doc__.split(",")[0].rstrip(".") for place in PLACES}


def removed_twice(place, trace):
    first = place.register(lambda: trace.append("first"))
    place.register(lambda: trace.append("second"))
    first.remove()
    first.remove()


def same_function_twice(place, trace):
    def hook():
        trace.append("hook")

    handle, _ = place.register(hook), place.register(hook)
    handle.remove()
    handle.remove()


def order_after_removal(place, trace):
    handles = [place.register(lambda number=number: trace.append(number)) for number in range(4)]
    handles[2].remove()
    place.register(lambda: trace.append("last"))


def removes_itself(place, trace):
    handles = []

    def hook():
        trace.append("once")
        handles[0].remove()

    handles.append(place.register(hook))
    place.register(lambda: trace.append("next"))
    place.register(lambda: trace.append("after"))


def removes_the_next(place, trace):
    handles = []

    def hook():
        trace.append("remover")
        handles[1].remove()

    handles += [place.register(hook), place.register(lambda: trace.append("removed"))]
    place.register(lambda: trace.append("after"))


def removes_an_earlier_one(place, trace):
    handle = place.register(lambda: trace.append("first"))
    place.register(lambda: handle.remove())
    place.register(lambda: trace.append("third"))


def removes_all(place, trace):
    handles = []
    for number in range(3):
        handles.append(place.register(lambda number=number: (trace.append(number), [h.remove() for h in handles])[0]))


def adds_another(place, trace):
    place.register(lambda: (trace.append("adder"), place.register(lambda: trace.append("added")))[0])


def comes_back(place, trace):
    handles = []

    def hook():
        trace.append(len(handles))
        handles[-1].remove()
        handles.append(place.register(hook))

    handles.append(place.register(hook))


SCENES = (
    removed_twice,
    same_function_twice,
    order_after_removal,
    removes_itself,
    removes_the_next,
    removes_an_earlier_one,
    removes_all,
    adds_another,
    comes_back,
)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.__name__)
def test_hooks_run_as_in_torch(kind, scene):
    def program(library, trace):
        place = kind(library)
        scene(place, trace)
        for _ in range(3):
            place.run()
            trace.append("-")

    same_trace(program)


@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.__name__)
def test_a_hook_that_raises_leaves_the_mode_and_the_other_hooks(kind):
    def program(library, trace):
        place = kind(library)
        handle = place.register(lambda: 1 / 0)
        place.register(lambda: trace.append(library.is_grad_enabled()))
        for mode in (library.enable_grad, library.no_grad if "Module" in kind.__name__ else library.enable_grad):
            with mode():
                with pytest.raises(ZeroDivisionError):
                    place.run()
                trace.append(library.is_grad_enabled())
        handle.remove()
        place.run()

    same_trace(program)


@pytest.mark.parametrize("kind", PLACES, ids=lambda kind: kind.__name__)
def test_hooks_that_close_over_what_they_hang_on_are_collected(kind):
    place = kind(mt)
    place.register(lambda place=place: None)
    place.run()
    alive = weakref.ref(place)
    del place
    gc.collect()
    assert alive() is None


def test_a_hook_may_call_backward():
    def program(library, trace):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        other = library.tensor([3.0], requires_grad=True)

        def hook(gradient):
            with library.enable_grad():
                (other * x.sum()).sum().backward()
            return gradient * 2

        y = x * 5
        y.register_hook(hook)
        y.sum().backward()
        trace += [x.grad.tolist(), other.grad.tolist()]

    same_trace(program)


def test_hooks_are_not_recorded():
    def program(library, trace):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = x * 5
        for tensor in (x, y):
            tensor.register_hook(lambda g: trace.append((library.is_grad_enabled(), g.requires_grad, g.is_leaf)))
        y.sum().backward()

    same_trace(program)


# ---------------------------------------------------------------------------------------------------------------------
# Retained gradients
# ---------------------------------------------------------------------------------------------------------------------


def retained_twice(library, y):
    y.retain_grad()
    y.retain_grad()


def retained_before_hooks(library, y):
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 10)


def retained_between_hooks(library, y):
    y.register_hook(lambda gradient: gradient + 1)
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 10)


def retained_then_changed(library, y):
    y.retain_grad()
    y.mul_(3)


def changed_then_retained(library, y):
    y.mul_(3)
    y.retain_grad()


def retained_changed_retained(library, y):
    y.retain_grad()
    y.add_(1)
    y.retain_grad()
    y.mul_(2)


def retained_overwritten(library, y):
    y.retain_grad()
    y.fill_(2.0)


def retained_drawn(library, y):
    y.retain_grad()
    y.uniform_(1.0, 1.0 + 1e-9)  # in float32 exactly 1


def retained_takes_over(library, y):
    y.retain_grad()
    y.copy_(library.tensor([3.0, 5.0]) * 2)


def hooks_stay_with_the_old_value(library, y):
    y.register_hook(lambda gradient: gradient * 10)
    y.retain_grad()
    y.mul_(3)
    y.register_hook(lambda gradient: gradient + 1)


def unrecorded_change(library, y):
    y.retain_grad()
    with library.no_grad():
        y.mul_(3)


RETAINED = (
    retained_twice,
    retained_before_hooks,
    retained_between_hooks,
    retained_then_changed,
    changed_then_retained,
    retained_changed_retained,
    retained_overwritten,
    retained_drawn,
    retained_takes_over,
    hooks_stay_with_the_old_value,
    unrecorded_change,
)


@pytest.mark.parametrize("prepare", RETAINED, ids=lambda prepare: prepare.__name__)
def test_retained_gradients_are_torchs(prepare):
    def program(library, trace):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        prepare(library, y)
        z = (y * library.tensor([5.0, 7.0])).sum()
        for _ in range(2):  # the second pass adds
            z.backward(retain_graph=True)
            trace += [y.grad.tolist(), x.grad.tolist(), y.retains_grad, x.retains_grad]

    same_trace(program)


def test_a_retained_output_that_was_not_used_has_no_gradient():
    def program(library, trace):
        x = library.tensor([[1.0, 2.0], [4.0, 3.0]], requires_grad=True)
        values, _ = x.max(0)
        other = x * 2
        other.retain_grad()
        values.retain_grad()
        values.sum().backward()
        trace += [values.grad.tolist(), other.grad]

    same_trace(program)


def test_what_was_retained_stays_when_the_graph_goes_on():
    def program(library, trace):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.sum().backward(retain_graph=True)
        kept = y.grad
        y.sum().backward()
        trace += [kept.tolist(), y.grad.tolist()]

    same_trace(program)


def test_retaining_keeps_nothing_alive():
    x = mt.ones(2, requires_grad=True)
    y = x * 2
    y.retain_grad()
    z = y.sum()
    alive = weakref.ref(y)
    del y
    assert alive() is None
    z.backward()
    assert x.grad.tolist() == [2.0, 2.0]


# ---------------------------------------------------------------------------------------------------------------------
# Grad modes
# ---------------------------------------------------------------------------------------------------------------------

# name -> makes the block or decorator. Behind them the test that none is missing.
MODES = {
    "no_grad": lambda library: library.no_grad(),
    "enable_grad": lambda library: library.enable_grad(),
    "set_grad_enabled(True)": lambda library: library.set_grad_enabled(True),
    "set_grad_enabled(False)": lambda library: library.set_grad_enabled(False),
}
BARE = {"@no_grad": lambda library: library.no_grad, "@enable_grad": lambda library: library.enable_grad}


def test_every_mode_is_tried():
    modes = {mode.__name__ for mode in autograd._GradModeBlock.__subclasses__()}
    assert modes == {name.split("(")[0] for name in MODES}


@pytest.fixture(autouse=True)
def modes_are_left_as_they_were():
    yield
    left = [library.is_grad_enabled() for library in LIBRARIES]
    for library in LIBRARIES:
        library.set_grad_enabled(True)
    assert left == [True, True]
    assert not autograd._grad_mode.before, "blocks are remembered that are over"


def in_both_modes(program):
    """Runs the program with recording on, and inside no_grad."""

    def twice(library, trace, *arguments):
        for outer in (library.enable_grad, library.no_grad):
            with outer():
                program(library, trace, *arguments)
                trace.append(("outside", library.is_grad_enabled()))

    return twice


@pytest.mark.parametrize("mode", MODES)
def test_blocks(mode):
    @in_both_modes
    def program(library, trace):
        with MODES[mode](library):
            trace.append(library.is_grad_enabled())
            with MODES[mode](library):
                trace.append(library.is_grad_enabled())
            trace.append(library.is_grad_enabled())
            with pytest.raises(KeyError), MODES[mode](library):
                raise KeyError
            trace.append(library.is_grad_enabled())

    same_trace(program)


@pytest.mark.parametrize("mode", {**MODES, **BARE})
@pytest.mark.parametrize("raises", (False, True))
def test_decorated_functions(mode, raises):
    @in_both_modes
    def program(library, trace):
        decorate = {**MODES, **BARE}[mode](library)

        @decorate
        def function(depth, *, name="x"):
            """What it does."""
            trace.append((depth, name, library.is_grad_enabled()))
            if depth:
                return function(depth - 1, name="y")
            if raises:
                raise KeyError
            return 7

        trace.append(("decorated", library.is_grad_enabled(), function.__name__, function.__doc__))
        try:
            trace.append(function(2))
        except KeyError:
            trace.append("raised")

    same_trace(program)


@pytest.mark.parametrize("mode", {**MODES, **BARE})
def test_decorated_methods_and_classes(mode):
    def program(library, trace):
        decorate = {**MODES, **BARE}[mode](library)

        class Net:
            @decorate
            def method(self):
                return library.is_grad_enabled()

            @staticmethod
            @decorate
            def static():
                return library.is_grad_enabled()

            @classmethod
            @decorate
            def of_class(cls):
                return cls.__name__, library.is_grad_enabled()

        trace += [Net().method(), Net.static(), Net.of_class(), Net.method.__name__]

    same_trace(program)


@pytest.mark.parametrize("mode", {**MODES, **BARE})
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_decorated_class_is_made_inside_and_used_outside(mode):
    def program(library, trace):
        class Net:
            def __init__(self):
                self.at_birth = library.is_grad_enabled()

            def now(self):
                return library.is_grad_enabled()

        made = {**MODES, **BARE}[mode](library)(Net)
        with library.no_grad():
            trace += [made().at_birth, made().now()]
        trace += [made().at_birth, made().now()]

    same_trace(program)


def taken(generator, trace, library):
    for value in generator:
        trace.append((value, library.is_grad_enabled()))


def sent_to(generator, trace, library):
    trace.append(next(generator))
    for value in ("a", "b"):
        trace.append((generator.send(value), library.is_grad_enabled()))
    generator.close()
    trace.append(library.is_grad_enabled())


def thrown_at(generator, trace, library):
    trace.append(next(generator))
    trace.append((generator.throw(ValueError("caught")), library.is_grad_enabled()))
    with pytest.raises(KeyError):
        generator.throw(KeyError("not caught"))
    trace.append(library.is_grad_enabled())


def closed_early(generator, trace, library):
    trace.append(next(generator))
    generator.close()
    trace.append(library.is_grad_enabled())


def closed_before_it_starts(generator, trace, library):
    generator.close()
    trace.append(list(generator))


def dropped(generator, trace, library):
    trace.append(next(generator))
    del generator


def exhausted(generator, trace, library):
    with pytest.raises(StopIteration) as end:
        next(generator)
        while True:
            generator.send("x")
    trace.append(end.value.value)
    trace.append(list(generator))


def delegated(generator, trace, library):
    def outer():
        trace.append(("returned", (yield from generator)))

    for value in outer():
        trace.append((value, library.is_grad_enabled()))


def switched_between(generator, trace, library):
    for index, value in enumerate(generator):
        library.set_grad_enabled(index % 2 == 1)
        trace.append((value, library.is_grad_enabled()))
    library.set_grad_enabled(True)


CONSUMERS = (
    taken,
    sent_to,
    thrown_at,
    closed_early,
    closed_before_it_starts,
    dropped,
    exhausted,
    delegated,
    switched_between,
)


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda consumer: consumer.__name__)
@pytest.mark.parametrize("mode", {**MODES, **BARE})
def test_decorated_generators(mode, consumer):
    def program(library, trace):
        decorate = {**MODES, **BARE}[mode](library)

        @decorate
        def generator(count):
            try:
                for step in range(count):
                    try:
                        received = yield step, library.is_grad_enabled()
                        trace.append(("inside", received, library.is_grad_enabled()))
                    except ValueError:
                        trace.append(("caught", library.is_grad_enabled()))
                return "the end"
            finally:
                trace.append(("finally", library.is_grad_enabled()))

        trace.append((generator.__name__, inspect.isgeneratorfunction(generator)))
        consumer(generator(4), trace, library)

    def inside_no_grad(library, trace):
        with library.no_grad():
            program(library, trace)

    same_trace(program)
    if consumer is not switched_between:
        same_trace(inside_no_grad)


def test_a_generator_that_ignores_being_closed():
    @mt.no_grad
    def stubborn():
        while True:
            try:
                yield mt.is_grad_enabled()
            except GeneratorExit:
                yield "still here"

    generator = stubborn()
    assert next(generator) is False
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        generator.close()


@pytest.mark.parametrize("mode", {**MODES, **BARE})
def test_coroutines_as_in_torch(mode):
    def program(library, trace):
        async def work():
            return library.is_grad_enabled()

        trace.append(asyncio.run({**MODES, **BARE}[mode](library)(work)()))

    same_trace(program)


def test_set_grad_enabled_as_a_statement():
    def program(library, trace):
        x = library.ones(1, requires_grad=True)
        for flag in (False, False, True, False, True):
            library.set_grad_enabled(flag)
            trace.append((library.is_grad_enabled(), (x * 2).requires_grad))
        with library.no_grad():
            library.set_grad_enabled(True)
            trace.append(library.is_grad_enabled())
        trace.append(library.is_grad_enabled())
        kept = library.set_grad_enabled(False)
        trace.append(library.is_grad_enabled())
        with kept:
            trace.append(library.is_grad_enabled())
        trace.append(library.is_grad_enabled())

    same_trace(program)


@pytest.mark.parametrize("wrong", (0, 1, None, "no", [], np.True_, len, mt.ones(1) > 0), ids=repr)
def test_set_grad_enabled_wants_a_bool(wrong):
    with pytest.raises(TypeError, match="True or False"):
        mt.set_grad_enabled(wrong)
    assert mt.is_grad_enabled()


@pytest.mark.parametrize("wrong", (5, "function", mt.ones(1)), ids=repr)
def test_only_functions_are_decorated(wrong):
    for decorate in (mt.no_grad, mt.enable_grad, mt.no_grad(), mt.enable_grad(), mt.set_grad_enabled(True)):
        with pytest.raises(TypeError, match="function to decorate"):
            decorate(wrong)


@pytest.mark.parametrize("mode", MODES)
def test_one_block_entered_again_inside_itself(mode):
    block = MODES[mode](mt)
    inside = "True" in mode or mode == "enable_grad"
    with block:
        with mt.enable_grad():
            with block:
                assert mt.is_grad_enabled() is inside
            assert mt.is_grad_enabled()
        assert mt.is_grad_enabled() is inside
        with pytest.raises(KeyError), block:
            raise KeyError
        assert mt.is_grad_enabled() is inside
    assert mt.is_grad_enabled()
    with mt.no_grad():
        with block:
            assert mt.is_grad_enabled() is inside
        assert not mt.is_grad_enabled()


def test_one_block_in_two_threads():
    block, steps, seen = mt.no_grad(), [threading.Event() for _ in range(3)], []

    def other():
        with mt.no_grad():
            with block:
                steps[0].set()
                steps[1].wait(10)
            seen.append(mt.is_grad_enabled())  # still inside no_grad
        seen.append(mt.is_grad_enabled())
        steps[2].set()

    thread = threading.Thread(target=other)
    thread.start()
    steps[0].wait(10)
    with block:
        steps[1].set()
        steps[2].wait(10)
    thread.join()
    assert seen == [False, True] and mt.is_grad_enabled()


def test_a_statement_in_one_thread_is_not_seen_in_another():
    seen = []
    mt.set_grad_enabled(False)
    thread = threading.Thread(target=lambda: seen.append(mt.is_grad_enabled()))
    thread.start()
    thread.join()
    mt.set_grad_enabled(True)
    assert seen == [True]


def test_blocks_that_generators_leave_open():
    """Two generators that rest inside their blocks and end in the other order than they began."""

    def program(library, trace):
        def resting(block):
            with block:
                yield library.is_grad_enabled()

        one, two = resting(library.no_grad()), resting(library.enable_grad())
        trace += [next(one), library.is_grad_enabled(), next(two), library.is_grad_enabled()]
        trace += [list(one), library.is_grad_enabled(), list(two), library.is_grad_enabled()]
        library.set_grad_enabled(True)

    same_trace(program)


# ---------------------------------------------------------------------------------------------------------------------
# Programs that have gone wrong somewhere: what they return is torch's
# ---------------------------------------------------------------------------------------------------------------------

PROGRAMS = []


def program(function):
    PROGRAMS.append(function)
    return function


def ones(library, *shape):
    return library.ones(*shape, requires_grad=True)


@program
def backward_inside_no_grad(library):
    x = library.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    with library.no_grad():
        y.backward()
    return x.grad.tolist(), library.is_grad_enabled()


@program
def a_statement_inside_a_hook_ends_with_it(library):
    x = ones(library, 1)
    y = x * 2
    for tensor in (x, y):
        tensor.register_hook(lambda gradient: library.set_grad_enabled(False) and None)
    y.backward()
    return library.is_grad_enabled()


@program
def whatever_can_be_called_is_decorated(library):
    class Net:
        def mode(self):
            return library.is_grad_enabled()

    partial = functools.partial(lambda a, b: (a + b, library.is_grad_enabled()), 1)
    return library.no_grad(len)([1]), library.no_grad()(partial)(2), library.no_grad(Net().mode)()


@program
def an_exit_stack(library):
    with contextlib.ExitStack() as stack:
        stack.enter_context(library.no_grad())
        inside = library.is_grad_enabled()
    return inside, library.is_grad_enabled()


@program
def a_decorated_forward(library):
    class Net(library.nn.Module):
        @library.no_grad()
        def forward(self, x):
            return x * 2

    return Net()(ones(library, 1)).requires_grad


@program
def zero_grad_of_a_grad_that_requires_a_gradient(library):
    layer = library.nn.Linear(2, 1)
    layer.weight.grad = ones(library, 1, 2)
    layer.zero_grad(set_to_none=False)
    first = layer.weight.grad.tolist()
    layer.weight.grad = ones(library, 1, 2)
    library.optim.SGD(layer.parameters(), lr=0.1).zero_grad(set_to_none=False)
    return first, layer.weight.grad.tolist()


@program
def a_hook_that_turns_the_step_around_for_once(library):
    x = library.tensor([1.0, 2.0], requires_grad=True)
    optimizer = library.optim.SGD([x], lr=1.0)
    handle = x.register_hook(lambda gradient: -gradient)
    (x * 1).sum().backward()
    optimizer.step()
    handle.remove()
    (x * 3).sum().backward()
    optimizer.step()
    return x.tolist()


@program
def the_hooks_of_a_copy_are_its_own(library):
    module, calls = library.nn.ReLU(), []
    handle = module.register_forward_hook(lambda *arguments: calls.append(1))
    twin = copy.deepcopy(module)
    handle.remove()
    for layer in (twin, module):
        layer(library.ones(1))
    return len(calls)


@program
def hooks_of_a_module_replace_one_after_the_other(library):
    module = library.nn.ReLU()
    module.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 3,))
    module.register_forward_pre_hook(lambda module, inputs: inputs[0] + 1)
    module.register_forward_hook(lambda module, inputs, output: output * 2)
    module.register_forward_hook(lambda module, inputs, output: output + inputs[0])
    return module(library.ones(1)).tolist()


@program
def hooks_along_reshapes(library):
    x = library.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.reshape(4)
    z = y.reshape(2, 2)
    seen = []
    for tensor in (x, y, z):
        tensor.register_hook(lambda gradient: seen.append(gradient.tolist()))
        tensor.register_hook(lambda gradient: gradient * 2)
    (z * z).sum().backward()
    return seen, x.grad.tolist()


@program
def retained_gradients_share_nothing(library):
    x = ones(library, 2)
    y = x.clone()
    z = y.reshape(2, 1)
    y.retain_grad()
    z.retain_grad()
    z.sum().backward()
    y.grad.mul_(3)
    z.grad.mul_(5)
    return x.grad.tolist(), y.grad.tolist(), z.grad.tolist()


@program
def two_leaves_of_one_sum_share_nothing(library):
    a, b = ones(library, 2), ones(library, 2)
    (a.reshape(2, 1) + b.reshape(2, 1)).sum().backward()
    a.grad.mul_(7)
    return b.grad.tolist()


@program
def a_leaf_as_the_root_with_a_hook(library):
    x, seen = ones(library, 2), []
    x.register_hook(lambda gradient: seen.append(gradient.tolist()))
    gradient = library.ones(2) * 3
    x.backward(gradient)
    x.backward(gradient)
    return seen, x.grad.tolist(), gradient.tolist()


@program
def a_leafs_hook_comes_before_its_grad(library):
    x, seen = ones(library, 1), []
    x.register_hook(lambda gradient: seen.append(x.grad if x.grad is None else x.grad.tolist()))
    for _ in range(2):
        (x * 1).backward()
    return seen


@program
def a_hook_that_clears_grad(library):
    x = ones(library, 1)
    x.register_hook(lambda gradient: setattr(x, "grad", None))
    for _ in range(2):
        (x * 1).backward()
    return x.grad.tolist()


@program
def a_hook_that_sets_grad(library):
    x = ones(library, 1)
    x.register_hook(lambda gradient: setattr(x, "grad", library.ones(1) * 5))
    (x * 1).backward()
    return x.grad.tolist()


@program
def a_hook_that_freezes_its_leaf(library):
    x = ones(library, 1)
    x.register_hook(lambda gradient: x.requires_grad_(False) and None)
    (x * 1).backward()
    return x.grad


@program
def a_hook_that_calls_backward_into_the_same_leaf(library):
    x = ones(library, 1)
    y = x * 2

    def hook(gradient):
        with library.enable_grad():
            (x * 10).backward()

    y.register_hook(hook)
    y.backward()
    return x.grad.tolist()


@program
def a_hook_that_removes_another_tensors(library):
    x, seen = ones(library, 1), []
    y = x * 2
    handle = x.register_hook(lambda gradient: seen.append("x"))
    y.register_hook(lambda gradient: handle.remove())
    y.backward()
    return seen


@program
def hooks_before_and_after_an_overwrite(library):
    x, seen = ones(library, 1), []
    y = x * 2
    y.register_hook(lambda gradient: seen.append(("old", gradient.tolist())))
    y.fill_(3.0)
    y.register_hook(lambda gradient: seen.append(("new", gradient.tolist())))
    (y * 4).backward()
    return seen, x.grad.tolist()


@program
def a_buffer_that_became_part_of_the_graph_retains(library):
    buffer, w = library.zeros(2), ones(library, 2)
    buffer += w * 3
    buffer.retain_grad()
    (buffer * 2).sum().backward()
    return buffer.grad.tolist(), w.grad.tolist()


@program
def grad_is_deleted(library):
    x = ones(library, 1)
    x.sum().backward()
    del x.grad
    return x.grad


@program
def numbers_drawn_where_nothing_is_recorded(library):
    w, x = ones(library, 2), library.ones(2)
    with library.no_grad():
        w.uniform_()
    x.normal_()
    return w.requires_grad, w.is_leaf, x.requires_grad, x.grad_fn


@program
def numbers_drawn_in_the_middle(library):
    w = ones(library, 2)
    x = w * 2
    y = x * 3
    x.normal_()
    (y + x).sum().backward()
    return w.grad.tolist()


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda function: function.__name__)
def test_programs_as_in_torch(function):
    ours, theirs = (function(library) for library in LIBRARIES)
    assert ours == theirs
