# %% [markdown]
# # 00 · Start here
#
# *20 minutes · before: Python, numpy, and having seen a neural network train · <!-- links -->*
#
# **The question.** What happens between `loss.backward()` in a notebook and the arithmetic in the processor?
#
# This book answers it by building the whole way. The package beside these notebooks, `mytensor`, is a small framework
# with PyTorch's names; its arithmetic is C++ that was compiled on this machine. Nothing in it is computed by PyTorch,
# which is here for one purpose: to check every result.
#
# ```mermaid
# flowchart LR
#     A["your cell<br/>F.conv2d(x, w)"] --> B["mytensor/ops<br/>records the graph"]
#     B --> C["mytensor_backend<br/>checks, allocates"] --> D["csrc/cpu<br/>the kernel"]
# ```
#
# Run each cell with **Shift + Enter**.

# %% [markdown]
# ## 1 What was built here
#
# Which compiler made the backend, and which device serves. (`python -m mytensor doctor` in a terminal tells more.)

# %% tags=["nbval-ignore-output"]
import mytensor as mt
from mytensor import doctor

facts = [fact for fact in doctor.examine() if fact.section in ("Compiled backend", "Devices")]
print(doctor.report(facts))

# %% [markdown]
# | device | what computes | for what |
# |:--|:--|:--|
# | `cpu` | C++ for this processor | training without a GPU; the default |
# | `cuda` | the CUDA kernels, on a GPU | training with one |
# | `simt` | the same CUDA kernels, on the processor, thread by thread | watching what each thread does; slow, and exact |

# %% [markdown]
# ## 2 A tensor is a block of memory
#
# A shape and a dtype say how to read it. The rows stand one after the other, so element `[i, j]` is at
# `i * columns + j`.

# %%
x = mt.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
print(x)
print(f"shape {x.shape}, {x.dtype}, {x.nbytes} bytes")

# %%
rows, columns = x.shape
x.reshape(6)[1 * columns + 2], x[1, 2]

# %% [markdown]
# ## 3 Three libraries, one memory
#
# Arrays can be handed over without copying them: numpy reads our memory in place, and
# [DLPack](https://dmlc.github.io/dlpack/latest/) is the convention by which frameworks pass each other an address.

# %%
import torch

as_numpy = x.numpy()
as_torch = torch.from_dlpack(x)
copy = x.clone()
print("numpy shares it:", as_numpy.ctypes.data == x.array.data_ptr)
print("torch shares it:", as_torch.data_ptr() == x.array.data_ptr)
print("the clone does: ", copy.array.data_ptr == x.array.data_ptr)

# %% [markdown]
# So a write through one of them is seen by all that share. The clone stays as it was.

# %%
as_numpy[0, 0] = 10
as_torch[1, 2] = 60
print(x)
print(copy)

# %% [markdown]
# **Look inside.** Click an element: Python adds 1 through that one view, then reads all four. Which ones follow?

# %%
from mytensor.inspect.memory import SharedMemory

views = SharedMemory(mytensor=x, numpy=as_numpy, torch=as_torch, clone=copy)
views

# %% [markdown]
# What your clicks left in `x`:

# %% tags=["nbval-ignore-output"]
print(x)

# %% [markdown]
# ## 4 To a device and back
#
# A GPU has memory of its own, so `.to(device)` copies. Without a GPU, `simt` takes its place: the kernel that adds here
# is a CUDA kernel either way, and the numbers are the same bits.

# %%
import mytensor_backend as backend

device = "cuda" if backend.cuda_info()["gpus"] else "simt"
there = x.to(device)
back = (there + there).cpu()
print(f"x on {x.device}, there on {there.device}, back on {back.device}")
print(back)

# %%
from mytensor import check

check.call(lambda x: (x.to(device) + x.to(device)).cpu(), x, want=x + x, name="computed there and computed here")

# %% [markdown]
# ## 5 The first operation
#
# ReLU keeps what is positive: $\mathrm{relu}(x) = \max(x, 0)$. An operation in `mytensor/ops` is a short class: what to
# compute, and beside it the derivative. Both call the compiled backend.

# %%
mt.relu(mt.tensor([-2.0, -0.5, 0.0, 0.5, 2.0]))

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source
from mytensor.ops import activation

source(activation.ReLU)

# %% [markdown]
# ## 6 Is it right?
#
# `check` draws fresh arguments (every length different, ties, empty batches, random upstream gradients), runs the
# operation forward and backward, and compares **every element** with PyTorch in float64. The bound is derived from the
# rounding of float32, not tuned. One line if all is well, the same on every machine.

# %%
check("relu", mt.relu)

# %% [markdown]
# A check that cannot fail is worth nothing. So `check` also plants known bugs in the results and demands that it would
# have noticed each one; `check.call` above called the function again, with damaged arguments. Here is one of mine, a ReLU
# that leaks a little below zero:

# %% tags=["nbval-ignore-output"]
try:
    check("relu", lambda x: mt.relu(x) + 0.001 * x)
except check.CheckFailed as failed:
    print(failed)
else:
    raise AssertionError("the leak was not noticed")

# %% [markdown]
# ## 7 The kernel
#
# Here is what was compiled. The backend has checked shapes and dtypes before it comes to this, and has let go of
# Python's lock, so the kernel may use every core.

# %% tags=["nbval-ignore-output"]
source("cpu/activation.cpp", "relu")

# %% [markdown]
# And the CUDA kernel, for the other two devices. It is written for one of thousands of threads: each finds out from the
# number of its block and its own which four elements (a `float4`) are its own, and works on these.

# %% tags=["nbval-ignore-output"]
source("cuda/activation.cu", "relu_float4")

# %% [markdown]
# ## 8 Measure
#
# ReLU computes next to nothing: it reads four bytes and writes four. So what bounds it is memory, and gigabytes a second
# say more than a time. Times differ from machine to machine, and from run to run.

# %% tags=["nbval-ignore-output"]
from mytensor.timing import best_time

big = mt.randn(16, 1024, 1024)  # 64 MiB of float32
torch_big, torch_result = torch.from_dlpack(big), torch.empty(big.shape)
calls = {
    "mytensor": lambda: mt.relu(big),
    "torch, a new result each time": lambda: torch.relu(torch_big),
    "torch, always the same result": lambda: torch.clamp_min(torch_big, 0, out=torch_result),
}
for name, call in calls.items():
    seconds = best_time(call, 0.5)
    print(f"{name:30} {seconds * 1e3:6.2f} ms, {2 * big.nbytes / seconds / 1e9:5.1f} GB/s read and written")

# %% [markdown]
# Where a result's memory comes from can matter more than what is computed. That is the next notebook.
#
# ## 9 Exercises
#
# Every notebook ends with two or three. Replace the `...`, run the cell, then the line below it, which answers:
# ○ not done yet, ✓ right, or ✗ wrong, with the first wrong element and a picture. Hints are folded away, and so is a
# solution; what you have answered is kept in a file beside the notebooks.
#
# **What shares?** Of `x.reshape(3, 2)`, `x + 0`, `x.clone()`, `x.numpy()` and `torch.from_dlpack(x)`: how many share the
# memory of `x`? Try it, with `.array.shares_storage` or with a `SharedMemory`.

# %% tags=["exercise"]
how_many_share = ...

# %%
from mytensor import exercise

exercise("00.1", how_many_share)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# An operation that computes something writes a new array, even if the numbers are the same. `reshape` only changes how
# the bytes are read.
# </details>

# %% tags=["solution"]
# Solution
how_many_share_solution = 3  # reshape, numpy and from_dlpack; the sum and the clone are new arrays

# %% [markdown]
# **A leaky ReLU** lets a little through below zero: $x$ where $x > 0$, else $x / 100$. Write it with `mt.where(condition,
# a, b)`. Its derivative comes by itself, and is judged too.


# %% tags=["exercise"]
def leaky_relu(x):
    return ...


# %%
exercise("00.2", leaky_relu)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# `x > 0` is an array of zeros and ones. `mt.where` takes the element of `a` where it is one, of `b` where it is zero.
# </details>


# %% tags=["solution"]
# Solution
def leaky_relu_solution(x):
    return mt.where(x > 0, x, 0.01 * x)


# %% [markdown]
# **A backward rule.** Here the value is given, and the derivative is yours. `upstream` is the gradient of the loss by
# the square; return the gradient of the loss by `x`. Inside a `Function` one works on plain arrays, with the backend or
# with numpy: `x.numpy()`.


# %% tags=["exercise"]
class Square(mt.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.numpy() ** 2

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved
        return ...


# %%
exercise("00.3", Square)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# The chain rule: the derivative of the loss by $x$ is the derivative of the loss by $x^2$, which is `upstream`, times
# the derivative of $x^2$ by $x$. Both are arrays of the same shape.
# </details>


# %% tags=["solution"]
# Solution
class Square_solution(mt.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.numpy() ** 2

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved
        return upstream.numpy() * 2 * x.numpy()


# %% [markdown]
# ## Contents
#
# Every notebook has this one's rhythm: a question, a picture, the idea in a few lines, a check against PyTorch, the
# compiled kernel, a look inside, a measurement, exercises, and what you built.
#
# <!-- contents -->
#
# ## Your progress
#
# Run this cell again after you have done some exercises, here or elsewhere.

# %% tags=["nbval-ignore-output"]
exercise.progress()

# %% [markdown]
# ## What you built
#
# Nothing yet, but all that it takes is here: a framework that was compiled on this machine, tensors that share memory
# with numpy and torch and move to a device and back, a check that stops at the first wrong element, and a judge for what
# you write.
#
# <!-- links -->
