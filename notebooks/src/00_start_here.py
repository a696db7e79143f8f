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
# ## 4 The first operation
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
# ## 5 Is it right?
#
# `check` draws fresh arguments (every length different, ties, empty batches, random upstream gradients), runs the
# operation forward and backward, and compares **every element** with PyTorch in float64. The bound is derived from the
# rounding of float32, not tuned. One line if all is well, the same on every machine.

# %%
from mytensor import check

check("relu", mt.relu)

# %% [markdown]
# A check that cannot fail is worth nothing. So `check` also plants known bugs in the results and demands that it would
# have noticed each one. Here is one of mine, a ReLU that leaks a little below zero:

# %% tags=["nbval-ignore-output"]
try:
    check("relu", lambda x: mt.relu(x) + 0.001 * x)
except check.CheckFailed as failed:
    print(failed)

# %% [markdown]
# ## 6 The kernel
#
# Here is what was compiled. The backend has checked shapes and dtypes before it comes to this, and has let go of
# Python's lock, so the kernel may use every core.

# %% tags=["nbval-ignore-output"]
source("cpu/activation.cpp", "relu")

# %% [markdown]
# ## 7 What a copy costs
#
# Handing over an address takes the same time for 16 bytes as for 64 MB. A copy reads and writes every byte.

# %% tags=["nbval-ignore-output"]
from timeit import timeit

big = mt.zeros(16, 1024, 1024)  # 64 MB of float32
share = timeit(lambda: torch.from_dlpack(big), number=100) / 100
copied = timeit(lambda: big.clone(), number=5) / 5
print(f"share 64 MB: {share * 1e6:8.1f} µs")
print(f"copy  64 MB: {copied * 1e6:8.1f} µs, {2 * big.nbytes / copied / 1e9:.1f} GB/s read and written")

# %% [markdown]
# ## Contents
#
# Every notebook has this one's rhythm: a question, a picture, the idea in a few lines, a check against PyTorch, the
# compiled kernel, a look inside, a measurement, something to try, and what you built.
#
# <!-- contents -->
#
# ## Try it
#
# - Make `y = mt.tensor(as_numpy)` and `z = mt.from_numpy(as_numpy)`. Which one shares the memory? Show both in a
#   `SharedMemory`.
# - Write a leaky ReLU from `mt.where`, with slope 0.01 below zero. Does `check("relu", ...)` reject it?
#
# ## What you have now
#
# A framework that was compiled here, tensors that share memory with numpy and torch, and a check that stops at the
# first wrong element.
#
# <!-- links -->
