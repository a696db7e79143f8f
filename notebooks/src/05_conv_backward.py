# %% [markdown]
# # 05 · Convolution, backward
#
# *40 minutes · before: 04 · <!-- links -->*
#
# **The question.** The loss tells us how it changes when an *output* pixel changes: the upstream gradient $u = \partial L / \partial y$. How does it
# change when an input pixel, a weight or a bias changes?

#
# ```mermaid
# flowchart RL
#     U["upstream gradient<br/>O × H' × W'"] -- "meets the image" --> W["gradient of the weight"]
#     U -- "meets the flipped kernel" --> X["gradient of the image"]
#     U -- "summed" --> B["gradient of the bias"]
# ```

# %% [markdown]
# ## 1 On paper
#
# One image, stride 1, no padding. Output channel $o$ at row $i$, column $j$ is
#
# $$y_{o,i,j} = b_o + \sum_{c,r,s} x_{c,\,i+r,\,j+s}\; w_{o,c,r,s}.$$
#
# The chain rule sums over every output that a number touches, weighted by that output's upstream gradient:
#
# | change in | touches | so its gradient is |
# |---|---|---|
# | $b_o$ | every pixel of output channel $o$, with factor 1 | $\dfrac{\partial L}{\partial b_o} = \sum_{i,j} u_{o,i,j}$ |
# | $w_{o,c,r,s}$ | output $(o,i,j)$ with factor $x_{c,i+r,j+s}$ | $\dfrac{\partial L}{\partial w_{o,c,r,s}} = \sum_{i,j} u_{o,i,j}\; x_{c,\,i+r,\,j+s}$ |
# | $x_{c,h,w}$ | output $(o,h-r,w-s)$ with factor $w_{o,c,r,s}$ | $\dfrac{\partial L}{\partial x_{c,h,w}} = \sum_{o,r,s} u_{o,\,h-r,\,w-s}\; w_{o,c,r,s}$ |
#
# Read the last two again: both are convolutions. The **weight gradient** slides the upstream gradient over the input. The **input gradient** slides the
# *flipped* kernel (the minus signs!) over the upstream gradient. (Dumoulin and Visin, *A guide to convolution arithmetic*, 2016, section 4.)

# %% [markdown]
# ## 2 The idea in a few lines
#
# The table, typed. One line a gradient; `windows(a, p, q)[..., i, j, r, s]` is `a[..., i + r, j + s]`, for `r < p`, `s < q`.

# %%
import numpy as np


def windows(a, p, q):
    return np.lib.stride_tricks.sliding_window_view(a, (p, q), axis=(-2, -1))


def forward(x, w, b):
    return np.einsum("cijrs,ocrs->oij", windows(x, *w.shape[2:]), w) + b[:, None, None]


def backward(u, x, w):
    kh, kw = w.shape[2:]
    grad_b = u.sum(axis=(1, 2))
    grad_w = np.einsum("oij,crsij->ocrs", u, windows(x, *u.shape[1:]))
    padded = np.pad(u, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    grad_x = np.einsum("ohwrs,ocrs->chw", windows(padded, kh, kw), w[:, :, ::-1, ::-1])
    return {"input": grad_x, "weight": grad_w, "bias": grad_b}


# %% [markdown]
# Does it hold? Every size different, so that no two axes can be swapped unseen, and a *random* upstream gradient. The bound of each element follows from its number of products and their sizes.
# Then `check.call` runs `backward` again, with damaged arguments and without the flip of the kernel: each time the comparison has to fail.

# %%
import torch
from mytensor import check

rng = np.random.default_rng(5)
x, w, b = rng.normal(size=(3, 7, 9)), rng.normal(size=(4, 3, 2, 5)), rng.normal(size=4)
u = rng.normal(size=forward(x, w, b).shape)

tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
torch.nn.functional.conv2d(tx, tw, tb).backward(torch.tensor(u))

want = {"input": tx.grad, "weight": tw.grad, "bias": tb.grad}
products = {"input": w[:, 0].size, "weight": u[0].size, "bias": u[0].size}
within = {"reduction_length": products, "magnitude": backward(abs(u), abs(x), abs(w))}
check.call(backward, u, x, w, want=want, **within, mutants={"the kernel not flipped": ("w[:, :, ::-1, ::-1]", "w")})

# %% [markdown]
# ## 3 The compiled kernels
#
# The backend has one function a gradient. Stride, padding, dilation and groups change the index arithmetic, not the idea.

# %%
import mytensor_backend

images = mytensor_backend.from_numpy(rng.normal(size=(2, 3, 7, 9)))
weight = mytensor_backend.from_numpy(w)
geometry = dict(stride=(2, 1), padding=(1, 2), dilation=1, groups=1)

output = mytensor_backend.conv2d(images, weight, None, **geometry)
upstream = mytensor_backend.from_numpy(rng.normal(size=output.shape))
grad_input = mytensor_backend.conv2d_input_grad(upstream, weight, images.shape, **geometry)
grad_weight = mytensor_backend.conv2d_weight_grad(upstream, images, weight.shape, **geometry)
grad_bias = mytensor_backend.conv2d_bias_grad(upstream)
print("input ", grad_input)
print("weight", grad_weight)
print("bias  ", grad_bias)

# %% [markdown]
# `mytensor/ops/conv.py` puts forward and backward side by side; this is all that autograd knows of convolution:

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source
from mytensor.ops import conv

source(conv.Conv2d)

# %% [markdown]
# The check draws fresh shapes, strides, paddings, dilations and groups, compares the output and all three gradients with torch element by element, and
# then proves that it can fail, by handing itself wrong answers.

# %%
import mytensor.nn.functional as F

check("conv2d", F.conv2d)

# %% [markdown]
# ## 4 Where a gradient comes from
#
# Set the upstream gradient to 1 at one output pixel and 0 elsewhere: what comes back is that pixel's receptive field, weighted by the kernel.
# Move over the output (mouse, or click and use the arrow keys).

# %%
from mytensor.inspect.conv_backward import ConvBackwardInspector

image = np.arange(1.0, 36).reshape(5, 7)
inspector = ConvBackwardInspector(image, weight=[[1, 2, 3], [4, 5, 6], [7, 8, 9]], padding=1)
inspector

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
inspector.pixel, inspector.weight_gradients[inspector.pixel]

# %% [markdown]
# ## 5 Why an all-ones upstream gradient proves nothing
#
# A popular test calls `y.sum().backward()`: the upstream gradient is 1 everywhere. Here is a wrong input gradient. It **does not flip the kernel**
# (it takes the upstream at $h+r$ instead of $h-r$):


# %%
def wrong_backward(u, x, w):
    kh, kw = w.shape[2:]
    padded = np.pad(u, ((0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    return np.einsum("ohwrs,ocrs->chw", windows(padded, kh, kw), w)  # w[:, :, ::-1, ::-1] is right


x, w = rng.normal(size=(3, 9, 11)), rng.normal(size=(4, 3, 3, 5))
ones, random = np.ones((4, 7, 7)), rng.normal(size=(4, 7, 7))
inside = (slice(None), slice(2, -2), slice(4, -4))  # pixels that every tap of the kernel reaches

# %% [markdown]
# With ones, the sum over the taps does not care about their order, so away from the border right and wrong agree. So do the totals, everywhere:

# %%
right, wrong = backward(ones, x, w)["input"], wrong_backward(ones, x, w)
print("all ones, inside the border: agree?", np.allclose(right[inside], wrong[inside]))
print("all ones, sum of all elements: agree?", np.allclose(right.sum(), wrong.sum()))

right, wrong = backward(random, x, w)["input"], wrong_backward(random, x, w)
print("random,   inside the border: agree?", np.allclose(right[inside], wrong[inside]))

# %% [markdown]
# A check worth having uses a random upstream gradient, compares every element, and has been seen to fail:


# %%
def torch_input_gradient(u, w):
    leaf = torch.tensor(x, requires_grad=True)
    torch.nn.functional.conv2d(leaf, torch.tensor(w)).backward(torch.tensor(u))
    return leaf.grad


def input_gradient(u, w, inside=...):
    return backward(u, x, w)["input"][inside]


def not_flipped(u, w, inside=...):
    return wrong_backward(u, x, w)[inside]


want = torch_input_gradient(random, w)
within = {"reduction_length": w[:, 0].size, "magnitude": input_gradient(abs(random), abs(w))}
check.call(input_gradient, random, w, want=want, **within, mutants={"the kernel not flipped": not_flipped})

# %% [markdown]
# And the popular test, away from the border? `check.call` refuses it:

# %%
want = torch_input_gradient(ones, w)[inside]
within = {"reduction_length": w[:, 0].size, "magnitude": input_gradient(ones, abs(w), inside)}
try:
    check.call(input_gradient, ones, w, inside, want=want, **within, mutants={"the kernel not flipped": not_flipped})
except check.CheckFailed as failed:
    print(failed)
else:
    raise AssertionError("a blind check was not noticed")

# %% [markdown]
# ## 6 Finite differences
#
# `gradcheck` asks nobody: it moves one input number by $\pm\epsilon$, runs *forward* twice, and compares the slope with what *backward* said, for every number
# of every input, in float64 (in float32 rounding would drown the slope).

# %%
import mytensor as mt

inputs = [mt.tensor(rng.normal(size=size), requires_grad=True) for size in ((2, 4, 5, 6), (6, 2, 3, 2), (6,))]
check.gradcheck(lambda x, w, b: F.conv2d(x, w, b, stride=(1, 2), padding=1, groups=2), *inputs, name="F.conv2d")

# %% [markdown]
# ## 7 What it costs
#
# All three passes do the same multiplications: every weight meets every output pixel once. So a training step costs about three forward passes.
# (The first layer saves one: nobody asks for the gradient of the image.)

# %%
N, C, H, W, K, k = 64, 6, 16, 16, 16, 3
print(f"multiply-adds of each pass, LeNet's second convolution at batch {N}: {N * K * H * W * C * k * k:,}")

# %% tags=["nbval-ignore-output"]
from mytensor.timing import best_time

x = mt.tensor(rng.normal(size=(N, C, H, W)).astype(np.float32)).array
w = mt.tensor(rng.normal(size=(K, C, k, k)).astype(np.float32)).array
u = mytensor_backend.conv2d(x, w, None, 1, 1)
forward_time = best_time(lambda: mytensor_backend.conv2d(x, w, None, 1, 1))
input_time = best_time(lambda: mytensor_backend.conv2d_input_grad(u, w, x.shape, 1, 1, 1, 1))
weight_time = best_time(lambda: mytensor_backend.conv2d_weight_grad(u, x, w.shape, 1, 1, 1, 1))
print(
    f"forward {forward_time * 1e6:.0f} µs, input gradient {input_time * 1e6:.0f} µs, weight gradient {weight_time * 1e6:.0f} µs"
)

# %% [markdown]
# ## 8 Exercises
#
# **How many products** are summed for the gradient of *one* weight of LeNet's first convolution? 3 channels to 6, kernel 3 × 3, padding 1, images of 32 × 32, batch 64.

# %% tags=["exercise"]
products_of_one_weight = ...

# %%
from mytensor import exercise

exercise("05.1", products_of_one_weight)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# Section 1: a weight touches every pixel of its output channel, in every image of the batch.
# </details>

# %% tags=["solution"]
# Solution
products_of_one_weight_solution = 64 * 32 * 32

# %% [markdown]
# **A backward rule.** Write the weight's gradient for a convolution with a stride, one image, no padding: `u` is (O, H', W'), `x` is (C, H, W), the result (O, C, kh, kw). With stride $t$, output pixel $(i, j)$ reads the image at $(t\,i + r,\; t\,j + s)$.


# %% tags=["exercise"]
def weight_gradient(u, x, kernel_size, stride):
    return ...


# %%
exercise("05.2", weight_gradient)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `windows(x, kh, kw)` of section 2 holds every window of the image, indexed `[c, row, column, r, s]`. With a stride, only every `stride`-th of them was used.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# `[:, ::stride, ::stride]` takes these. Then one `einsum` sums over `i` and `j`: `"oij,cijrs->ocrs"`.
# </details>


# %% tags=["solution"]
# Solution
def weight_gradient_solution(u, x, kernel_size, stride):
    used = windows(x, *kernel_size)[:, ::stride, ::stride]
    return np.einsum("oij,cijrs->ocrs", u, used)


# %% [markdown]
# **A kernel.** One thread of the input's gradient, stride 1, no padding. Thread `i` owns pixel `i` of the image and collects from every output that read it. `u` is (O, H', W'), `w` is (O, C, kh, kw).


# %% tags=["exercise"]
def input_gradient_thread(i, u, w, image_shape):
    channels, height, width = image_shape
    return ...


# %%
exercise("05.3", input_gradient_thread)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# `c = i // (height * width)`, and `h = i // width % height`, `v = i % width` are the pixel's channel, row and column.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# The last row of the table in section 1, typed: for each (o, r, s), the output pixel that read me through weight (r, s) is (h - r, v - s), if there is one.
# </details>


# %% tags=["solution"]
# Solution
def input_gradient_thread_solution(i, u, w, image_shape):
    channels, height, width = image_shape
    out_channels, _, kh, kw = w.shape
    down, across = u.shape[1:]
    c, h, v = i // (height * width), i // width % height, i % width
    total = 0.0
    for o, r, s in np.ndindex(out_channels, kh, kw):
        j_row, j = h - r, v - s
        if 0 <= j_row < down and 0 <= j < across:
            total += u[o, j_row, j] * w[o, c, r, s]
    return total


# %% [markdown]
# ## What you built
#
# - Both gradients of a convolution are convolutions: upstream over input, flipped kernel over upstream.
# - `backward` in six lines that agree with torch, and the compiled kernels that do the same for any geometry.
# - A reason to distrust `y.sum().backward()` as a test.
#
# <!-- links -->
