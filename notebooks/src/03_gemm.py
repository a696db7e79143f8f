# %% [markdown]
# # 03 · The matrix product, rung by rung
#
# *60 minutes · before: 02 · <!-- links -->*
#
# **The question.** A matrix product is three loops and one line. Why are there ten kernels for it, and what does each
# know that the last did not?
#
# ```mermaid
# flowchart LR
#     N["naive"] -- "neighbours<br/>read neighbours" --> C["coalesced"]
#     C -- "copy once,<br/>read 16 times" --> T["tiled"]
#     T -- "16 outputs<br/>a thread" --> R["register_blocked"]
#     R -- "four numbers<br/>an instruction" --> V["vectorized"]
#     V -- "copy while<br/>multiplying" --> D["double_buffered"]
#     R -- "16 × 16 × 8 products<br/>an instruction" --> X["tensor_core"]
# ```

# %% [markdown]
# ## 1 Three loops
#
# $$c_{ij} = \sum_{p} a_{ip}\, b_{pj}$$

# %%
import numpy as np


def three_loops(a, b):
    (m, k), (_, n) = a.shape, b.shape
    c = np.zeros((m, n))
    for i, j, p in np.ndindex(m, n, k):
        c[i, j] += a[i, p] * b[p, j]
    return c


# %%
import torch
from mytensor import check

random = np.random.default_rng(0)
a, b = random.standard_normal((13, 21)), random.standard_normal((21, 18))


def torch_product(a, b):
    return (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()


within = {"reduction_length": 21, "magnitude": torch_product(abs(a), abs(b))}  # the rounding of 21 products
check.call(three_loops, a, b, want=torch_product(a, b), **within, mutants={"`=` for `+=`": ("+=", "=")})

# %% [markdown]
# Each turn of the inner loop multiplies and adds: $2mnk$ floating-point operations. And it *reads two numbers*. That is
# the whole trouble. A machine that can do a hundred operations in the time of reading one number stands idle most of
# the time, unless a number that was read is used again. There is enough to use again:

# %%
n = 4096
operations, reads, numbers = 2 * n**3, 2 * n**3, 2 * n**2
print(f"{n} x {n}: {operations / 1e9:.0f} billion operations on {numbers / 1e6:.0f} million numbers,")
print(f"each of which the three loops read {reads // numbers} times")

# %% [markdown]
# ## 2 The idea
#
# Cut the matrices into tiles. For one tile of the output, walk along a row of tiles of `a` and a column of tiles of `b`;
# keep the two that are needed where they can be read fast, and use each of their numbers for a whole row (or column) of
# the output's tile.


# %%
def in_tiles(a, b, tile):
    (m, k), (_, n) = a.shape, b.shape
    c = np.zeros((m, n))
    for i in range(0, m, tile):
        for j in range(0, n, tile):
            for p in range(0, k, tile):  # the walk
                left, right = a[i : i + tile, p : p + tile], b[p : p + tile, j : j + tile]
                c[i : i + tile, j : j + tile] += left @ right
    return c


# %%
wrong = {"`=` for `+=`": ("+=", "="), "the last tile left out": ("range(0, k, tile)", "range(0, k - k % tile, tile)")}
check.call(in_tiles, a, b, 4, want=torch_product(a, b), **within, mutants=wrong)
print("in tiles of 4 x 4, the last ones smaller")

# %% [markdown]
# With tiles of $T \times T$, every number is read from memory $T$ times less often: $2mnk / T$ reads. All rungs of the
# ladder but the first two are this idea again, at every level of the machine: memory to shared memory, shared memory to
# registers, registers to tensor cores.

# %% [markdown]
# ## 3 Compiled
#
# The CPU has two kernels, a GPU ten. `matmul` is checked as every operation is, with its gradients:

# %%
import mytensor as mt

check("matmul", mt.matmul)

# %% tags=["nbval-ignore-output"]
for kernel in mt.kernels("matmul", device="simt"):
    print(f"{kernel['name']:17} {kernel['description']}")

# %% [markdown]
# All of the GPU's, on device `simt`, where the same `.cu` file runs on the CPU thread by thread. The matrices are odd on
# purpose: no tile fits. The tensor cores round both factors, to within $u = 2^{-11}$ (tf32) or $2^{-8}$ (bfloat16), so
# each product may be off by $2u + u^2$ of itself more:

# %%
a, b = random.standard_normal((45, 70)).astype(np.float32), random.standard_normal((70, 53)).astype(np.float32)
wanted = torch_product(a.astype(np.float64), b.astype(np.float64))
magnitude = torch_product(abs(a).astype(np.float64), abs(b).astype(np.float64))
rounding = {"tensor_core_tf32": 2**-11, "tensor_core_bf16": 2**-8}
ladder = [kernel["name"] for kernel in mt.kernels("matmul", device="simt")]


def bound_of(name, k):
    u = rounding.get(name, 0)
    return (2 * u + u * u + (k + 2) * np.finfo(np.float32).eps) * magnitude


def on_simt(a, b):
    return (mt.tensor(a, device="simt") @ mt.tensor(b, device="simt")).cpu()


for name in ladder:
    with mt.use_kernel("matmul", name):
        check.call(on_simt, a, b, want=wanted, bound=bound_of(name, 70), dtype=np.float32, name=name)

# %% [markdown]
# And the bound is sharp enough to tell them apart: by the bound of the exact kernels, the tensor cores are wrong.

# %%
for name in rounding:
    try:
        with mt.use_kernel("matmul", name):
            check.call(on_simt, a, b, want=wanted, bound=bound_of("tiled", 70), dtype=np.float32)
    except check.CheckFailed:
        print(f"{name}: not a float32 product")
    else:
        raise AssertionError(f"{name} passes as a float32 product")

# %% [markdown]
# ## 4 Neighbours
#
# The first rung is three loops with the outer two taken away: a thread for each output.

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source

source("cuda/matmul.cu", "matmul_naive")

# %% tags=["nbval-ignore-output"]
source("cuda/matmul.cu", "matmul_coalesced")

# %% [markdown]
# The second rung exchanges two words: neighbouring threads go along a row, not down a column. To see why, count what a
# warp (32 threads) asks of memory, in sectors of 32 bytes. (Notebook 02, section 6.) Both run on `simt`, which
# records every access:

# %%
a, b = mt.randn(128, 32, device="simt"), mt.randn(32, 128, device="simt")


def recorded(name):
    with mt.use_kernel("matmul", name), mt.simt.trace(limit=3_000_000) as trace:
        a @ b
    return trace


traces = {name: recorded(name) for name in ladder if name not in ("by_shape", "split_k")}
for name in ("naive", "coalesced"):
    print(name)
    for line in traces[name].coalescing():
        print(f"  {line.kind:5} {line.array:6} {line.requests:6} requests, {line.sectors:.0f} sectors each")

# %% [markdown]
# In the naive kernel the 32 threads of a warp stand in 32 rows, so each read of `a` moves 32 sectors and uses one number
# of each. In the coalesced one they share a row of `a` (one sector serves all) and read 32 neighbours of `b` (four
# sectors, all of their bytes used).

# %% [markdown]
# ## 5 Shared memory
#
# Every number is still read 128 times from far away. A block has memory of its own, small and fast, that all of its
# threads see: *shared memory*. So a block of 16 × 16 threads copies a tile of each matrix there, each thread one number
# of each, waits until all are done, and reads each number 16 times where it is near.

# %% tags=["nbval-ignore-output"]
source("cuda/matmul.cu", "matmul_tiled")

# %% [markdown]
# Two barriers a step: the first, because a thread reads what others have copied; the second, because the next copies
# must not overwrite what a slower thread still reads. Take one away, and `simt` under `mt.simt.watch()` stops the kernel
# and names the thread, the element and the line.
#
# **Look inside.** This is the kernel at work on a product that does not fit its tiles. Point at an output to choose its
# block and its thread, and walk along the sum. Keys: Tab to the picture, arrows, + and −.

# %%
from mytensor.inspect.tiles import TileWalk

walk = TileWalk(random.standard_normal((40, 36)), random.standard_normal((36, 24)))
walk

# %% [markdown]
# What you chose is known here too:

# %% tags=["nbval-ignore-output"]
walk.block, walk.thread, walk.step

# %% [markdown]
# ## 6 Registers
#
# Now shared memory is the bottleneck: two reads there for each multiply-add. The same idea, one level down: a thread
# that computes 4 × 4 outputs reads 4 numbers of each tile into registers and gets 16 multiply-adds out of these 8 reads.

# %% tags=["nbval-ignore-output"]
source("cuda/gemm.h", "multiply")

# %% [markdown]
# **vectorized** goes to 8 × 8 outputs a thread, and moves four numbers an instruction, as a `float4`: the work is the
# same, but there are fewer instructions for it.

# %% tags=["nbval-ignore-output"]
source("cuda/matmul.cu", "load_eight")

# %% [markdown]
# **double_buffered** has two pairs of tiles. While one pair is multiplied, the other is on its way: `cp.async` copies
# from memory to shared memory without passing through a register and without anybody waiting.

# %% tags=["nbval-ignore-output"]
source("cuda/matmul.cu", "matmul_double_buffered")

# %% [markdown]
# ## 7 What the ladder saves
#
# Counted by `simt` on the product of section 4, (128, 32) @ (32, 128), half a million multiply-adds. *From memory*:
# kilobytes of sectors that reads of `a` and `b` move. *Shared*: how often the banks of shared memory must be asked by
# reading warps, a thousand times. *Barriers*: how often a block waits for all of its threads, summed over the blocks.


# %%
def counted(trace):
    moved = sum(line.requests * line.sectors for line in trace.coalescing() if line.array in ("a", "b")) * 32 / 1024
    asked = sum(line.requests * line.passes for line in trace.bank_conflicts() if line.kind == "read") / 1000
    return moved, asked, sum(line.passed for line in trace.barriers())


print(f"{'':17}{'from memory':>12}{'shared':>9}{'barriers':>10}{'blocks':>8}")
table = {name: counted(trace) for name, trace in traces.items()}
for name, (moved, asked, barriers) in table.items():
    blocks = int(np.prod(traces[name].launches[0].grid))
    print(f"{name:17}{moved:9.0f} KB{asked:9.1f}{barriers:10}{blocks:8}")

# %% [markdown]
# Down the first column, the tiles grow: 1, then 16, 64 and 128 rows share what was read. Down the second, registers take
# the work from shared memory. Blocks get fewer as tiles get larger, and here lies a price: the largest tiles leave *one*
# block for this small product, and a GPU has more than a hundred places for blocks. So `by_shape`, the default, takes
# large tiles for large products only, and for small ones `split_k`, where several blocks share one sum.
#
# (Which thread holds which number of a tensor core's fragment is the hardware's secret; the emulator has an order of
# its own, so the tensor cores' column of shared memory is a GPU's only in kind.)
#
# Bank conflicts, line by line: a *pass* is one answer of the 32 banks. A warp that reads 32 words from 32 different banks
# gets them in one pass, and so does a warp that reads one word 32 times.

# %%
for name in ("tiled", "register_blocked", "vectorized"):
    print(name)
    for line in traces[name].bank_conflicts():
        extra = "" if line.passes == line.ideal else "  <- conflict"
        print(f"  {line.kind:5} {line.array:8} {line.passes:.0f} passes, {line.ideal:.0f} without conflicts{extra}")

# %% [markdown]
# ## 8 Tensor cores
#
# The last rung leaves the multiplying to a unit that does nothing else: a warp hands it two 16 × 16 pieces and gets their
# product added to a third. For that the factors are rounded: tf32 keeps 10 bits behind the point of float32's 23,
# bfloat16 keeps 7. Sums stay float32. What that costs, on the numbers of section 3:

# %%
for name in ("tiled", *rounding):
    halves = 1 + 2.0 ** -np.arange(24)  # 2, 1.5, 1.25, 1.125, ... : one bit each
    ones = mt.ones(1, 1, device="simt")
    with mt.use_kernel("matmul", name):
        kept = (mt.tensor(halves.astype(np.float32).reshape(24, 1), device="simt") @ ones).cpu().numpy()[:, 0]
    print(f"{name:17} keeps {int((kept == halves).sum()) - 1:2} bits behind the point")

# %% [markdown]
# Nobody gets them unasked: `by_shape` chooses among exact kernels only. (PyTorch has a switch for it,
# `torch.backends.cuda.matmul.fp32_precision`.)

# %% [markdown]
# ## 9 Measure
#
# `simt` counts; it has no speed. Times come from a real machine. First this one's CPU, whose kernels climb the same
# ladder: `naive` is three loops, `blocked` keeps a tile of sums in registers. Before anything is timed, it is compared
# with float64. Shown is the time that one call in ten undercuts: other programs can only add to it.

# %% tags=["nbval-ignore-output"]
from mytensor import bench, plots
from mytensor.inspect.figure import figure

ceilings = bench.measured_ceilings("cpu")
for name, ceiling in ceilings.items():
    rate = ceiling.get("flops") or ceiling["bytes_per_second"]
    print(f"{name:8} {rate / 1e9:7.1f} {'GFLOP/s' if 'flops' in ceiling else 'GB/s'}, {ceiling['what']}")

rows = []
for n in (32, 128, 512):
    rows += bench.time_case(bench.matmul_case(f"square {n}", n, n, n), "cpu", budget=0.1)
for row in rows:
    speed = row["flops"] / row["seconds"]["p10"]
    part = speed / ceilings["float32"]["flops"]
    print(f"{row['size']:11} {row['kernel']:8} {speed / 1e9:7.1f} GFLOP/s, {part:6.1%} of the ceiling")

# %% [markdown]
# The *roofline* shows both limits at once. To the left, where a kernel does little with each byte, memory is the roof and
# rises with the work done a byte; to the right the arithmetic is. The horizontal place of a product is its operations
# divided by the bytes it must move at least.

# %% tags=["nbval-ignore-output"]
points = {}
for row in rows:
    point = row["flops"] / row["bytes"], row["flops"] / row["seconds"]["p10"]
    points.setdefault(row["kernel"], []).append(point)
copy, peak = ceilings["copy"]["bytes_per_second"], ceilings["float32"]["flops"]
figure(*plots.roofline(points, {"float32": peak}, copy, "this machine's CPU"))

# %% [markdown]
# **On a GPU.** `python scripts/gpu.py bench` measures all rungs beside cuBLAS (PyTorch's product) and writes
# `results/bench_cuda.json`. The share is of what cuBLAS itself reaches on a large product in that precision.

# %% tags=["nbval-ignore-output", "gpu-measurement"]
from mytensor import compare

measured, file = None, compare.results_folder() / "bench_cuda.json"
if file.exists():
    measured = bench.load_results(file)
    print(f"{measured['machine']['gpu']}, driver {measured['machine']['driver']}, commit {measured['commit']}")
    for row in measured["rows"]:
        if row["op"] == "matmul" and row["size"] == "square 4096" and not row["problem"]:
            speed = f"{row['gflops'] / 1e3:8.2f} TFLOP/s, {row['of_peak']:6.1%} of {row['peak']}"
            print(f"{row['kernel']:17} {row['seconds']['median'] * 1e3:8.2f} ms {speed}")
else:
    print("4096 x 4096 on a GPU: not measured yet")

# %% tags=["nbval-ignore-output", "gpu-measurement"]
if measured:
    points = {}
    for row in measured["rows"]:
        if row["op"] == "matmul" and row["size"].startswith("square") and not row["problem"]:
            points.setdefault(row["kernel"], []).append((row["flops"] / row["bytes"], row["gflops"] * 1e9))
    flops = {name: of["flops"] for name, of in measured["ceilings"].items() if "flops" in of}
    copy = measured["ceilings"]["copy"]["bytes_per_second"]
    roofline = figure(*plots.roofline(points, flops, copy, measured["machine"]["gpu"]))
else:
    roofline = "The GPU's roofline: not measured yet"
roofline

# %% [markdown]
# ## 10 Exercises
#
# Replace the `...` and run the line below it. First a number: **how many numbers does a tiled kernel with tiles of
# 32 × 32 read from memory for the product of two 1024 × 1024 matrices?**

# %% tags=["exercise"]
reads_of_tiles = ...

# %%
from mytensor import exercise

exercise("03.1", reads_of_tiles)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# The naive kernel reads two numbers for each of the $1024^3$ products. How many threads of a block use a number once it
# lies in shared memory?
# </details>

# %% tags=["solution"]
# Solution
reads_of_tiles_solution = 2 * 1024**3 // 32  # a number in a tile serves the 32 threads of a row (or of a column)

# %% [markdown]
# **The index rule of the tiled kernel.** Thread `(ty, tx)` of a block copies one number of `a` in each step, and stores it
# in `a_tile[ty][tx]`. The block stands in row `block_row` of the grid of blocks, tiles are `tile` × `tile`, and `a` is a
# numpy array (m, k). Return the number that the thread stores: 0 beyond the matrix, for the sizes need not fit.


# %% tags=["exercise"]
def copied_to_a_tile(ty, tx, block_row, step, a, tile):
    return ...


# %%
exercise("03.2", copied_to_a_tile)

# %% [markdown]
# <details>
# <summary>Hint 1: where is my block?</summary>
#
# Its outputs begin at row `block_row * tile`. In step `step` the tile of `a` begins at column `step * tile`.
# </details>
# <details>
# <summary>Hint 2: the edge</summary>
#
# The kernel in section 5 asks the same two questions before it reads: is my row inside, and is my place in the sum?
# </details>


# %% tags=["solution"]
# Solution
def copied_to_a_tile_solution(ty, tx, block_row, step, a, tile):
    m, inner = a.shape
    row, k = block_row * tile + ty, step * tile + tx
    return a[row, k] if row < m and k < inner else 0.0


# %% [markdown]
# **split_k.** Few outputs and a long sum leave most of a GPU idle. Cut the sum into `slices` pieces that different blocks
# could compute, and add the pieces in order. `a` is (m, k), `b` is (k, n); `slices` need not divide k.


# %% tags=["exercise"]
def sliced_product(a, b, slices):
    return ...


# %%
exercise("03.3", sliced_product)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# With `length = -(-k // slices)` (rounded up) slice `s` takes the places from `s * length` on. Slicing a numpy array
# beyond its end is allowed, and gives what there is.
# </details>


# %% tags=["solution"]
# Solution
def sliced_product_solution(a, b, slices):
    inner = a.shape[1]
    length = -(-inner // slices)
    output = np.zeros((a.shape[0], b.shape[1]))
    for s in range(slices):
        first = s * length
        output += a[:, first : first + length] @ b[first : first + length]
    return output


# %% [markdown]
# ## What you built
#
# The ladder of a matrix product: read neighbours, copy once and use often, again in registers, move while you compute,
# and leave the rest to a unit built for it. You counted what each rung saves before any clock was started. Next, the
# convolutions: the same tiles, gathered from an image.
#
# <!-- links -->
