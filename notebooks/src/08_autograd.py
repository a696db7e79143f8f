# %% [markdown]
# # 08 · Autograd
#
# *45 minutes · before: 07 · <!-- links -->*
#
# **The question.** Each op knows its own derivative. Who puts them together, in which order, for a program that may branch, share and repeat?

#
# ```mermaid
# flowchart LR
#     X["x"] --> A["x @ w1"] --> R["relu"] --> B["@ w2"] --> S["+ x"] --> M["* x"] --> L["sum: the loss"]
#     X --> S
#     X --> M
#     L -. "backward: the same arrows, the other way" .-> X
# ```

# %% [markdown]
# ## 1 An autograd in sixty lines
#
# A value remembers which op made it and from what. That is the whole graph: arrows from a result back to its inputs.

# %%
import numpy as np


class Value:
    """An array, and how it was made."""

    def __init__(self, data, inputs=(), backward=None):
        self.data = np.asarray(data, dtype=np.float64)
        self.grad = np.zeros_like(self.data)
        self.inputs = inputs  # the values it was computed from
        self.backward_rule = backward  # upstream gradient -> one gradient an input


# %% [markdown]
# An op computes the result and states the derivative beside it. The rule is a function of the upstream gradient `u`:


# %%
def add(a, b):
    return Value(a.data + b.data, (a, b), lambda u: (u, u))


def multiply(a, b):
    return Value(a.data * b.data, (a, b), lambda u: (u * b.data, u * a.data))


def matmul(a, b):
    return Value(a.data @ b.data, (a, b), lambda u: (u @ b.data.T, a.data.T @ u))


def relu(a):
    return Value(np.maximum(a.data, 0), (a,), lambda u: (u * (a.data > 0),))


def total(a):
    return Value(a.data.sum(), (a,), lambda u: (u * np.ones_like(a.data),))


# %% [markdown]
# Backward visits each value **after** everything that was computed from it, since only then is its gradient complete. That order is the reverse of a topological order. The stack
# is our own: Python's recursion ends at about a thousand calls, and a net is deeper than it looks.


# %%
def topological_order(root):
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        value, inputs_done = stack.pop()
        if inputs_done:
            order.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            stack.append((value, True))
            stack.extend((v, False) for v in value.inputs)
    return order


def backward(root):
    root.grad = np.ones_like(root.data)
    for value in reversed(topological_order(root)):
        if value.backward_rule is not None:
            for source, gradient in zip(value.inputs, value.backward_rule(value.grad)):
                source.grad = source.grad + gradient  # +, not =: a value may be used twice


# %% [markdown]
# A two-layer net, its input used twice. torch runs the same program:

# %%
import torch
from mytensor import check

rng = np.random.default_rng(8)
arrays = dict(x=rng.normal(size=(5, 3)), w1=rng.normal(size=(3, 4)), w2=rng.normal(size=(4, 3)))


def sixty_lines(x, w1, w2, backward=backward):
    v = {"x": Value(x), "w1": Value(w1), "w2": Value(w2)}
    hidden = relu(matmul(v["x"], v["w1"]))
    backward(total(multiply(add(matmul(hidden, v["w2"]), v["x"]), v["x"])))
    return {name: value.grad for name, value in v.items()}


def overwriting(x, w1, w2):
    return sixty_lines(x, w1, w2, check.changed(backward, "source.grad + gradient", "gradient"))


t = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
((torch.relu(t["x"] @ t["w1"]) @ t["w2"] + t["x"]) * t["x"]).sum().backward()
want = {name: leaf.grad for name, leaf in t.items()}
check.call(sixty_lines, *arrays.values(), want=want, bound=1e-13, mutants={"`=` for `+`": overwriting})

# %% [markdown]
# ## 2 The same in mytensor
#
# `Function` is the op with its rule, `Tensor` the value, `backward()` the loop. The arithmetic is the compiled backend's.

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source
from mytensor.ops import activation

source(activation.ReLU)

# %%
import mytensor as mt


def mytensor_loss(*values):
    leaves = {name: mt.tensor(a, requires_grad=True) for name, a in zip(arrays, values)}
    x, w1, w2 = leaves.values()
    return ((mt.relu(x @ w1) @ w2 + x) * x).sum(), leaves


def mytensor_gradients(*values):
    loss, leaves = mytensor_loss(*values)
    loss.backward()
    return {name: leaf.grad for name, leaf in leaves.items()}


check.call(mytensor_gradients, *arrays.values(), want=want, bound=1e-13)

# %% [markdown]
# ## 3 Look inside
#
# The graph of that loss, stepped backward: at each step one node hands gradients to its inputs. `x` is a shared node: watch its gradient being added to three times.
# (Buttons, or the left and right arrow keys.)

# %%
from mytensor.inspect.graph import GraphInspector

loss, leaves = mytensor_loss(*arrays.values())
inspector = GraphInspector(loss, names=leaves)
inspector

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
inspector.step, inspector.steps[inspector.step]["text"]

# %% [markdown]
# ## 4 What the loop must get right
#
# **Shared nodes.** $y = x \cdot x$ uses $x$ twice: the two gradients add.

# %%
x = mt.tensor([3.0], requires_grad=True)
(x * x).backward(mt.tensor([1.0]))
print("d(x*x)/dx at 3:", x.grad.tolist())

# %% [markdown]
# **Gradients accumulate** over calls of `backward`, as in torch, until you clear them. That is why each training step begins with `zero_grad()`.

# %%
(x * 5).backward(mt.tensor([1.0]))
print("after a second backward:", x.grad.tolist())

# %% [markdown]
# **The graph is used up.** Backward frees what the ops had saved; a second run through the same graph must be asked for (`retain_graph=True`).

# %% tags=["raises-exception"]
y = (x * x).sum()
y.backward()
y.backward()

# %% [markdown]
# **Saved values must not change.** The product saved `x` to compute its gradient later. Change `x` in place, and that gradient would be silently wrong; so every storage counts its
# in-place writes, and backward compares.

# %% tags=["raises-exception"]
x = mt.tensor([3.0], requires_grad=True)
y = x * 1.0
z = (y * y).sum()
y.add_(mt.tensor([1.0]))
z.backward()

# %% [markdown]
# **No graph where none is wanted.** Evaluation and the optimizer's update run under `no_grad`:

# %%
with mt.no_grad():
    y = x * x
print("requires_grad:", y.requires_grad, "  grad_fn:", y.grad_fn)

# %% [markdown]
# **Deep graphs.** 20,000 ops in a row; recursion would have ended at 1,000.

# %%
y = x = mt.tensor([1.0], requires_grad=True)
for _ in range(20_000):
    y = y + 1.0
y.sum().backward()
print("gradient through 20,000 ops:", x.grad.tolist())

# %% [markdown]
# ## 5 Your own op
#
# A `Function` is two static methods. Here is $f(x) = x^3$; `gradcheck` compares the rule with finite differences.

# %%
import mytensor_backend as backend


class Cube(mt.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return backend.mul(backend.mul(x, x), x)

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved
        return backend.mul(upstream, backend.mul(3.0, backend.mul(x, x)))


check.gradcheck(Cube.apply, mt.tensor(rng.normal(size=(3, 5)), requires_grad=True), name="Cube")

# %% [markdown]
# ## 6 What it costs
#
# Recording is Python work, the same for a small tensor as for a large one. A LeNet step has about 50 ops forward and backward.

# %% tags=["nbval-ignore-output"]
from mytensor.timing import best_time

small = mt.tensor([1.0], requires_grad=True)
recorded = best_time(lambda: small * small)
with mt.no_grad():
    unrecorded = best_time(lambda: small * small)
print(f"one multiplication: {recorded * 1e6:.1f} µs recorded, {unrecorded * 1e6:.1f} µs under no_grad")

# %% [markdown]
# ## 7 Exercises
#
# **Plant a bug.** In `backward` of section 1, write `source.grad = gradient` without the `+`. Of the leaves `x`, `w1` and `w2`, which one would the check name? Say it first, then try it. Answer with its name, as a text.

# %% tags=["exercise"]
leaf_that_suffers = ...

# %%
from mytensor import exercise

exercise("08.1", leaf_that_suffers)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# Which of them is used more than once, and so is handed more than one gradient?
# </details>

# %% tags=["solution"]
# Solution
leaf_that_suffers_solution = (
    "x"  # used by the product, the sum and the first matmul: three gradients, of which the last would win
)

# %% [markdown]
# **A backward rule with two inputs.** Division: the value is given. Return two gradients, that of `a` and that of `b`.


# %% tags=["exercise"]
class Divide(mt.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a.numpy() / b.numpy()

    @staticmethod
    def backward(ctx, upstream):
        a, b = (saved.numpy() for saved in ctx.saved)
        u = upstream.numpy()
        return ...


# %%
exercise("08.2", Divide)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# On paper first: $\partial (a/b) / \partial a = 1/b$ and $\partial (a/b) / \partial b = -a/b^2$. Each is multiplied by the upstream gradient, elementwise.
# </details>


# %% tags=["solution"]
# Solution
class Divide_solution(mt.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a.numpy() / b.numpy()

    @staticmethod
    def backward(ctx, upstream):
        a, b = (saved.numpy() for saved in ctx.saved)
        u = upstream.numpy()
        return u / b, -u * a / (b * b)


# %% [markdown]
# **A rule that mixes.** In softmax every output depends on every input of its row: $\partial y_k / \partial x_j = y_k(\delta_{kj} - y_j)$. Write its backward rule without building that matrix. Both arguments are (N, K), and `output` is $y$.


# %% tags=["exercise"]
def softmax_backward(upstream, output):
    return ...


# %%
exercise("08.3", softmax_backward)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Put the Jacobian into $\partial L / \partial x_j = \sum_k u_k\, \partial y_k / \partial x_j$ and carry the sum out: the $\delta$ leaves one term, the rest has $y_j$ as a common factor.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# It is $y_j\,(u_j - \sum_k u_k y_k)$. The sum is one number a row.
# </details>


# %% tags=["solution"]
# Solution
def softmax_backward_solution(upstream, output):
    mixed = (upstream * output).sum(axis=1, keepdims=True)
    return output * (upstream - mixed)


# %% [markdown]
# ## What you built
#
# - A working autograd: values that remember, rules beside the ops, one reverse topological walk, `+=` at the end.
# - The five things a real one must also get right: shared nodes, accumulation, freeing, in-place changes, depth.
#
# <!-- links -->
