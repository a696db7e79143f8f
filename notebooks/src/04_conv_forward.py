# %% [markdown]
# # 04 · Four kernels for one convolution
#
# *30 minutes · before: 02 · <!-- links -->*
#
# **The question.** Four kernels compute the same convolution with the same number of multiplications. Why is one
# many times as fast as another?
#
# ```mermaid
# flowchart LR
#     X["image, weight"] --> A["loops<br/>read from where it lies"] --> Y["the same output"]
#     X --> B["im2col_naive<br/>all columns in memory, plain product"] --> Y
#     X --> C["im2col_gemm<br/>one image's columns, tiled product"] --> Y
#     X --> D["direct<br/>no columns, tiles slide over the image"] --> Y
# ```

# %% [markdown]
# ## 1 The definition
#
# With stride $t$, padding $p$ and dilation $d$ (here the same in both directions), out of the image counting as zero:
#
# $$\mathrm{out}[n, o, y, x] = \mathrm{bias}[o] + \sum_{c, r, s} \mathrm{weight}[o, c, r, s] \cdot
#   \mathrm{image}[n, c,\; y t - p + r d,\; x t - p + s d]$$
#
# The kernel must fit, which fixes the output's size (Dumoulin and Visin,
# [*A guide to convolution arithmetic*](https://arxiv.org/abs/1603.07285), 2016, relationship 15):
#
# $$H' = \left\lfloor \frac{H + 2p - d(k - 1) - 1}{t} \right\rfloor + 1$$

# %%
import mytensor as mt
import mytensor.nn.functional as F


def output_size(size, kernel, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


_ = mt.manual_seed(0)
x = mt.randn(2, 3, 32, 32)
for kernel, stride, padding, dilation in [(5, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (3, 1, 2, 2)]:
    out = F.conv2d(x, mt.randn(8, 3, kernel, kernel), stride=stride, padding=padding, dilation=dilation)
    predicted = output_size(32, kernel, stride, padding, dilation)
    print(f"{kernel=} {stride=} {padding=} {dilation=}: {out.shape}, predicted {predicted}")

# %% [markdown]
# A kernel that does not fit is an error that says what came and what was wanted:

# %% tags=["raises-exception"]
F.conv2d(mt.zeros(1, 3, 4, 4), mt.zeros(8, 3, 7, 7), padding=1)

# %% [markdown]
# ## 2 The idea
#
# With notebook 02's columns, a convolution is three lines:


# %%
def by_product(x, weight, bias):
    columns = F.unfold(x, kernel_size=3, padding=1)  # (2, 27, 1024)
    product = mt.stack([weight.reshape(8, 27) @ image for image in columns])  # (2, 8, 1024)
    return product.reshape(2, 8, 32, 32) + bias.reshape(1, 8, 1, 1)


weight, bias = mt.randn(8, 3, 3, 3), mt.randn(8)

# %% [markdown]
# ## 3 Is it right?

# %%
from mytensor import check

want, wrong = F.conv2d(x, weight, bias, padding=1), {"the bias forgotten": (" + bias", " + 0 * bias")}
magnitude = F.conv2d(x.abs(), weight.abs(), bias.abs(), padding=1)
within = {"reduction_length": 28, "magnitude": magnitude}  # 27 products and the bias
check.call(by_product, x, weight, bias, want=want, **within, mutants=wrong)

# %%
check("conv2d", F.conv2d)

# %% [markdown]
# ## 4 Four kernels
#
# The backend keeps a table of kernels for each operation. The first one serves unless you choose another.

# %% tags=["nbval-ignore-output"]
for kernel in mt.kernels("conv2d", device="cpu"):
    print(f"{kernel['name']:14} {kernel['description']}")

# %% [markdown]
# All of them pass the same check. (`use_kernel` selects for whole training runs, forward and backward; as here, for a
# block.)

# %%
for kernel in mt.kernels("conv2d", device="cpu"):
    with mt.use_kernel("conv2d", kernel["name"]):
        print(kernel["name"], end=": ")
        check("conv2d", F.conv2d)

# %% [markdown]
# The same numbers, but not always the same bits: a floating-point sum depends on its order. Kernels that add in one
# order agree bit for bit; the others agree to rounding.

# %%
names = ["loops", "im2col_naive", "im2col_gemm", "direct"]
results = {}
for name in names:
    with mt.use_kernel("conv2d", name):
        results[name] = F.conv2d(x, weight, bias, padding=1)


def by_kernel(x, weight, bias):
    return F.conv2d(x, weight, bias, padding=1)


for name in names:
    with mt.use_kernel("conv2d", name):
        check.call(by_kernel, x, weight, bias, want=results["loops"], **within, name=name)

# %% tags=["nbval-ignore-output"]
for name, result in results.items():
    print(f"{name:14} differs from loops in {int((result != results['loops']).sum()):6} of {result.numel()} elements")

# %% [markdown]
# ## 5 The kernels
#
# **Loops.** One line, seven times indented. Every product reads two numbers from memory and adds to a third.

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source

source("cpu/conv2d_loops.cpp", "for_each_product")

# %% [markdown]
# **im2col, naive.** The matrix of notebook 02 for the whole batch, then the schoolbook product.

# %% tags=["nbval-ignore-output"]
source("cpu/conv2d_im2col_naive.cpp", "conv2d_im2col_naive")

# %% [markdown]
# **im2col and GEMM.** Each thread has one image's matrix, which fits its cache; the product works on tiles that stay in
# registers while they are added to (notebook 03 builds it).

# %% tags=["nbval-ignore-output"]
source("cpu/conv2d_im2col_gemm.cpp", "conv2d_im2col_gemm")

# %% [markdown]
# **Direct.** With stride 1, what a kernel element sees is the image itself, shifted. So nothing is copied but each
# image once, into a frame of zeros; the tile reads its rows from there.

# %% tags=["nbval-ignore-output"]
source("cpu/conv2d_direct.cpp", "convolve_channels")

# %% [markdown]
# ## 6 Look inside
#
# What a filter sees. Move the slider (arrow keys work): the compiled kernel runs again for each picture you get.

# %%
import numpy as np
from mytensor import data
from mytensor.inspect.feature_maps import FeatureMaps


def on_grey(kernel):
    return np.stack([np.array(kernel, dtype=np.float32) / 3] * 3)  # the same for red, green and blue


red, blue = np.zeros((2, 3, 3, 3), dtype=np.float32)
red[0, 1, 1], red[2, 1, 1] = 1, -1
filters = {
    "shades of grey": on_grey([[0, 0, 0], [0, 1, 0], [0, 0, 0]]),
    "blur": on_grey(np.ones((3, 3)) / 9),
    "sharpen": on_grey([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    "vertical edges (Sobel)": on_grey([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "horizontal edges (Sobel)": on_grey([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
    "spots (Laplace)": on_grey([[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    "red against blue": red,
}
photos = data.cifar10(train=False) if data.find() else data.synthetic(100)
maps = FeatureMaps(photos.images[4] / 255, filters)
maps

# %% [markdown]
# What the kernel returned for your choice. Nobody designs filters for a network: notebook 10 looks at those it learnt.

# %% tags=["nbval-ignore-output"]
print(f"{photos.source}, a {photos.classes[photos.labels[4]]}; feature map {maps.feature_map.shape}, ", end="")
print(f"from {maps.feature_map.min():.2f} to {maps.feature_map.max():.2f}")

# %% [markdown]
# ## 7 The same work, different traffic
#
# The number of multiply-adds is the same for all: each output pixel is a sum of $C k_h k_w$ products.

# %%
x, weight = mt.randn(16, 16, 32, 32), mt.randn(32, 16, 3, 3)
multiply_adds = 16 * 32 * (32 * 32) * (16 * 3 * 3)
print(f"{multiply_adds / 1e6:.0f} million multiply-adds")
print(f"image {x.nbytes / 1e6:.2f} MB, weight {weight.nbytes / 1e6:.2f} MB, columns {9 * x.nbytes / 1e6:.2f} MB")

# %% [markdown]
# What differs is how often a number travels between memory and the arithmetic. `loops` loads both factors, loads and
# stores the sum, for each single product. Columns alone buy nothing: the plain product of `im2col_naive` walks down a
# column, and fetches a whole cache line for each number. A tile keeps its sums in registers, reads along rows, and uses
# every number it loads once for each row or column of the tile.

# %% tags=["nbval-ignore-output"]
import torch
from mytensor.timing import measure

torch_x, torch_weight = torch.from_dlpack(x), torch.from_dlpack(weight)


def seconds(function):
    # The first call is slower: memory is allocated, caches are cold.
    return min(measure(function, repeats=3, warmup=1))


times = {}
for name in names:
    with mt.use_kernel("conv2d", name):
        times[name] = seconds(lambda: F.conv2d(x, weight, padding=1))
times["torch"] = seconds(lambda: torch.conv2d(torch_x, torch_weight, padding=1))
for name, time in times.items():
    print(f"{name:14} {time * 1e3:8.2f} ms {2 * multiply_adds / time / 1e9:8.1f} GFLOP/s")

# %% tags=["nbval-ignore-output"]
from matplotlib.figure import Figure
from mytensor.inspect.figure import figure

chart = Figure(figsize=(7, 2.2), layout="constrained")
axes = chart.subplots()
bars = axes.barh(list(times), [2 * multiply_adds / time / 1e9 for time in times.values()], color="#0072b2")
axes.bar_label(bars, fmt="%.3g", padding=3)
axes.set_xscale("log")
axes.set_xlabel("GFLOP/s (logarithmic)")
axes.invert_yaxis()
axes.spines[["top", "right"]].set_visible(False)
figure(chart, "Billions of floating-point operations a second, for each kernel and for PyTorch: the longer the faster.")

# %% [markdown]
# ## 8 Exercises
#
# **How large** is the output along one side, for an image of 32, a kernel of 5, stride 2, padding 1 and dilation 2? Section 1 has the formula; work it out by hand.

# %% tags=["exercise"]
side_of_the_output = ...

# %%
from mytensor import exercise

exercise("04.1", side_of_the_output)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# Dilation 2 leaves a gap between the kernel's elements: five of them cover $2 \cdot (5 - 1) + 1 = 9$ pixels.
# </details>

# %% tags=["solution"]
# Solution
side_of_the_output_solution = (32 + 2 * 1 - 2 * (5 - 1) - 1) // 2 + 1

# %% [markdown]
# **A kernel.** One thread of a convolution, as on a GPU: thread `i` owns output pixel `i`, sums its products in a register and returns the sum. One image: `image` is (C, H, W), `weight` (O, C, kh, kw), `output_shape` (O, H', W'); what lies outside the image counts as zero.


# %% tags=["exercise"]
def convolution_thread(i, image, weight, bias, stride, padding, output_shape):
    out_channels, down, across = output_shape
    return ...


# %%
exercise("04.2", convolution_thread)

# %% [markdown]
# <details>
# <summary>Hint 1: who am I?</summary>
#
# `o = i // (down * across)`, `y = i // across % down`, `x = i % across`.
# </details>
# <details>
# <summary>Hint 2: what do I read?</summary>
#
# The formula of section 1 at dilation 1: for each (c, r, s), the pixel in row `y * stride - padding + r` and column `x * stride - padding + s`, if it is in the image. A negative index would not fail in numpy: it would read from the other end.
# </details>
# <details>
# <summary>Hint 3: where does the bias come in?</summary>
#
# The sum begins with it: `total = bias[o]`.
# </details>


# %% tags=["solution"]
# Solution
def convolution_thread_solution(i, image, weight, bias, stride, padding, output_shape):
    out_channels, down, across = output_shape
    _, height, width = image.shape
    _, channels, kh, kw = weight.shape
    o, y, x = i // (down * across), i // across % down, i % across
    total = bias[o]
    for c, r, s in np.ndindex(channels, kh, kw):
        row, column = y * stride - padding + r, x * stride - padding + s
        if 0 <= row < height and 0 <= column < width:
            total += weight[o, c, r, s] * image[c, row, column]
    return total


# %% [markdown]
# ## What you built
#
# A convolution in three lines, and the reason why frameworks do not stop there: the arithmetic is the same everywhere,
# the traffic is what a kernel is about.
#
# <!-- links -->
