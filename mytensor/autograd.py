"""Automatic differentiation: the graph, and the walk back through it.

Forward: `Function.apply` computes an op's value and, while gradients are recorded, leaves a `Node` behind. A node knows
where its inputs came from (its edges), so the nodes form a graph that points from the loss back to the parameters.

Backward: `backward` visits the nodes from the newest to the oldest and hands each one the sum of the gradients of
everything that used its output. The chain rule is then local: a node turns "dloss / d(my output)" (called `upstream`)
into "dloss / d(my inputs)".
"""

from __future__ import annotations

import functools
import heapq
import inspect
import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import mytensor_backend as backend
import numpy as np
from mytensor_backend import NDArray

from mytensor._tensor import Tensor

FLOATING = (backend.float32, backend.float64)


# ---------------------------------------------------------------------------------------------------------------------
# Is the graph being recorded?
# ---------------------------------------------------------------------------------------------------------------------


class _GradMode(threading.local):
    """One switch a thread: while it is off, operations leave no nodes behind."""

    enabled = True

    def __init__(self):
        # What each block that this thread is in goes back to: a list, as a block may be entered again inside itself.
        self.before: dict[_GradModeBlock, list[bool]] = {}


_grad_mode = _GradMode()


def is_grad_enabled() -> bool:
    """True while operations on tensors that require gradients are recorded in this thread."""
    return _grad_mode.enabled


class _GradModeBlock:
    """What no_grad, enable_grad and set_grad_enabled share: a block, or a function, in which the switch is set."""

    enabled: bool

    def __enter__(self):
        _grad_mode.before.setdefault(self, []).append(_grad_mode.enabled)
        _grad_mode.enabled = self.enabled
        return self

    def __exit__(self, *exception):
        before = _grad_mode.before[self]
        _grad_mode.enabled = before.pop()
        if not before:
            del _grad_mode.before[self]

    def __call__(self, function: Callable) -> Callable:
        """The function, running inside such a block. A generator is inside while its own code runs: whoever takes its
        values is not."""
        return _run_inside(enable_grad if self.enabled else no_grad, function)


def _run_inside(block: type[_GradModeBlock], function: Callable) -> Callable:
    """The function, running inside a block of this kind."""
    if not callable(function):
        raise TypeError(f"wanted a function to decorate, got {type(function).__name__}")
    if inspect.isgeneratorfunction(function):
        return _generate_inside(block, function)

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with block():
            return function(*args, **kwargs)

    return wrapper


def _generate_inside(block: type[_GradModeBlock], function: Callable) -> Callable:
    """A generator rests at each `yield`, and its block must rest with it: it is entered anew each time it goes on."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        generator = function(*args, **kwargs)
        go_on, value = generator.send, None
        while True:
            try:
                with block():
                    value = go_on(value)
            except StopIteration as end:
                return end.value
            try:
                value = yield value
                go_on = generator.send
            except GeneratorExit:
                with block():
                    generator.close()
                raise
            except BaseException as error:  # thrown at the generator: it may catch it and go on
                go_on, value = generator.throw, error

    return wrapper


class no_grad(_GradModeBlock):
    """`with no_grad():` or `@no_grad()`: nothing inside is recorded. For evaluation and for updating parameters.

    The brackets may be left out over a function: `@no_grad`.
    """

    enabled = False

    def __new__(cls, function: Callable | None = None) -> Any:
        return super().__new__(cls) if function is None else _run_inside(cls, function)


class enable_grad(_GradModeBlock):
    """`with enable_grad():` or `@enable_grad`: records again inside a `no_grad` block."""

    enabled = True

    def __new__(cls, function: Callable | None = None) -> Any:
        return super().__new__(cls) if function is None else _run_inside(cls, function)


class set_grad_enabled(_GradModeBlock):
    """Records the graph from here on, or does not: `set_grad_enabled(flag)` as a statement, for the rest of the thread.

    `with set_grad_enabled(flag):` goes back at the block's end; `@set_grad_enabled(flag)` switches inside a function.
    """

    def __init__(self, enabled: bool):
        if not isinstance(enabled, bool):
            raise TypeError(f"set_grad_enabled: wanted True or False, got {type(enabled).__name__}")
        self.enabled = enabled
        # The switch is thrown now. A `with` or a decorator, which comes right after, takes it back first.
        self._before: bool | None = _grad_mode.enabled
        _grad_mode.enabled = enabled

    def _take_back(self) -> None:
        if self._before is not None:
            _grad_mode.enabled, self._before = self._before, None

    def __enter__(self):
        self._take_back()
        return super().__enter__()

    def __call__(self, function: Callable) -> Callable:
        self._take_back()
        return super().__call__(function)


# ---------------------------------------------------------------------------------------------------------------------
# The graph
# ---------------------------------------------------------------------------------------------------------------------

# Nodes are numbered as they are made. A node is always made after the nodes it depends on, so visiting the numbers
# downwards visits every node after all nodes that used its output: the order backward needs.
_node_numbers = itertools.count()


class Node:
    """One recorded operation; the `ctx` that an op's forward and backward share.

    An op may keep plain values on it (`ctx.stride = stride`). Arrays that backward needs go through
    `save_for_backward`, so that changing them in place is noticed and their memory is freed after backward.
    """

    # A node is made for every op of every step, and most never get hooks, say: what they start with stands here once.
    output_hooks: dict[int, dict[int, Callable]] | None = None  # output index -> its hooks
    retained: dict[int, weakref.ref[Tensor]] | None = None  # output index -> the tensor whose .grad is kept
    _saved: tuple = ()
    _saved_versions: tuple[int, ...] = ()
    _freed = False
    _non_differentiable: tuple = ()

    def __init__(self, function: type[Function], edges: list[tuple[Node | Tensor, int] | None]):
        self.function = function
        self.number = next(_node_numbers)
        # One entry an input: None where no gradient is wanted, else (Node that made it or leaf Tensor, output index).
        self.edges = edges
        # One entry an output: (shape, dtype), or None where the output has no derivative.
        self.output_specs: list[Any] = []

    @property
    def needs_input_grad(self) -> list[bool]:
        """For each input of forward, whether its gradient is wanted."""
        return [edge is not None for edge in self.edges]

    @property
    def name(self) -> str:
        """The op's name as repr shows it, e.g. "MulBackward"."""
        return f"{self.function.__name__}Backward"

    def save_for_backward(self, *values) -> None:
        """Keeps arrays (and numbers, or None) for backward, where `ctx.saved` hands them out again."""
        self._saved = values
        self._saved_versions = backend.versions(*values)

    @property
    def saved(self) -> tuple:
        """What `save_for_backward` kept.

        RuntimeError: they were freed by an earlier backward, or changed in place since they were saved.
        """
        if self._freed:
            raise RuntimeError(
                f"{self.name}: backward went through this part of the graph before, and freed what it had saved. "
                "Run the forward pass again, or keep the graph with .backward(retain_graph=True) the first time."
            )
        if backend.versions(*self._saved) != self._saved_versions:
            self._raise_changed_in_place()
        return self._saved

    def _raise_changed_in_place(self) -> None:
        now = backend.versions(*self._saved)
        position = next(i for i, version in enumerate(now) if version != self._saved_versions[i])
        raise RuntimeError(
            f"{self.name}: an array that its derivative needs was changed in place after the forward pass "
            f"(saved array {position}, shape {self._saved[position].shape}: saved at version "
            f"{self._saved_versions[position]}, now at version {now[position]}). Use the out-of-place operation "
            "(x = x + 1, not x += 1), or change a .clone()."
        )

    def mark_non_differentiable(self, *arrays) -> None:
        """Says in forward which of the outputs have no derivative (integer outputs never have one)."""
        self._non_differentiable = arrays

    def free(self) -> None:
        """Lets go of the saved arrays; backward does so once it has used them. Plain numbers may stay."""
        for value in self._saved:
            if type(value) is NDArray:
                self._saved = ()
                self._freed = True
                return

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Function:
    """An operation with its derivative beside it. Write one by giving both as static methods:

        class Square(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return backend.mul(x, x)

            @staticmethod
            def backward(ctx, upstream):
                (x,) = ctx.saved
                return backend.mul(upstream, backend.mul(x, 2.0))      # dloss/dx = upstream * 2x

        y = Square.apply(x)

    Inside, values are NDArrays (Tensors without the autograd state); numpy arrays may be returned as well. `backward`
    takes one upstream gradient an output and returns one gradient an input, None where there is none; the Nones of the
    last inputs may be left out. `ctx.needs_input_grad` says which gradients are wanted at all.

    What the two return is copied, so it may be an array that somebody keeps: an input, a constant, `upstream` itself.
    """

    # The ops of this package return new arrays, or memory that is known to be shared: theirs is not copied.
    _is_copied = True

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls._is_copied = not cls.__module__.startswith("mytensor.ops.")

    @staticmethod
    def forward(ctx: Node, *inputs):
        raise NotImplementedError("a Function needs a static method forward(ctx, ...) that returns the value")

    @staticmethod
    def backward(ctx: Node, *upstream):
        raise NotImplementedError(
            f"{ctx.function.__name__} needs a static method backward(ctx, upstream) that returns one gradient an input"
        )

    @classmethod
    def apply(cls, *inputs):
        """Computes the value for Tensors (other arguments are passed on as they are) and records it in the graph."""
        recording = _grad_mode.enabled
        values = []
        edges: list[tuple[Node | Tensor, int] | None] = []
        is_recorded = False
        for value in inputs:
            edge = None
            if isinstance(value, Tensor):
                if recording and value._requires_grad:
                    edge = (value.grad_fn or value, value._output_index)
                    is_recorded = True
                value = value.array
            values.append(value)
            edges.append(edge)

        node = Node(cls, edges)
        versions = backend.versions(*values) if cls._is_copied else None
        result = cls.forward(node, *values)
        if versions is not None:
            _check_inputs_are_unchanged(node, versions, backend.versions(*values))

        if type(result) is tuple:
            return tuple([_output(node, array, is_recorded, values) for array in result])
        return _output(node, result, is_recorded, values)


def _check_inputs_are_unchanged(node: Node, before: tuple, after: tuple) -> None:
    """The graph holds the way to an input's old value: a forward that changes a recorded input would make it lie."""
    for index, edge in enumerate(node.edges):
        if edge is not None and before[index] != after[index]:
            raise RuntimeError(
                f"{node.function.__name__}.forward changed input {index} in place, which requires a gradient, and the "
                "graph would not know; work on a copy: x.clone()"
            )


def _output(node: Node, array, is_recorded: bool, values: list) -> Tensor:
    """Wraps an output of `node` in a Tensor that, where the graph is recorded, remembers where it came from."""
    marked = node._non_differentiable
    is_marked = marked and any(array is other for other in marked)
    if node.function._is_copied:
        array = _copy_of(array, node.function, "forward", values)
    output = Tensor._wrap(array)
    if not is_recorded:
        return output
    dtype = array.dtype
    if dtype in FLOATING and not is_marked:
        output._requires_grad = True
        output.grad_fn = node
        output._output_index = len(node.output_specs)
        node.output_specs.append((array.shape, dtype))
    else:
        node.output_specs.append(None)
    return output


def _copy_of(value, function: type[Function], method: str, beside: Sequence):
    """What a reader's Function returned, an NDArray or a numpy array, as an NDArray that nobody else holds. A numpy
    array goes to the device of the arrays `beside` it."""
    if isinstance(value, NDArray):
        return value.clone()
    if isinstance(value, (np.ndarray, np.generic)):
        device = next((array.device for array in beside if isinstance(array, NDArray)), "cpu")
        return backend.from_numpy(np.array(value, order="C")).to(device)
    kind = "a Tensor (inside a Function, work with NDArrays)" if isinstance(value, Tensor) else type(value).__name__
    raise TypeError(f"{function.__name__}.{method} returned {kind}; wanted an NDArray or a numpy array")


# ---------------------------------------------------------------------------------------------------------------------
# Backward
# ---------------------------------------------------------------------------------------------------------------------


def backward(tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool = False) -> None:
    """Adds dloss/dleaf to `.grad` of every leaf that `tensor` depends on.

    gradient: dloss/dtensor, of the tensor's shape and dtype; may be left out for a single number (then it is 1).
    retain_graph: keep the saved arrays, so that backward can run through this graph again.
    """
    if not tensor._requires_grad:
        raise RuntimeError(
            "backward: this tensor does not depend on anything that requires a gradient. "
            "Make an input with requires_grad=True, and do not compute inside no_grad()."
        )
    leaf_gradients = _LeafGradients()
    pending: dict[Node, list] = {}
    heap: list[tuple[int, Node]] = []

    def deliver(node: Node, index: int, array) -> None:
        """Adds a gradient to what output `index` of the node has received so far."""
        received = pending.get(node)
        if received is None:
            received = pending[node] = [None] * len(node.output_specs)
            heapq.heappush(heap, (-node.number, node))
        received[index] = array if received[index] is None else backend.add(received[index], array)

    root = _root_gradient(tensor, gradient)
    if tensor.grad_fn is None:
        leaf_gradients.add(tensor, root, is_shared=False)
    else:
        deliver(tensor.grad_fn, tensor._output_index, root)
    while heap:
        _, node = heapq.heappop(heap)
        upstream = _complete_upstream(node, pending.pop(node))
        gradients = call_backward(node, upstream)
        for position, (edge, array) in enumerate(zip(node.edges, gradients, strict=False)):
            if edge is None or array is None:
                continue
            target, index = edge
            if isinstance(target, Node):
                deliver(target, index, array)
            else:
                is_shared = array.shares_storage(*upstream, *node._saved, *gradients[:position])
                leaf_gradients.add(target, array, is_shared)
        if not retain_graph:
            node.free()
    leaf_gradients.store()


class _LeafGradients:
    """The gradients of the leaves: summed over one backward pass, and added to `.grad` at its end.

    is_shared: somebody else holds the same memory, so it is copied before it becomes a `.grad`.
    """

    def __init__(self):
        self.sums: dict[Tensor, tuple[Any, bool]] = {}

    def add(self, leaf: Tensor, array, is_shared: bool) -> None:
        if leaf in self.sums:
            array, is_shared = backend.add(self.sums[leaf][0], array), False
        self.sums[leaf] = (array, is_shared)

    def store(self) -> None:
        for leaf, (array, _) in self.sums.items():  # all hooks first: if one fails, no .grad has changed
            if leaf.grad_fn is not None:
                raise RuntimeError(
                    "backward: a leaf of this graph was changed in place since and is now computed from others, so its "
                    "gradient has no place; use x = x + 1, not x += 1, or change a .clone()"
                )
            if leaf._hooks:
                self.sums[leaf] = _run_hooks(leaf._hooks, array), False
        for leaf, (array, is_shared) in self.sums.items():
            if not leaf._requires_grad:
                continue  # frozen since the forward pass
            if leaf._grad is not None:
                backend.add_(leaf._grad.array, array)
            else:
                leaf._grad = Tensor._wrap(array.clone() if is_shared else array)


def _root_gradient(tensor: Tensor, gradient: Tensor | None):
    """The gradient that backward starts from, as an NDArray that nobody else holds."""
    array = tensor.array
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(
                f"backward: the gradient can be left out only for a single number; this has shape {tensor.shape}. "
                "Reduce it first (.sum(), .mean()), or pass dloss/dtensor: .backward(gradient)."
            )
        return backend.full(array.shape, 1.0, array.dtype, array.device)
    if not isinstance(gradient, Tensor):
        raise TypeError(
            f"backward: gradient must be a Tensor, got {type(gradient).__name__}; make one with mt.tensor(...)"
        )
    _check_gradient("backward: the gradient passed in", gradient.array, (array.shape, array.dtype), array.device)
    return gradient.array.clone()


def _complete_upstream(node: Node, received: list) -> list:
    """Runs the hooks of the node's outputs and keeps what is to be retained; outputs that nothing used get zeros."""
    for index, spec in enumerate(node.output_specs):
        if spec is None:
            continue
        if received[index] is None:
            other = next(gradient for gradient in received if gradient is not None)  # there is one: backward came by it
            received[index] = backend.full(spec[0], 0.0, spec[1], other.device)
            continue
        if node.output_hooks and index in node.output_hooks:
            received[index] = _run_hooks(node.output_hooks[index], received[index])
        if node.retained and index in node.retained:
            _retain(node, node.retained[index](), received[index])
    return received


def _retain(node: Node, tensor: Tensor | None, array) -> None:
    """Adds to the `.grad` of a tensor that asked for it, if it is still there and still what this node computed."""
    if tensor is not None and tensor.grad_fn is node:
        grad = tensor._grad
        tensor._grad = Tensor._wrap(array.clone() if grad is None else backend.add(grad.array, array))


def call_backward(node: Node, upstream: list) -> list:
    """Calls the op's backward and checks what it returned: readable errors for a wrong derivative."""
    is_copied = node.function._is_copied
    if is_copied:  # in both directions: a reader's backward may also write into what it is handed
        upstream = [array if array is None else array.clone() for array in upstream]
    result = node.function.backward(node, *upstream)
    gradients = list(result) if isinstance(result, (tuple, list)) else [result]
    if not [gradient for gradient in gradients if gradient is not None]:
        raise RuntimeError(
            f"{node.function.__name__}.backward returned no gradient at all; is its `return` missing? "
            "(For a zero gradient, return zeros.)"
        )
    edges = node.edges
    if len(gradients) > len(edges) or any(node.needs_input_grad[len(gradients) :]):
        raise RuntimeError(
            f"{node.function.__name__}.backward returned {len(gradients)} gradient(s), but forward took {len(edges)} "
            "input(s); return one gradient an input, None where there is none"
        )
    for index, (edge, gradient) in enumerate(zip(edges, gradients, strict=False)):
        if edge is None or gradient is None:
            continue
        if is_copied:
            gradient = gradients[index] = _copy_of(gradient, node.function, "backward", upstream)
        target, output_index = edge
        wanted = (  # of the tensor at the end of the edge
            target.output_specs[output_index] if isinstance(target, Node) else (target.array.shape, target.array.dtype)
        )
        if is_copied or (gradient.shape, gradient.dtype) != wanted:
            device = target.device if isinstance(target, Tensor) else gradient.device
            what = f"{node.function.__name__}.backward: the gradient of input {index}"
            _check_gradient(what, gradient, wanted, device)
    return gradients


def _check_gradient(what: str, gradient, wanted: tuple, device: str) -> None:
    """A gradient has the shape and dtype of the tensor it belongs to, and lies beside it."""
    shape, dtype = wanted
    if tuple(gradient.shape) != tuple(shape):
        raise ValueError(
            f"{what} has shape {tuple(gradient.shape)}, but the tensor it belongs to has shape {tuple(shape)}"
        )
    if gradient.dtype != dtype:
        raise TypeError(f"{what} has dtype {gradient.dtype.name}, but the tensor it belongs to has dtype {dtype.name}")
    if gradient.device != device:
        raise ValueError(
            f"{what} is on {gradient.device}, but the tensor it belongs to is on {device}; move it with .to({device!r})"
        )


def _run_hooks(hooks: dict[int, Callable], array):
    """Calls hook(gradient) one after the other; what a hook returns replaces the gradient.

    A hook may keep what it is handed and what it returns, so each gets a copy of its own and what comes out is one too.
    Hooks that are added or removed meanwhile count from the next time on.
    """
    with no_grad():
        for hook in tuple(hooks.values()):
            gradient = Tensor._wrap(array.clone())
            replacement = hook(gradient)
            if replacement is None:
                replacement = gradient  # perhaps changed in place
            elif not isinstance(replacement, Tensor):
                raise TypeError(f"a hook must return a Tensor or None, got {type(replacement).__name__}")
            _check_gradient("the gradient a hook returned", replacement.array, (array.shape, array.dtype), array.device)
            array = replacement.array
    return array.clone()


_registrations = itertools.count()


class HookHandle:
    """What registering a hook returns: `remove()` takes this one registration out again.

    hooks: registration number -> hook, in the order in which they run; the new hook is put in.
    """

    def __init__(self, hooks: dict[int, Callable], hook: Callable):
        self._hooks = hooks
        self._number = next(_registrations)
        hooks[self._number] = hook

    def remove(self) -> None:
        """Takes the hook out; calling it again does nothing."""
        self._hooks.pop(self._number, None)


def register_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
    """Calls hook(dloss/dtensor) during backward; see Tensor.register_hook."""
    if not tensor._requires_grad:
        raise RuntimeError("register_hook: this tensor does not require a gradient, so the hook would never be called")
    node = tensor.grad_fn
    if node is None:
        if tensor._hooks is None:
            tensor._hooks = {}
        hooks = tensor._hooks
    else:
        if node.output_hooks is None:
            node.output_hooks = {}
        hooks = node.output_hooks.setdefault(tensor._output_index, {})
    return HookHandle(hooks, hook)


def retain_grad(tensor: Tensor) -> None:
    """Keeps `.grad` of a tensor in the middle of the graph; see Tensor.retain_grad."""
    if not tensor._requires_grad:
        raise RuntimeError("retain_grad: this tensor does not require a gradient")
    node = tensor.grad_fn
    if node is None:
        return
    if node.retained is None:
        node.retained = {}
    node.retained[tensor._output_index] = weakref.ref(tensor)  # the node must not keep its own output alive


def retains_grad(tensor: Tensor) -> bool:
    """Whether backward keeps the `.grad` of this tensor in the middle of the graph."""
    node = tensor.grad_fn
    reference = node.retained.get(tensor._output_index) if node is not None and node.retained else None
    return reference is not None and reference() is tensor
