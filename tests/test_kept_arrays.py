"""No gradient changes behind somebody's back: what Functions, hooks, graphs and readers keep stays what it is."""

import inspect

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from devices import DEVICES
from test_special_gradients import CASES, Library

import mytensor as mt
import mytensor.nn.functional as F
from mytensor import autograd, ops

DTYPE = backend.float64


def array(*values, device="cpu"):
    return backend.from_numpy(np.array(values)).to(device)


def leaf(*values, device="cpu"):
    return mt.Tensor(array(*values, device=device), requires_grad=True)


def numbers(x):
    return None if x is None else getattr(x, "array", x).cpu().numpy().tolist()


# ---------------------------------------------------------------------------------------------------------------------
# A reader's backward: y = 3 a + 3 b, with gradients that somebody keeps
# ---------------------------------------------------------------------------------------------------------------------

# name -> what backward returns for (a, b), handed its ctx (with .kept, an array of threes) and an upstream of ones.
RETURNED = {
    "an attribute of ctx": lambda ctx, u: (ctx.kept, ctx.kept),
    "a constant reshaped": lambda ctx, u: (ctx.kept.reshape((2, 1)).reshape((2,)), ctx.kept),
    "a saved array": lambda ctx, u: (ctx.saved[0], ctx.saved[0]),
    "the upstream": lambda ctx, u: (backend.mul_(u, 3.0) or u, u),
    "the upstream reshaped": lambda ctx, u: (backend.mul_(u, 3.0) or u.reshape((1, 2)).reshape((2,)), u.reshape((2,))),
    "one new array twice": lambda ctx, u: (backend.mul(u, 3.0),) * 2,
    "a kept numpy array": lambda ctx, u: (ctx.kept.numpy(), ctx.numpy),
    "an array around numpy's memory": lambda ctx, u: (backend.from_numpy(ctx.numpy), backend.from_numpy(ctx.numpy)),
    "a list of kept arrays": lambda ctx, u: [ctx.kept, ctx.kept],
}


def make_function(returned, kept, kept_numpy):
    class Keeps(mt.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.kept, ctx.numpy = kept, kept_numpy
            ctx.save_for_backward(kept.clone())
            return backend.mul(backend.add(a, b), 3.0)

        @staticmethod
        def backward(ctx, upstream):
            return returned(ctx, upstream)

    return Keeps


@pytest.mark.parametrize("place", ("leaves", "computed", "leaf twice", "hooked", "retained"))
@pytest.mark.parametrize(  # numpy arrays lie on the CPU
    ("what", "device"),
    [(what, device) for what in RETURNED for device in DEVICES if device == "cpu" or "numpy" not in what],
)
def test_what_a_backward_returns_stays_its_own(what, place, device):
    kept, kept_numpy, upstream = (
        array(3.0, 3.0, device=device),
        np.array([3.0, 3.0]),
        mt.ones(2, dtype=DTYPE).to(device),
    )
    function = make_function(RETURNED[what], kept, kept_numpy)
    a, b = leaf(1.0, 2.0, device=device), leaf(4.0, 5.0, device=device)
    inputs = {"computed": lambda: (a * 1, b * 1), "leaf twice": lambda: (a, a)}.get(place, lambda: (a, b))()
    seen = []
    if place == "hooked":
        for x in (a, b):
            x.register_hook(lambda gradient: seen.append(gradient))
    y = function.apply(*inputs)
    if place == "retained":
        y.retain_grad()
    for _ in range(3):
        y.backward(upstream, retain_graph=True)
    wanted = [18.0, 18.0] if place == "leaf twice" else [9.0, 9.0]
    assert numbers(a.grad) == wanted and (place == "leaf twice" or numbers(b.grad) == wanted)
    assert numbers(kept) == [3.0, 3.0] and kept_numpy.tolist() == [3.0, 3.0] and numbers(upstream) == [1.0, 1.0]
    assert all(numbers(gradient) == [3.0, 3.0] for gradient in seen)
    if place == "retained":
        assert numbers(y.grad) == [3.0, 3.0]
    if place != "leaf twice":
        a.grad.zero_()
        assert numbers(b.grad) == wanted
    assert numbers(kept) == [3.0, 3.0] and kept_numpy.tolist() == [3.0, 3.0] and numbers(upstream) == [1.0, 1.0]


@pytest.mark.parametrize("device", [device for device in DEVICES if device != "cpu"])
def test_a_gradient_lies_beside_its_tensor(device):
    class OnTheCpu(mt.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, upstream):
            return upstream.cpu()

    x = leaf(1.0, 2.0, device=device)
    elsewhere = mt.Tensor(array(1.0, 1.0))
    x.register_hook(lambda gradient: gradient.cpu())
    for run in (
        lambda: OnTheCpu.apply(x).sum().backward(),
        lambda: x.backward(elsewhere),
        lambda: (x + 1).backward(elsewhere),
        lambda: x.sum().backward(),  # the hook
        lambda: setattr(x, "grad", elsewhere),
    ):
        with pytest.raises(ValueError, match=rf"is on cpu, but .* is on {device}|tensor, {device}, got cpu"):
            run()
        assert x.grad is None


def test_a_backward_that_writes_into_its_upstream_changes_no_other_branch():
    class Writes(mt.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, upstream):
            return backend.mul_(upstream, 100.0) or upstream

    for writer_is_first in (True, False):
        x = leaf(1.0, 2.0)
        branches = [Writes.apply(x), x * 2] if writer_is_first else [x * 2, Writes.apply(x)]
        (branches[0] + branches[1]).sum().backward()
        assert numbers(x.grad) == [102.0, 102.0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_ops_of_the_package_keep_nothing_that_they_return(name, device, monkeypatch):
    """They are trusted and not copied: what they return is new, or lies in arrays that backward looks at."""
    inputs, function = CASES[name]
    leaves = [mt.tensor(values).to(device).requires_grad_() for values in inputs]
    call_backward, seen = autograd.call_backward, []

    def watched(node, upstream):
        once, again = call_backward(node, upstream), call_backward(node, upstream)
        known = [*upstream, *node._saved]
        elsewhere = [value for key, value in vars(node).items() if key != "_saved"] + [x.array for x in leaves] + seen
        for position, gradient in enumerate(once):
            if gradient is None or node.edges[position] is None or gradient.shares_storage(*known):
                continue
            assert not gradient.shares_storage(*elsewhere, *again), f"{node.name}: gradient {position} is kept"
            seen.append(gradient)
        return once

    monkeypatch.setattr(autograd, "call_backward", watched)
    output = function(Library(mt, F, device), *leaves)
    output.backward(mt.ones(*output.shape, dtype=output.dtype, device=output.device))
    grads = [x.grad.array for x in leaves]
    for index, grad in enumerate(grads):
        assert not grad.shares_storage(*grads[:index], *(x.array for x in leaves))


def test_a_training_step_copies_nothing():
    """As many arrays are made as the graph needs: one for each value and gradient, none for the sake of safety."""
    mt.manual_seed(0)
    model, images, labels = mt.models.LeNet(), mt.randn(2, 3, 32, 32), mt.tensor([0, 1])
    clone, calls = backend.NDArray.clone, []
    backend.NDArray.clone = lambda self: calls.append(1) or clone(self)
    try:
        F.cross_entropy(model(images), labels).backward()
    finally:
        backend.NDArray.clone = clone
    assert not calls


# ---------------------------------------------------------------------------------------------------------------------
# A reader's forward
# ---------------------------------------------------------------------------------------------------------------------

# name -> what forward returns, handed its ctx (with .kept) and x = [1, 2]
FORWARDS = {
    "its input": lambda ctx, x: x,
    "its input reshaped": lambda ctx, x: x.reshape((2, 1)),
    "its input as numpy": lambda ctx, x: x.numpy() if x.device == "cpu" else x,
    "one array twice": lambda ctx, x: (backend.mul(x, 1.0),) * 2,
    "its input twice": lambda ctx, x: (x, x),
    "what it keeps": lambda ctx, x: ctx.kept,
    "what it saved": lambda ctx, x: ctx.save_for_backward(x) or x,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("recorded", (True, False))
@pytest.mark.parametrize("what", FORWARDS)
def test_an_output_is_a_tensor_of_its_own(what, recorded, device):
    kept = array(1.0, 2.0, device=device)

    class Passes(mt.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = kept
            return FORWARDS[what](ctx, x)

        @staticmethod
        def backward(ctx, *upstream):
            return backend.mul(upstream[0].reshape((2,)), 5.0)

    w = leaf(1.0, 2.0, device=device)
    x = w * 1
    for change_output in (True, False):
        with mt.enable_grad() if recorded else mt.no_grad():
            outputs = Passes.apply(x)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            assert all(output is not x and output.requires_grad is recorded for output in outputs)
            if change_output:
                outputs[0].mul_(10)
                assert numbers(outputs[0]) == (array(10.0, 20.0).reshape(outputs[0].shape)).numpy().tolist()
            else:
                with mt.no_grad():
                    x.mul_(10)
            assert numbers(kept) == [1.0, 2.0]
            assert numbers(x) == ([1.0, 2.0] if change_output else [10.0, 20.0])
            for output in outputs[1:] if change_output else outputs:
                assert numbers(output) == array(1.0, 2.0).reshape(output.shape).numpy().tolist()
        if recorded:
            w.grad = None
            outputs[0].sum().backward(retain_graph=True)
            assert numbers(w.grad) == ([50.0, 50.0] if change_output else [5.0, 5.0])


def test_an_identity_has_its_own_place_in_the_graph():
    class Identity(mt.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, upstream):
            return backend.mul(upstream, 5.0)

    for x in (leaf(1.0, 2.0), leaf(1.0, 2.0) * 2):
        before = x.grad_fn
        y = Identity.apply(x)
        assert x.grad_fn is before and y.grad_fn.name == "IdentityBackward" and y.is_leaf is False
    w = leaf(1.0, 2.0)
    (Identity.apply(Identity.apply(w)) + w).sum().backward()
    assert numbers(w.grad) == [26.0, 26.0]


def test_marked_outputs_are_known_by_what_forward_returned():
    class Halves(mt.Function):
        @staticmethod
        def forward(ctx, x):
            first, second = backend.mul(x, 1.0), backend.mul(x, 2.0)
            ctx.mark_non_differentiable(second)
            return first, second

        @staticmethod
        def backward(ctx, upstream, _):
            return upstream

    first, second = Halves.apply(leaf(1.0, 2.0))
    assert first.requires_grad and not second.requires_grad


def make_in_place(position):
    class ChangesAnInput(mt.Function):
        @staticmethod
        def forward(ctx, *inputs):
            backend.mul_(inputs[position], 2.0)
            return inputs[position]

        @staticmethod
        def backward(ctx, upstream):
            return (backend.mul(upstream, 2.0), None)

    return ChangesAnInput


@pytest.mark.parametrize("position", (0, 1))
def test_a_forward_that_changes_its_input_in_place(position):
    function = make_in_place(position)
    w, buffer = leaf(1.0, 2.0), mt.Tensor(array(1.0, 1.0))
    for x in (w, w * 1):  # what is recorded must not change unseen
        if position == 0:
            with pytest.raises(RuntimeError, match=r"ChangesAnInput\.forward changed input 0 in place"):
                function.apply(x, buffer)
        else:
            assert function.apply(x, buffer).requires_grad  # a buffer may change, as the running mean of a layer
    if position == 0:
        with mt.no_grad():
            assert numbers(function.apply(w, buffer)) == [4.0, 8.0]


# ---------------------------------------------------------------------------------------------------------------------
# Hooks
# ---------------------------------------------------------------------------------------------------------------------


def hooked(kind, device):
    """(leaf, tensor to hook): a leaf, a computed tensor, or the root that backward starts from."""
    x = leaf(1.0, 2.0, device=device)
    return x, x if kind == "leaf" else x * 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ("leaf", "computed", "root"))
class TestHooks:
    def run(self, x, tensor, kind, factor=2.0, device="cpu"):
        gradient = mt.Tensor(array(factor, factor, device=device))
        if kind == "root":
            tensor.backward(gradient, retain_graph=True)
        else:
            (tensor * 1).backward(gradient, retain_graph=True)
        return gradient

    def test_what_a_hook_was_handed_does_not_change(self, kind, device):
        x, tensor = hooked(kind, device)
        kept = []
        for _ in range(2):
            tensor.register_hook(lambda gradient: kept.append(gradient))
        for _ in range(3):
            gradient = self.run(x, tensor, kind, device=device)
            gradient.zero_()
        x.grad.zero_()
        assert [numbers(gradient) for gradient in kept] == [[2.0, 2.0]] * 6

    def test_what_a_hook_returned_stays_its_own(self, kind, device):
        constant = mt.Tensor(array(7.0, 7.0, device=device))
        (x, tensor), (y, other) = hooked(kind, device), hooked(kind, device)
        for hooked_tensor in (tensor, other):
            hooked_tensor.register_hook(lambda gradient: constant)
        for _ in range(2):
            self.run(x, tensor, kind, device=device)
            self.run(y, other, kind, device=device)
        assert numbers(constant) == [7.0, 7.0] and numbers(x.grad) == numbers(y.grad) == [14.0, 14.0]
        x.grad.zero_()
        constant.fill_(1.0)
        assert numbers(y.grad) == [14.0, 14.0]

    def test_a_hook_may_return_what_it_was_handed_and_keep_it(self, kind, device):
        x, tensor = hooked(kind, device)
        kept = []
        tensor.register_hook(lambda gradient: kept.append(gradient) or gradient)
        for _ in range(2):
            self.run(x, tensor, kind, device=device)
        assert [numbers(gradient) for gradient in kept] == [[2.0, 2.0]] * 2 and numbers(x.grad) == [4.0, 4.0]

    def test_a_change_in_place_counts_here_and_nowhere_else(self, kind, device):
        x, tensor = hooked(kind, device)
        kept = []
        tensor.register_hook(lambda gradient: kept.append(gradient))
        tensor.register_hook(lambda gradient: (gradient.mul_(10), None)[1])
        tensor.register_hook(lambda gradient: kept.append(gradient))
        gradient = self.run(x, tensor, kind, device=device)
        assert [numbers(found) for found in kept] == [[2.0, 2.0], [20.0, 20.0]]
        assert numbers(x.grad) == [20.0, 20.0] and numbers(gradient) == [2.0, 2.0]

    def test_a_hook_that_returns_its_own_gradient_field(self, kind, device):
        x, tensor = hooked(kind, device)
        x.grad = mt.Tensor(array(5.0, 5.0, device=device))
        tensor.register_hook(lambda gradient: x.grad)
        self.run(x, tensor, kind, device=device)
        assert numbers(x.grad) == [10.0, 10.0]


def test_a_hook_that_changes_in_place_leaves_the_other_branch_alone():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    p, q = a * 1, b * 1
    p.register_hook(lambda gradient: (gradient.mul_(10), None)[1])
    (p + q).sum().backward()  # both get one and the same upstream
    assert numbers(a.grad) == [10.0, 10.0] and numbers(b.grad) == [1.0, 1.0]


def test_a_leafs_hook_that_fails_leaves_no_half_gradients():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    b.register_hook(lambda gradient: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (a * b * c).sum().backward()
    assert a.grad is None and b.grad is None and c.grad is None


# ---------------------------------------------------------------------------------------------------------------------
# Leaves that are frozen
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", range(8))
def test_leaves_frozen_between_forward_and_backward(frozen):
    found = []
    for library in (mt, torch):
        leaves = [library.tensor([float(number)], requires_grad=True) for number in (2, 3, 5)]
        hooks = []
        for number, x in enumerate(leaves):
            x.register_hook(lambda gradient, number=number, hooks=hooks: hooks.append((number, gradient.tolist())))
        loss = (leaves[0] * leaves[1] * leaves[2]).sum()
        for number, x in enumerate(leaves):
            x.requires_grad_(not frozen >> number & 1)
        loss.backward(retain_graph=True)
        grads = [None if x.grad is None else x.grad.tolist() for x in leaves]
        for x in leaves:
            x.requires_grad_(True)
        loss.backward()
        found.append((grads, [x.grad.tolist() for x in leaves], sorted(hooks)))
    assert found[0] == found[1]


def test_a_leaf_that_is_frozen_keeps_the_gradient_it_had():
    found = []
    for library in (mt, torch):
        w = library.tensor([1.0, 2.0], requires_grad=True)
        (w * 3).sum().backward()
        loss = (w * 2).sum()
        w.requires_grad_(False)
        loss.backward()
        found.append(w.grad.tolist())
    assert found[0] == found[1] == [3.0, 3.0]


def test_a_leaf_that_became_a_computed_tensor():
    for library in (mt, torch):
        w, v = library.tensor([1.0], requires_grad=True), library.tensor([2.0], requires_grad=True)
        loss = (w + v).sum()
        w.requires_grad_(False)
        w += v
        with pytest.raises(RuntimeError):
            loss.backward()
        assert v.grad is None or library is torch  # ours stores nothing when a backward fails


def test_a_frozen_module_part():
    model = mt.nn.Sequential(mt.nn.Linear(2, 3), mt.nn.Linear(3, 1))
    loss = model(mt.ones(4, 2)).sum()
    model[0].requires_grad_(False)
    loss.backward()
    assert [parameter.grad is None for parameter in model.parameters()] == [True, True, False, False]


# ---------------------------------------------------------------------------------------------------------------------
# In-place operations and the graph
# ---------------------------------------------------------------------------------------------------------------------

# name in mytensor.ops -> the change, of a tensor of two elements
IN_PLACE = {
    "add_": lambda library, x: x.add_(1),
    "mul_": lambda library, x: x.mul_(2),
    "div_": lambda library, x: x.div_(2),
    "fill_": lambda library, x: x.fill_(2.0),
    "copy_": lambda library, x: x.copy_(library.ones(2)),
    "uniform_": lambda library, x: x.uniform_(1.0, 2.0),
    "normal_": lambda library, x: x.normal_(1.0, 2.0),
}
MORE_IN_PLACE = {
    "sub_": lambda library, x: x.sub_(library.ones(2)),
    "zero_": lambda library, x: x.zero_(),
    "+=": lambda library, x: x.__iadd__(1),
    "-=": lambda library, x: x.__isub__(library.ones(2)),
    "*=": lambda library, x: x.__imul__(2),
    "/=": lambda library, x: x.__itruediv__(2),
}


def test_every_in_place_op_is_tried():
    writing = {name for name in ops.__all__ if name.endswith("_")}
    assert writing - {"sub_"} == set(IN_PLACE)
    methods = {name for name, _ in inspect.getmembers(mt.Tensor) if name.endswith("_") and not name.startswith("_")}
    assert methods - {"requires_grad_"} <= {*IN_PLACE, *MORE_IN_PLACE}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", {**IN_PLACE, **MORE_IN_PLACE})
class TestInPlace:
    def make(self, library, device, requires_grad=True):
        w = library.tensor([3.0, 5.0]).to(device if library is mt else "cpu")
        return w.requires_grad_(requires_grad)

    def test_the_gradient_is_that_of_the_new_value(self, name, device):
        found = []
        for library in (mt, torch):
            w = self.make(library, device)
            x = w * 2
            before = x.grad_fn
            {**IN_PLACE, **MORE_IN_PLACE}[name](library if library is torch else OnDevice(device), x)
            assert x.grad_fn is not before and x.requires_grad
            (x * 7).sum().backward()
            found.append(w.grad.tolist())
        assert found[0] == found[1]

    def test_a_saved_array_is_noticed(self, name, device):
        for library in (mt, torch):
            w = self.make(library, device)
            x = w * 2
            y = (x * x).sum()
            {**IN_PLACE, **MORE_IN_PLACE}[name](library if library is torch else OnDevice(device), x)
            with pytest.raises(RuntimeError, match=r"in place|inplace"):
                y.backward()

    def test_a_leaf_is_refused_and_left(self, name, device):
        for library in (mt, torch):
            w = self.make(library, device)
            state = mt.random.reserve(0)
            with pytest.raises(RuntimeError):
                {**IN_PLACE, **MORE_IN_PLACE}[name](library if library is torch else OnDevice(device), w)
            assert w.tolist() == [3.0, 5.0] and mt.random.reserve(0) == state, "changed, or numbers were drawn"

    def test_unrecorded_it_stays_where_it_was(self, name, device):
        for library in (mt, torch):
            w = self.make(library, device)
            x = w * 2
            before = x.grad_fn
            with library.no_grad():
                {**IN_PLACE, **MORE_IN_PLACE}[name](library if library is torch else OnDevice(device), x)
            assert x.grad_fn is before
            x.sum().backward()
            assert w.grad.tolist() == [2.0, 2.0]


class OnDevice:
    """Ours, with constants on a device."""

    def __init__(self, device):
        self.device = device

    def ones(self, *shape):
        return mt.ones(*shape, device=self.device)


@pytest.mark.parametrize("draw", ("uniform_", "normal_"))
def test_the_numbers_drawn_do_not_depend_on_the_graph(draw):
    drawn = []
    for recorded in (True, False):
        mt.manual_seed(7)
        x = (mt.ones(5, requires_grad=recorded) * 2) if recorded else mt.ones(5)
        drawn.append(getattr(x, draw)().tolist())
    assert drawn[0] == drawn[1]


# ---------------------------------------------------------------------------------------------------------------------
# .grad, and the gradient passed in
# ---------------------------------------------------------------------------------------------------------------------


def grad_as_gradient(library, x):
    (x * 2).sum().backward()
    (x * 3).backward(x.grad)


def grad_as_gradient_of_the_leaf(library, x):
    (x * 2).sum().backward()
    x.backward(x.grad)


def grad_as_gradient_through_a_view(library, x):
    (x * 2).sum().backward()
    x.reshape(2).backward(x.grad)


def one_gradient_twice(library, x):
    gradient = library.ones(2)
    (x * 2).backward(gradient)
    (x * 3).backward(gradient)


def gradient_changed_later(library, x):
    gradient = library.ones(2)
    (x * 1).backward(gradient)
    gradient.mul_(10)


def gradient_of_the_leaf_changed_later(library, x):
    gradient = library.ones(2)
    x.backward(gradient)
    gradient.mul_(10)


def held_grad_is_added_to(library, x):
    x.sum().backward()
    held = x.grad
    (x * 2).sum().backward()
    assert held is x.grad


def assigned_grad_is_added_to(library, x):
    x.grad = held = library.ones(2) * 5
    x.sum().backward()
    assert held is x.grad and held.tolist() == [6.0, 6.0]


def grad_that_requires_a_gradient(library, x):
    x.grad = library.ones(2, requires_grad=True)
    (x * 2).sum().backward()


def zeroed_while_held(library, x):
    x.sum().backward()
    held = x.grad
    x.grad.zero_()
    (x * 2).sum().backward()
    assert held.tolist() == [2.0, 2.0]


def cleared_while_held(library, x):
    x.sum().backward()
    held = x.grad
    x.grad = None
    (x * 2).sum().backward()
    assert held.tolist() == [1.0, 1.0]


def retained_graph_twice(library, x):
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()


def grad_used_in_a_graph(library, x):
    x.sum().backward()
    y = (x * x.grad.clone()).sum()
    y.backward()


def gradient_is_the_leaf(library, x):
    (x * 2).backward(x.detach())


def gradient_is_the_output(library, x):
    y = x * 2
    y.backward(y.detach())


def gradient_requires_a_gradient(library, x):
    (x * 2).backward(library.ones(2, requires_grad=True))


GRADS = [
    function
    for name, function in list(globals().items())
    if inspect.isfunction(function) and (list(inspect.signature(function).parameters) == ["library", "x"])
]


@pytest.mark.parametrize("program", GRADS, ids=lambda program: program.__name__)
def test_grad_is_torchs(program):
    found = []
    for library in (mt, torch):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        program(library, x)
        found.append((x.grad.tolist(), x.tolist()))
    assert found[0] == found[1]


def test_a_grad_that_a_graph_has_saved_is_noticed():
    for library in (mt, torch):
        x, w = (library.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        x.sum().backward()
        y = (w * x.grad).sum()
        x.sum().backward()  # adds to .grad in place
        with pytest.raises(RuntimeError, match=r"in place|inplace"):
            y.backward()


def test_two_leaves_that_share_a_grad_add_to_it_both():
    found = []
    for library in (mt, torch):
        a, b = (library.tensor([1.0], requires_grad=True) for _ in range(2))
        a.grad = b.grad = library.ones(1)
        (a * 2 + b * 3).sum().backward()
        found.append((a.grad.tolist(), b.grad.tolist(), a.grad is b.grad))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("gradient", "error", "words"),
    [
        (lambda x: mt.ones(3), ValueError, "shape"),
        (lambda x: mt.ones(2, 1), ValueError, "shape"),
        (lambda x: mt.ones(1), ValueError, "shape"),
        (lambda x: mt.ones(2, dtype=mt.float64), TypeError, "float64"),
        (lambda x: mt.tensor([1, 2]), TypeError, "int64"),
        (lambda x: np.ones(2, np.float32), TypeError, "ndarray"),
        (lambda x: [1.0, 2.0], TypeError, "list"),
        (lambda x: 0, TypeError, "int"),
        (lambda x: x, ValueError, "own gradient"),
        (lambda x: mt.ones(2, device="simt"), ValueError, "simt"),
    ],
)
def test_grad_takes_only_what_fits(gradient, error, words):
    x = mt.ones(2, requires_grad=True)
    with pytest.raises(error, match=words):
        x.grad = gradient(x)
    assert x.grad is None
