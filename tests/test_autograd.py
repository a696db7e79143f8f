"""The graph and the walk back through it."""

import gc
import threading
import weakref

import mytensor_backend as backend
import numpy as np
import pytest
import torch
from twins import close, compare, draw

import mytensor as mt
from mytensor.inspect.recorded_graph import graph


def leaf(*values):
    return mt.tensor(np.array(values, np.float64), requires_grad=True)


class TestBackward:
    def test_shared_nodes(self):
        def network(x, y):
            a = x * y
            b = a + x
            return a * b + b.exp() - a

        compare(network, draw(3, 2), draw(3, 2))

    def test_diamonds_in_a_row_are_visited_once(self):
        x = y = leaf(1.0)
        for _ in range(60):  # 2^60 paths
            y = y + y
        y.backward()
        assert x.grad.item() == 2.0**60

    def test_gradients_add_up(self):
        x = leaf(1.0, 2.0)
        for _ in range(3):
            (x * x).sum().backward()
        assert x.grad.tolist() == [6.0, 12.0]

    def test_leaf_itself(self):
        x = leaf(2.0)
        x.backward()
        assert x.grad.tolist() == [1.0]

    def test_gradient_argument(self):
        x = leaf(1.0, 2.0)
        y = x * 3
        with pytest.raises(RuntimeError, match="single number"):
            y.backward()
        with pytest.raises(ValueError, match="shape"):
            y.backward(mt.tensor(np.ones(3)))
        with pytest.raises(TypeError, match="float32"):
            y.backward(mt.ones(2))
        with pytest.raises(TypeError, match="Tensor"):
            y.backward(np.ones(2))
        with pytest.raises(NotImplementedError, match="create_graph"):
            y.backward(mt.tensor(np.ones(2)), create_graph=True)
        y.backward(mt.tensor(np.array([1.0, 10.0])))
        assert x.grad.tolist() == [3.0, 30.0]

    def test_nothing_to_do(self):
        with pytest.raises(RuntimeError, match="requires a gradient"):
            mt.ones(1).backward()

    def test_long_chain(self):
        x = y = leaf(1.0)
        for _ in range(20_000):
            y = y * 1.0
        y.backward()
        assert x.grad.item() == 1.0
        nodes = weakref.ref(y.grad_fn)
        del y  # must not overflow the stack either
        gc.collect()
        assert nodes() is None

    def test_very_long_chain_is_destroyed(self):
        y = leaf(1.0)
        for _ in range(200_000):
            y = -y
        del y

    def test_gradients_do_not_share_memory(self):
        a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
        upstream = mt.tensor(np.array([1.0, 1.0]))
        (a + b).backward(upstream)
        a.grad.mul_(5)
        assert b.grad.tolist() == [1.0, 1.0] and upstream.tolist() == [1.0, 1.0]
        c = leaf(1.0, 2.0)
        c.reshape(2, 1).backward(mt.tensor(np.ones((2, 1))))
        c.grad.mul_(5)

    def test_a_returned_saved_array_is_copied(self):
        class Dot(mt.Function):
            @staticmethod
            def forward(ctx, x, factor):
                ctx.save_for_backward(factor)
                return backend.sum(backend.mul(x, factor))

            @staticmethod
            def backward(ctx, upstream):
                return ctx.saved[0]

        x, factor = leaf(1.0, 2.0), mt.tensor(np.array([3.0, 4.0]))
        Dot.apply(x, factor).backward()
        x.grad.mul_(0)
        assert factor.tolist() == [3.0, 4.0]

    def test_nan_propagates(self):
        x = leaf(1.0, float("nan"))
        (x * x).sum().backward()
        assert x.grad.tolist()[0] == 2.0 and np.isnan(x.grad.tolist()[1])

    def test_failing_backward_leaves_no_half_gradients(self):
        a, b = leaf(1.0), leaf(2.0)
        c = b * a
        y = (c + a) * c
        with mt.no_grad():
            a.add_(1)
        with pytest.raises(RuntimeError, match="in place"):
            y.backward()
        assert a.grad is None and b.grad is None


class TestSecondBackward:
    def test_freed_graph(self):
        x = leaf(2.0)
        y = x * x
        y.backward()
        with pytest.raises(RuntimeError, match="retain_graph=True"):
            y.backward()

    def test_retained_graph(self):
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.tolist() == [8.0]

    def test_graph_that_saved_nothing(self):
        x = leaf(2.0)
        y = x + 1
        y.backward()
        y.backward()
        assert x.grad.tolist() == [2.0]

    def test_graph_that_saved_only_numbers(self):
        x = leaf(2.0)
        y = (x * 3 - 1) / 2
        y.backward()
        y.backward()
        assert x.grad.tolist() == [3.0]

    def test_saved_arrays_are_freed(self):
        x = leaf(*range(1000))
        y = (x * 2).exp() * 3
        before = backend.memory_stats()["allocated"]
        y.backward(mt.tensor(np.ones(1000)))
        x.grad = None
        assert backend.memory_stats()["allocated"] < before


class TestInPlace:
    def test_changed_saved_tensor(self):
        for change in (
            lambda x: x.add_(1),
            lambda x: x.mul_(2),
            lambda x: x.zero_(),
            lambda x: x.detach().add_(1),
            lambda x: x.reshape(2).fill_(0),
        ):
            x = leaf(1.0, 2.0)
            y = (x * x).sum()
            with mt.no_grad():
                change(x)
            with pytest.raises(RuntimeError, match="changed in place"):
                y.backward()

    def test_change_that_does_not_matter(self):
        x = leaf(1.0, 2.0)
        y = (x + x).sum()
        with mt.no_grad():
            x.add_(1)
        y.backward()
        assert x.grad.tolist() == [2.0, 2.0]

    def test_leaves_are_protected(self):
        for change in (
            lambda x: x.add_(1),
            lambda x: x.mul_(x),
            lambda x: x.zero_(),
            lambda x: x.copy_(x),
            lambda x: x.normal_(),
        ):
            with pytest.raises(RuntimeError, match="no_grad"):
                change(leaf(1.0))

    def test_recorded_changes_like_torch(self):
        def network(x, y):
            h = x * 2
            h.add_(y)
            h += 1
            h.mul_(3)
            h *= y.exp()
            g = y * 1
            g.copy_(h * h)
            g.sub_(x, alpha=2)
            return g / 2

        compare(network, draw(3, 2), draw(3, 2))

    def test_recorded_zero_cuts_the_gradient(self):
        def network(x):
            h = x * 2
            h.zero_()
            return h + x

        compare(network, draw(3))

    def test_buffer_becomes_part_of_the_graph(self):
        buffer, x = mt.tensor(np.zeros(2)), leaf(1.0, 2.0)
        buffer += x * 3
        assert buffer.requires_grad
        buffer.sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]

    def test_users_from_before_the_change(self):
        x = leaf(1.0, 2.0)
        h = x * 1
        before = h.exp()  # saved its own output: still right
        squared = h * h  # saved h: wrong from now on
        h.mul_(5)
        before.sum().backward(retain_graph=True)
        close(x.grad, torch.tensor([1.0, 2.0], dtype=torch.float64).exp())
        with pytest.raises(RuntimeError, match="changed in place"):
            squared.sum().backward()

    def test_shared_memory_is_refused(self):
        h = leaf(1.0, 2.0) * 1
        view = h.reshape(2, 1)
        for tensor in (h, view):
            with pytest.raises(RuntimeError, match="shares its memory"):
                tensor.mul_(2)


class TestSwitches:
    def test_no_grad(self):
        x = leaf(1.0)
        with mt.no_grad():
            assert not (x * 2).requires_grad and not mt.is_grad_enabled()
            with mt.enable_grad():
                assert (x * 2).requires_grad
            assert not mt.is_grad_enabled()
        assert (x * 2).requires_grad

    def test_decorator_and_exceptions(self):
        @mt.no_grad()
        def evaluate(x, depth):
            assert not mt.is_grad_enabled()
            if depth:
                return evaluate(x, depth - 1)
            raise KeyError("inside")

        with pytest.raises(KeyError):
            evaluate(leaf(1.0), 2)
        assert mt.is_grad_enabled()

    def test_threads_have_their_own(self):
        seen = []
        with mt.no_grad():
            thread = threading.Thread(target=lambda: seen.append(mt.is_grad_enabled()))
            thread.start()
            thread.join()
        assert seen == [True]

    def test_detach(self):
        x = leaf(2.0)
        y = x * x.detach()
        y.backward()
        assert x.grad.tolist() == [2.0] and not x.detach().requires_grad and x.detach().array.shares_storage(x.array)

    def test_requires_grad_of_computed_tensors(self):
        with pytest.raises(RuntimeError, match="detach"):
            (leaf(1.0) * 2).requires_grad_(False)


class TestHooks:
    def test_on_leaf_and_inside(self):
        x = leaf(1.0, 2.0)
        y = x * 3
        seen = []
        y.register_hook(lambda g: seen.append(g.tolist()))
        y.register_hook(lambda g: g * 10)
        handle = x.register_hook(lambda g: g + 1)
        ((y * 2).sum() + y.sum()).backward()
        assert seen == [[3.0, 3.0]]  # the sum over all users, once
        assert x.grad.tolist() == [91.0, 91.0]
        handle.remove()
        handle.remove()
        x.grad = None
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]

    def test_bad_hooks(self):
        for result, error in ((mt.ones(3), ValueError), (1.0, TypeError)):
            x = leaf(1.0, 2.0)
            x.register_hook(lambda g, result=result: result)
            with pytest.raises(error, match="hook"):
                (x * 2).sum().backward()
        with pytest.raises(RuntimeError, match="never"):
            mt.ones(1).register_hook(print)

    def test_retain_grad(self):
        x = leaf(1.0, 2.0)
        y = x * 3
        y.retain_grad()
        (y * y).sum().backward()
        assert y.grad.tolist() == [6.0, 12.0]
        assert (leaf(1.0) * 2).grad is None


class TestOwnFunctions:
    def test_numpy_inside(self):
        class Sine(mt.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return np.sin(x.numpy())

            @staticmethod
            def backward(ctx, upstream):
                (x,) = ctx.saved
                return upstream.numpy() * np.cos(x.numpy())

        compare(lambda x: Sine.apply(x), draw(2, 3), also=torch.sin)
        assert mt.gradcheck(Sine.apply, leaf(0.5, 1.5))

    def test_two_outputs_of_which_one_is_used(self):
        class MinMax(mt.Function):
            @staticmethod
            def forward(ctx, x):
                return backend.mul(x, -1.0), backend.mul(x, 2.0)

            @staticmethod
            def backward(ctx, negative, double):
                return backend.sub(backend.mul(double, 2.0), negative)

        x = leaf(1.0, 2.0)
        _, double = MinMax.apply(x)
        double.sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]

    def make(self, result):
        class Wrong(mt.Function):
            @staticmethod
            def forward(ctx, a, b):
                return backend.add(a, b)

            @staticmethod
            def backward(ctx, upstream):
                return result(upstream)

        return Wrong

    @pytest.mark.parametrize(
        ("result", "error", "words"),
        [
            (lambda u: None, RuntimeError, "Wrong.backward returned no gradient"),
            (lambda u: (u, u, u), RuntimeError, "Wrong.backward returned 3"),
            (lambda u: u, RuntimeError, "Wrong.backward returned 1"),
            (lambda u: (u, backend.sum(u)), ValueError, "Wrong.backward: the gradient of input 1 has shape \\(\\)"),
            (
                lambda u: (u, u.astype(backend.float32)),
                TypeError,
                "Wrong.backward: the gradient of input 1 has dtype float32",
            ),
            (lambda u: (u, 1.0), TypeError, "Wrong.backward returned float"),
            (lambda u: (u, mt.Tensor(u)), TypeError, "Tensor"),
        ],
    )
    def test_wrong_backwards_are_named(self, result, error, words):
        with pytest.raises(error, match=words):
            self.make(result).apply(leaf(1.0, 2.0), leaf(1.0, 2.0)).sum().backward()

    def test_missing_methods(self):
        class Nothing(mt.Function):
            pass

        with pytest.raises(NotImplementedError, match="forward"):
            Nothing.apply(leaf(1.0))

    def test_gradcheck_finds_a_wrong_derivative(self):
        class Cube(mt.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return backend.pow(x, 3.0)

            @staticmethod
            def backward(ctx, upstream):
                slope = backend.mul(backend.pow(ctx.saved[0], 2.0), 3.0).numpy()
                slope[1] *= 1.001  # one element only
                return upstream.numpy() * slope

        with pytest.raises(AssertionError, match=r"output 0 at \(1,\) by input 0 at \(1,\)"):
            mt.gradcheck(Cube.apply, leaf(1.0, 2.0, 3.0))

    def test_gradcheck_rejects_nan(self):
        class NaN(mt.Function):
            @staticmethod
            def forward(ctx, x):
                return x.clone()

            @staticmethod
            def backward(ctx, upstream):
                return np.full(upstream.shape, np.nan)

        with pytest.raises(AssertionError, match="nan"):
            mt.gradcheck(NaN.apply, leaf(1.0))

    def test_gradcheck_needs_float64(self):
        with pytest.raises(TypeError, match="float64"):
            mt.gradcheck(lambda x: x * x, mt.ones(2, requires_grad=True))
        with pytest.raises(ValueError, match="requires_grad"):
            mt.gradcheck(lambda x: x * x, mt.ones(2))

    def test_gradcheck_leaves_its_inputs_alone(self):
        x = leaf(1.0, 2.0)
        constant = mt.tensor(np.array([3.0, 4.0]))
        assert mt.gradcheck(lambda x, c: ((x * c).exp(), x.sum()), (x, constant))
        assert x.grad is None and x.tolist() == [1.0, 2.0]


def test_graph_lists_what_was_computed():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    drawn = graph((x * w + x).sum())
    assert [node.name for node in drawn.nodes] == ["leaf", "leaf", "Mul", "Add", "Sum"]
    names = {node.id: node.name for node in drawn.nodes}
    assert sorted((names[edge.source], names[edge.target]) for edge in drawn.edges) == [
        ("Add", "Sum"),
        ("Mul", "Add"),
        ("leaf", "Add"),
        ("leaf", "Mul"),
        ("leaf", "Mul"),
    ]


def test_parameters_may_change_between_two_passes():
    x, w = mt.tensor(np.array([2.0])), leaf(3.0)
    for expected in (2.0, 2.0):
        w.grad = None
        (w * x).backward()
        assert w.grad.tolist() == [expected]
        with mt.no_grad():
            w -= 0.1 * w.grad
    close(w, torch.tensor([2.6], dtype=torch.float64))
