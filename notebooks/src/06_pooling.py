# %% [markdown]
# # 06 · Pooling
#
# *25 minutes · before: 05 · <!-- links -->*
#
# **The question.** Pooling shrinks an image by keeping one number a window. Which input pixel is to blame when the loss changes, and what if two
# pixels tie?

#
# ```mermaid
# flowchart LR
#     I["image<br/>H × W"] -- "largest of each window" --> P["pooled<br/>H/2 × W/2"]
#     P -. "gradient, to the winner alone" .-> I
# ```

# %% [markdown]
# ## 1 Two ways to keep one number
#
# Windows of 2x2 that do not overlap are a reshape: split each side in two and reduce over the inner halves.

# %%
import numpy as np

image = np.array([[1, 5, 2, 0], [3, 4, 8, 1], [7, 7, 0, 6], [2, 7, 9, 9]], dtype=np.float32)
windows = image.reshape(2, 2, 2, 2)  # (window row, row inside, window column, column inside)
print("maximum\n", windows.max(axis=(1, 3)))
print("average\n", windows.mean(axis=(1, 3)))

# %% [markdown]
# The compiled kernels say the same. Max-pooling also returns **where** each maximum stood, as a flat index into the image: `row * width + column`.

# %%
import mytensor_backend

x = mytensor_backend.from_numpy(image.reshape(1, 1, 4, 4))
maximum, indices = mytensor_backend.max_pool2d(x, 2)
print("maximum\n", maximum.numpy()[0, 0])
print("indices\n", indices.numpy()[0, 0])
print("average\n", mytensor_backend.avg_pool2d(x, 2).numpy()[0, 0])

# %% [markdown]
# ## 2 Ties
#
# The lower left window holds three sevens. The index above says which one won: number 8, the **first** in reading order. torch has the same rule, and it matters:
# after ReLU many windows are all zeros, and the gradient must go somewhere.

# %%
import torch
from mytensor import check


def winners(image):
    _, indices = mytensor_backend.max_pool2d(mytensor_backend.from_numpy(image), 2)
    return indices.numpy()


def last_winners(image):
    return 15 - np.flip(winners(np.flip(image).copy()))  # pooled upside down: the last of equals is met first


image4d = image.reshape(1, 1, 4, 4)
_, torch_indices = torch.nn.functional.max_pool2d(torch.tensor(image4d), 2, return_indices=True)
check.call(winners, image4d, want=torch_indices, mutants={"the last of equal elements wins": last_winners})
print("the same indices as torch, ties included:", winners(image4d).ravel())

# %% [markdown]
# ## 3 Backward
#
# A maximum passes its upstream gradient to the winner and nothing to the losers:
#
# $$\frac{\partial L}{\partial x_p} = \sum_{\text{windows } q \text{ won by } p} u_q$$
#
# The sum matters as soon as windows overlap: one pixel can win several. The average spreads $u_q / (\text{pixels in the window})$ evenly over its window.

# %%
upstream = mytensor_backend.from_numpy(np.array([[[[10, 20], [30, 40]]]], dtype=np.float32))
print("maximum\n", mytensor_backend.max_pool2d_backward(upstream, indices, x.shape).numpy()[0, 0])
print("average\n", mytensor_backend.avg_pool2d_backward(upstream, x.shape, 2).numpy()[0, 0])

# %% [markdown]
# Overlapping windows (3x3, stride 1) on the same image: one 9 wins several windows, and its gradient is their sum.

# %%
import mytensor as mt
import mytensor.nn.functional as F

y = mt.tensor(image.reshape(1, 1, 4, 4), requires_grad=True)
pooled = F.max_pool2d(y, 3, stride=1)
pooled.backward(mt.ones(*pooled.shape))
print(y.grad.numpy()[0, 0])

# %% [markdown]
# ## 4 The compiled kernel
#
# Each output pixel walks its window and remembers the largest value and its place. The comparison `value > best || isnan(value)` is the whole rule: `>`, not `>=`,
# lets the first of equals win, and NaN, which is larger than nothing, must be let in by name or it would vanish.

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source

source("cpu/max_pool2d.cpp", "pool_one")

# %% [markdown]
# The check draws windows that overlap, leave gaps, hang over the border (`ceil_mode`), are dilated or padded; and images full of ties.

# %%
check("max_pool2d", F.max_pool2d)
check("avg_pool2d", F.avg_pool2d)

# %% [markdown]
# ## 5 Look inside
#
# Point at a window (or press Tab, then the arrow keys): its place and its winner are outlined in the image, and in the gradient that comes back.

# %%
from mytensor.inspect.pooling import PoolingInspector

inspector = PoolingInspector(image, kernel_size=2)
inspector

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
inspector.window, inspector.winners[inspector.window]

# %% [markdown]
# ## 6 Padding is not zero
#
# Max-pooling pads with $-\infty$: a padded place must never win. Average-pooling pads with zeros, and `count_include_pad` says whether they count.

# %%
negative = mt.full((1, 1, 2, 2), -5.0)
print("maximum        ", F.max_pool2d(negative, 2, stride=2, padding=1).tolist())
print("average, padded ", F.avg_pool2d(negative, 2, stride=2, padding=1).tolist())
print("average, not    ", F.avg_pool2d(negative, 2, stride=2, padding=1, count_include_pad=False).tolist())

# %% [markdown]
# ## 7 What it costs
#
# Pooling computes next to nothing: it reads every pixel once and writes a quarter of them. Its time is the memory's time.

# %% tags=["nbval-ignore-output"]
from mytensor.timing import best_time

rng = np.random.default_rng(6)
x = mytensor_backend.from_numpy(rng.normal(size=(64, 6, 32, 32)).astype(np.float32))
seconds = best_time(lambda: mytensor_backend.max_pool2d(x, 2))
output, indices = mytensor_backend.max_pool2d(x, 2)
moved = x.nbytes + output.nbytes + indices.nbytes
print(f"{seconds * 1e6:.0f} µs for {moved / 1e6:.1f} MB: {moved / seconds / 1e9:.0f} GB/s")

# %% [markdown]
# ## 8 Exercises
#
# **Ties.** A 4 × 4 image of zeros is pooled by 2 × 2. Which pixel wins the *lower right* window, as a flat index from 0 to 15? Say it first, then run `F.max_pool2d` and look where the gradient goes.

# %% tags=["exercise"]
winner_among_zeros = ...

# %%
from mytensor import exercise

exercise("06.1", winner_among_zeros)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# The window begins at row 2, column 2, and the first in reading order wins.
# </details>

# %% tags=["solution"]
# Solution
winner_among_zeros_solution = 2 * 4 + 2

# %% [markdown]
# **A kernel.** One thread of max-pooling: thread `i` owns window `i` and returns the flat index of its winner in the image. Ties go to the first in reading order. `across` is the number of windows in a row; no padding.


# %% tags=["exercise"]
def max_pool_thread(i, image, kernel_size, stride, across):
    kh, kw = kernel_size
    return ...


# %%
exercise("06.2", max_pool_thread)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Window `i` stands at row `i // across` and column `i % across` of the windows, so its upper left pixel is `stride` times that.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# Begin with `best = -np.inf` and walk the window in reading order. `>` or `>=`?
# </details>


# %% tags=["solution"]
# Solution
def max_pool_thread_solution(i, image, kernel_size, stride, across):
    kh, kw = kernel_size
    y, x = i // across, i % across
    best, winner = -np.inf, 0
    for r, s in np.ndindex(kh, kw):
        row, column = y * stride + r, x * stride + s
        if image[row, column] > best:
            best, winner = image[row, column], row * image.shape[1] + column
    return winner


# %% [markdown]
# **A backward rule.** Average-pooling, with windows that may overlap: `upstream` holds one number a window, wanted is the gradient of the image, shaped `image_shape` = (height, width). No padding.


# %% tags=["exercise"]
def avg_pool_backward(upstream, image_shape, kernel_size, stride):
    return ...


# %%
exercise("06.3", avg_pool_backward)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# Each window spreads its upstream number evenly over its pixels.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# A pixel in several windows collects from all of them: begin with zeros, and add.
# </details>


# %% tags=["solution"]
# Solution
def avg_pool_backward_solution(upstream, image_shape, kernel_size, stride):
    kh, kw = kernel_size
    gradient = np.zeros(image_shape)
    for y, x in np.ndindex(*upstream.shape):
        top, left = y * stride, x * stride
        gradient[top : top + kh, left : left + kw] += upstream[y, x] / (kh * kw)
    return gradient


# %% [markdown]
# ## What you built
#
# - Max-pooling is an arg-max; its backward pass needs the indices and nothing else.
# - The tie rule (first in reading order), the padding rule ($-\infty$), the NaN rule: each is one character of the kernel.
#
# <!-- links -->
