# %% [markdown]
# # 02 · A convolution becomes a matrix product
#
# *40 minutes · before: 00 · <!-- links -->*
#
# **The question.** A convolution is seven nested loops. How does it become one matrix product, and what does that cost?
#
# ```mermaid
# flowchart LR
#     I["image<br/>C × H × W"] -- im2col --> M["columns<br/>C·kh·kw × L"]
#     W["weight<br/>O × C × kh × kw"] -- reshape --> R["rows<br/>O × C·kh·kw"]
#     R --> P(("matrix<br/>product"))
#     M --> P
#     P --> Y["output<br/>O × L"] -- reshape --> Z["feature maps<br/>O × H' × W'"]
# ```
#
# One column for each of the $L = H'W'$ output pixels: the patch of the image that the pixel is computed from.

# %% [markdown]
# ## 1 Seven loops
#
# For image $n$, output channel $o$ and output pixel $(y, x)$, summed over input channels $c$ and kernel elements
# $(r, s)$:
#
# $$\mathrm{out}[n, o, y, x] = \sum_{c, r, s} \mathrm{weight}[o, c, r, s] \cdot \mathrm{image}[n, c, y + r, x + s]$$
#
# (Deep learning calls this a convolution; the kernel is not flipped, so mathematics calls it a cross-correlation:
# Goodfellow, Bengio and Courville, *Deep Learning*, 2016, equation 9.6.)

# %%
import numpy as np


def conv2d_loops(image, weight):
    batch, channels, height, width = image.shape
    out_channels, _, kh, kw = weight.shape
    out = np.zeros((batch, out_channels, height - kh + 1, width - kw + 1))
    for n, o, y, x, c, r, s in np.ndindex(*out.shape, channels, kh, kw):
        out[n, o, y, x] += weight[o, c, r, s] * image[n, c, y + r, x + s]
    return out


# %%
import torch
from mytensor import check

random = np.random.default_rng(0)
image = random.standard_normal((2, 3, 7, 6))
weight = random.standard_normal((4, 3, 3, 2))


def torch_conv2d(image, weight):
    return torch.conv2d(torch.from_numpy(image), torch.from_numpy(weight)).numpy()


K = weight[0].size  # each output pixel is a sum of K products
magnitude = torch_conv2d(abs(image), abs(weight))
want, flipped = torch_conv2d(image, weight), {"the kernel flipped": ("y + r, x + s", "y + kh - 1 - r, x + kw - 1 - s")}
check.call(conv2d_loops, image, weight, want=want, reduction_length=K, magnitude=magnitude, mutants=flipped)

# %% [markdown]
# ## 2 The idea
#
# The three inner loops are a dot product of a patch with the kernel. Lay every patch out as a column, every kernel as a
# row, and all dot products together are one matrix product.


# %%
def im2col(image, kh, kw):
    _, height, width = image.shape
    places = np.ndindex(height - kh + 1, width - kw + 1)
    return np.stack([image[:, y : y + kh, x : x + kw].ravel() for y, x in places], axis=1)


# %%
def by_columns(image, weight):
    columns = im2col(image, 3, 2)
    return (weight.reshape(4, -1) @ columns).reshape(4, 5, 5)


print(f"{weight.reshape(4, -1).shape} @ {im2col(image[0], 3, 2).shape}")
check.call(by_columns, image[0], weight, want=want[0], reduction_length=K, magnitude=magnitude[0])

# %% [markdown]
# ## 3 Compiled
#
# The backend's kernel also knows padding, stride and dilation. PyTorch calls the operation `unfold`.

# %%
import mytensor as mt
import mytensor.nn.functional as F

x = mt.tensor(image)
F.unfold(x, kernel_size=(3, 2)).shape, F.unfold(x, kernel_size=(3, 2), padding=1, stride=2).shape

# %%
check("unfold", F.unfold)

# %% [markdown]
# ## 4 Look inside
#
# Every pixel here holds its own address, so you can read in the matrix where each number came from. Point at the matrix
# to see a column's patch, or at the image to see how often a pixel is copied. Tab and the arrow keys do the same.
# Change stride and padding: the compiled kernel runs again.

# %%
from mytensor.inspect.im2col import Im2colInspector

addresses = np.arange(40.0).reshape(2, 4, 5)
inspector = Im2colInspector(addresses, kernel_size=3, padding=1)
inspector

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
inspector.row, inspector.column, inspector.stride, inspector.padding

# %% [markdown]
# ## 5 One thread, one element
#
# A GPU runs a kernel on thousands of threads. Each one gets an element of the *result*: then no two threads write to one
# place. All that a thread knows is the flat number `i` of its element. Division and remainder take it apart into the
# element's indices, and those say which pixel to copy. This is the report's kernel in CUDA, one thread an element:

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source

source("cuda/im2col.cu", "im2col_naive")

# %% tags=["nbval-ignore-output"]
source("cuda/im2col.cu", "place_in_image")

# %% [markdown]
# The same arithmetic by hand, for one thread and the matrix above (18 rows, 20 columns):

# %%
i = 107
row, column = i % 18, i // 18
c, r, s = row // 9, row // 3 % 3, row % 3
y_out, x_out = column // 5, column % 5
print(
    f"thread {i}: matrix[{row}, {column}], that is channel {c}, kernel element ({r}, {s}), output pixel ({y_out}, {x_out})"
)
print(f"it is the pixel image[{c}, {y_out - 1 + r}, {x_out - 1 + s}] = {addresses[c, y_out - 1 + r, x_out - 1 + s]:g}")

# %% [markdown]
# No GPU is needed to see that kernel run. Device `simt` executes the same `.cu` file on the CPU, thread by thread, and
# records every access of memory when asked. What thread 107 really did:

# %%
image_on_simt = mt.tensor(addresses[None].astype(np.float32), device="simt")
with mt.use_kernel("im2col", "naive"), mt.simt.trace() as trace:
    F.unfold(image_on_simt, kernel_size=3, padding=1)

accesses = trace.launches[0].accesses
for access in accesses[accesses["block"] * 256 + accesses["thread"] == i]:
    print(f"{access['kind']:5} {access['array']}[{access['index']}], value {access['value']:g}")


# %%
def on_simt(image):
    with mt.use_kernel("im2col", "naive"):
        return F.unfold(image.to("simt"), kernel_size=3, padding=1).cpu()


image_on_cpu = image_on_simt.cpu()
check.call(on_simt, image_on_cpu, want=F.unfold(image_on_cpu, kernel_size=3, padding=1), name="CUDA kernel, C++ kernel")

# %% [markdown]
# ## 6 Thirty-two threads at a time
#
# A GPU runs threads in *warps* of 32, and memory comes in *sectors* of 32 bytes: eight float32 numbers, moved together
# even if only one is wanted. So it matters where the neighbours of a thread write. Choose a kernel and a warp. Outlined
# is what its threads read and write; dashed are the sectors that have to be moved for it. Keys: Tab to a picture, left
# and right for the thread, up and down for the warp.

# %%
from mytensor.inspect.threads import Im2colThreads

threads = Im2colThreads(addresses, kernel_size=3, padding=1)
threads

# %% tags=["nbval-ignore-output"]
threads.kernel, threads.warp, threads.lane

# %% [markdown]
# Counted over the whole launch, by source line:

# %% tags=["nbval-ignore-output"]
for kernel in ("naive", "coalesced"):
    with mt.use_kernel("im2col", kernel), mt.simt.trace() as trace:
        F.unfold(image_on_simt, kernel_size=3, padding=1)
    print(kernel, *trace.coalescing(), sep="\n  ")

# %% [markdown]
# The naive kernel asks for about five times as many sectors as its numbers fill. The second rung of the ladder takes the
# numbers of a thread in another order, and nothing else:

# %% tags=["nbval-ignore-output"]
source("cuda/im2col.cu", "im2col_coalesced")

# %% [markdown]
# ## 7 What it costs
#
# Nearly every pixel is copied $k_h k_w$ times. The first layer of LeNet, on a batch of 64 images:

# %%
batch = mt.zeros(64, 3, 32, 32)
columns = F.unfold(batch, kernel_size=5)
print(f"images  {batch.nbytes / 1e6:6.2f} MB")
print(f"columns {columns.nbytes / 1e6:6.2f} MB, {columns.nbytes / batch.nbytes:.1f} times as much")

# %% [markdown]
# That is why the fast kernels never hold the whole matrix. What the backend really allocates for this layer, by kernel
# (notebook 04 reads them; the allocator rounds the output's block up, which is the 0.1 MB that all have):

# %% tags=["nbval-ignore-output"]
layer = mt.randn(6, 3, 5, 5)
for kernel in mt.kernels("conv2d", device="cpu"):
    with mt.use_kernel("conv2d", kernel["name"]):
        mt.reset_peak_memory_stats()
        before = mt.memory_stats()["allocated"]
        output = F.conv2d(batch, layer)
        extra = mt.memory_stats()["peak_allocated"] - before - output.nbytes
    print(f"{kernel['name']:14} {extra / 1e6:6.2f} MB beside the output")

# %% [markdown]
# ## 8 The way back: col2im is the transpose
#
# im2col is linear: every element of the matrix is a pixel or zero. So there is a matrix $A$ with
# $\mathrm{im2col}(x) = Ax$, and by the chain rule the gradient of the image is $A^\top$ applied to the gradient of the
# columns. `fold` (col2im) computes it: each pixel collects the sum of all its copies.
#
# One does not need $A$ to test this. For *any* $x$ and $c$, if `fold` is the transpose of `unfold`,
#
# $$\langle \mathrm{unfold}(x),\, c \rangle = \langle x,\, \mathrm{fold}(c) \rangle$$
#
# (the dot-product test: Claerbout, *Earth Soundings Analysis*, 1992, chapter 5).

# %%
geometry = {"kernel_size": (3, 2), "padding": (1, 0), "stride": (2, 1)}
x = mt.tensor(random.standard_normal((2, 3, 7, 6)))
c = mt.tensor(random.standard_normal(F.unfold(x, **geometry).shape))
terms = (F.unfold(x, **geometry) * c).numpy()


def right_side(x, c):
    return (x * F.fold(c, output_size=(7, 6), **geometry)).sum()


def averaging(x, c):
    copies = F.fold(mt.ones_like(c), output_size=(7, 6), **geometry)
    return right_side(x / copies, c)


within = {"reduction_length": terms.size, "magnitude": abs(terms).sum()}
mean_for_sum = {"the mean of the copies for their sum": averaging}
check.call(right_side, x, c, want=terms.sum(), **within, mutants=mean_for_sum, name="the dot products")

# %%
check("fold", F.fold)

# %% [markdown]
# Folding what was unfolded does *not* give the image back, but each pixel times the number of its copies:

# %%
ones = mt.ones(1, 1, 4, 5)
F.fold(F.unfold(ones, 3, padding=1), (4, 5), 3, padding=1)[0, 0]

# %% [markdown]
# ## 9 Measure
#
# Divisions are slow, and six of them for every copied number are too many. The kernel `rows` copies whole rows instead,
# and works out once a row where the padding begins.

# %% tags=["nbval-ignore-output"]
from statistics import mean

from mytensor.timing import measure

torch_batch = torch.from_dlpack(batch)
times = {"torch": mean(measure(lambda: torch.nn.functional.unfold(torch_batch, 5), repeats=10, warmup=0))}
for kernel in mt.kernels("im2col", device="cpu"):
    with mt.use_kernel("im2col", kernel["name"]):
        times[kernel["name"]] = mean(measure(lambda: F.unfold(batch, 5), repeats=10, warmup=0))
for name, seconds in times.items():
    print(f"{name:6} {seconds * 1e3:7.2f} ms, {columns.nbytes / seconds / 1e9:5.1f} GB/s written")

# %% [markdown]
# ## 10 Exercises
#
# Replace the `...` and run the line below it. The first is a question that the inspector of section 4 can answer:
# **which stride makes a 3 × 3 kernel copy every pixel of a 6 × 6 image exactly once?**

# %% tags=["exercise"]
stride_of_no_overlap = ...

# %%
from mytensor import exercise

exercise("02.1", stride_of_no_overlap)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# A window is three pixels wide. Where must the next one begin, so that they neither overlap nor leave a gap?
# </details>

# %% tags=["solution"]
# Solution
stride_of_no_overlap_solution = 3  # the kernel's own width: the windows tile the image, and fold(unfold(x)) is x

# %% [markdown]
# Extend `im2col` of section 2 by padding and stride. `image` is (C, H, W), `kernel_size` a pair (kh, kw), `padding` and
# `stride` are integers; wanted is the matrix of (C·kh·kw, L).


# %% tags=["exercise"]
def strided_im2col(image, kernel_size, padding, stride):
    return ...


# %%
exercise("02.2", strided_im2col)

# %% [markdown]
# <details>
# <summary>Hint 1: padding</summary>
#
# `np.pad(image, ((0, 0), (padding, padding), (padding, padding)))` adds zeros on all four sides. After that it is a
# larger image without padding.
# </details>
# <details>
# <summary>Hint 2: stride</summary>
#
# Along an axis of `length` there is room for `(length - k) // stride + 1` windows, and window `y` begins at
# `y * stride`.
# </details>


# %% tags=["solution"]
# Solution
def strided_im2col_solution(image, kernel_size, padding, stride):
    kh, kw = kernel_size
    image = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
    _, height, width = image.shape
    places = np.ndindex((height - kh) // stride + 1, (width - kw) // stride + 1)
    corners = [(y * stride, x * stride) for y, x in places]
    return np.stack([image[:, y : y + kh, x : x + kw].ravel() for y, x in corners], axis=1)


# %% [markdown]
# **A kernel.** Write what one thread of col2im does. Thread `i` owns pixel `i` of the image, and it alone: it *collects*
# from `columns` every copy of its pixel and returns their sum, so that no two threads write to one place. Stride 1, no
# padding; `columns` is (C·kh·kw, L), and one row of it holds one kernel element of one channel.


# %% tags=["exercise"]
def col2im_thread(i, columns, image_shape, kernel_size):
    channels, height, width = image_shape
    kh, kw = kernel_size
    return ...


# %%
exercise("02.3", col2im_thread)

# %% [markdown]
# <details>
# <summary>Hint 1: who am I?</summary>
#
# As in section 5, division and remainder take `i` apart: `c = i // (height * width)`, `y = i // width % height`,
# `x = i % width`.
# </details>
# <details>
# <summary>Hint 2: where are my copies?</summary>
#
# Kernel element (r, s) of output pixel (y_out, x_out) reads the pixel (y_out + r, x_out + s). Turn it round: for each
# (r, s), the output pixel that read me is (y - r, x - s), if there is one.
# </details>
# <details>
# <summary>Hint 3: where do they stand in the matrix?</summary>
#
# In row `(c * kh + r) * kw + s` and column `y_out * across + x_out`, with `across = width - kw + 1`.
# </details>


# %% tags=["solution"]
# Solution
def col2im_thread_solution(i, columns, image_shape, kernel_size):
    channels, height, width = image_shape
    kh, kw = kernel_size
    down, across = height - kh + 1, width - kw + 1
    c, y, x = i // (height * width), i // width % height, i % width
    total = 0.0
    for r, s in np.ndindex(kh, kw):
        y_out, x_out = y - r, x - s
        if 0 <= y_out < down and 0 <= x_out < across:
            total += columns[(c * kh + r) * kw + s, y_out * across + x_out]
    return total


# %% [markdown]
# ## What you built
#
# The operation that turns convolutions into matrix products, its index arithmetic, its price in memory, and a test for
# transposes that needs no reference. Next, the product itself.
#
# <!-- links -->
