# %% [markdown]
# # 01 · Memory
#
# *35 minutes · before: 00 · <!-- links -->*
#
# **The question.** A tensor is a name for some bytes. Where are they, who may read them, and what does it cost to have
# them somewhere else?
#
# ```mermaid
# flowchart LR
#     T["Tensor<br/>gradient, graph"] --> A["NDArray<br/>shape, dtype"]
#     A2["NDArray<br/>another shape"] --> S
#     A --> S["storage<br/>bytes, device"] --> B["block<br/>from the allocator"]
#     B --> H[("host memory")]
#     B -. "or" .-> D[("device memory")]
# ```
#
# Four layers, and each adds one thing: the block is memory, the storage says on which device, the NDArray how to read
# it, the Tensor what was done with it.

# %% [markdown]
# ## 1 Storage, shape, dtype
#
# The bytes themselves, through numpy, which reads them in place. A float32 is four bytes: sign, exponent, fraction
# (IEEE 754). On this kind of machine the lowest byte comes first.

# %%
import mytensor as mt
import numpy as np

x = mt.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
raw = x.numpy().view(np.uint8)
print(f"shape {x.shape}, {x.dtype}, {x.nbytes} bytes")
print("the six numbers as bytes:")
for number, four in zip(x.numpy().ravel(), raw.reshape(-1, 4)):
    print(f"  {number:g}:  {' '.join(f'{byte:02x}' for byte in four)}")

# %% [markdown]
# The dtype decides how many bytes a number takes and what they mean. Images are whole numbers from 0 to 255, so one byte
# is enough until they are computed with:

# %%
for dtype in (mt.uint8, mt.int32, mt.float32, mt.int64, mt.float64):
    array = mt.zeros(64, 3, 32, 32, dtype=dtype)
    print(f"64 images of 3 × 32 × 32 as {str(dtype).removeprefix('DType.'):8} {array.nbytes:9,} bytes")

# %% [markdown]
# ## 2 The idea: one index, one address
#
# Memory has one dimension. Rows stand one after the other, so the last index moves by one element, the one before by a
# row, and so on (*row-major* order). Horner's rule makes one number of all indices:


# %%
def flat_index(index, shape):
    place = 0
    for i, length in zip(index, shape):
        place = place * length + i
    return place


# %% [markdown]
# torch keeps a step for every dimension, its *strides*; ours follow from the shape. The addresses of all 120 elements of
# a tensor, ours beside torch's:

# %%
import torch
from mytensor import check

shape = (2, 3, 4, 5)
twin = torch.zeros(shape)


def places(function):
    return np.array([function(index, shape) for index in np.ndindex(*shape)])


def exchanged(index, shape):
    return flat_index(index, (2, 4, 3, 5))


want = np.array([(twin[index].data_ptr() - twin.data_ptr()) // 4 for index in np.ndindex(*shape)])
exchange = {"two lengths exchanged": lambda _: places(exchanged)}
check.call(places, flat_index, want=want, mutants=exchange, name="flat_index")

# %% [markdown]
# The line says that the check can fail: it was repeated on damaged results and with two lengths exchanged, and each time
# it had to. What it then says:

# %% tags=["nbval-ignore-output"]
try:
    check.call(places, exchanged, want=want, name="exchanged")
except check.CheckFailed as failed:
    print(failed)
else:
    raise AssertionError("the exchanged lengths were not noticed")

# %% [markdown]
# ## 3 What shares, and what copies
#
# A reshape changes how the bytes are read, not where they are: the same address, no work. A transpose would need other
# strides. torch keeps them; this framework does not, so that a kernel's index arithmetic is always the one above. The
# price: a transpose copies.

# %%
print("reshape shares:  ", x.reshape(3, 2).array.shares_storage(x.array))
print("transpose shares:", x.transpose(0, 1).array.shares_storage(x.array))
print("torch's shares:  ", torch.from_dlpack(x).T.data_ptr() == x.array.data_ptr)

# %%
check("reshape", mt.ops.reshape)
check("transpose", mt.ops.transpose)

# %% [markdown]
# ## 4 Host and device
#
# A GPU has memory of its own. The processor cannot read it, and the GPU's kernels cannot read the processor's, so an
# array lives on one side and is moved by `.to(device)`. Device `simt` keeps to the same rules on a machine without a GPU:
# its memory is apart, and its kernels are the CUDA sources, run on the CPU thread by thread.

# %%
there = x.to("simt")
back = (there * 2).cpu()
print(f"x on {x.device}, there on {there.device}, back on {back.device}")
check.call(lambda x: (x.to("simt") * 2).cpu(), x, want=x * 2, name="there and back")

# %% [markdown]
# Mixing the two sides up is an exception that says what to do, not a crash:

# %%
for mixed_up in (lambda: there.numpy(), lambda: there + x):
    try:
        mixed_up()
    except (TypeError, ValueError) as error:
        print(error)

# %% [markdown]
# ## 5 What a copy costs
#
# The report's training loop calls `inputs.numpy()` for every batch, and hands the result to its own framework. How many
# bytes is that? Each batch of 64 images, 50,000 images an epoch:

# %%
batch_shape, batches = (64, 3, 32, 32), -(-50_000 // 64)
batch = torch.rand(batch_shape, generator=torch.Generator().manual_seed(0))
per_batch = batch.nbytes
print(f"one batch   {per_batch:>16,} bytes")
print(f"one epoch   {50_000 * per_batch // 64:>16,} bytes in {batches} batches")
print(f"20 epochs   {20 * 50_000 * per_batch // 64:>16,} bytes, each way")

# %% [markdown]
# With all arrays in the processor's memory, `numpy()` itself is free: it hands over an address. What is not free is what
# is done next with the array. Four ways to give torch's batch to this framework:

# %%
ways = {
    "from_dlpack": lambda: mt.from_dlpack(batch),
    "from_numpy(batch.numpy())": lambda: mt.from_numpy(batch.numpy()),
    "tensor(batch.numpy())": lambda: mt.tensor(batch.numpy()),
    "tensor(batch.tolist())": lambda: mt.tensor(batch.tolist()),
}
for name, way in ways.items():
    print(f"{name:26}", "shares" if way().array.data_ptr == batch.data_ptr() else "copies")

# %% tags=["nbval-ignore-output"]
from mytensor.timing import best_time

times = {name: best_time(way) for name, way in ways.items()}
for name, seconds in times.items():
    print(f"{name:26} {seconds * 1e6:10.1f} µs a batch, {seconds * batches:8.3f} s an epoch")

# %% [markdown]
# If the batch is on a GPU, `numpy()` is not free at all: the bytes cross the bus to the host, and cross it again to be
# computed with, and the GPU waits meanwhile. How large that is against the work: a kernel such as ReLU reads and writes
# each number once. What that is in bytes, counted by the emulator over the whole launch:

# %%
images = mt.tensor(batch.numpy()[:2]).to("simt")
with mt.simt.trace() as trace:
    mt.relu(images)
moved = {row.kind: round(row.requests * row.sectors) * mt.simt.SECTOR for row in trace.coalescing()}
print(f"ReLU of {images.nbytes:,} bytes: {moved['read']:,} read, {moved['write']:,} written")
print(f"there and back over the bus: {images.nbytes:,} each way")

# %% [markdown]
# As many bytes over the bus as through the GPU's own memory, and the bus is the slower of the two by far. How long it
# takes is for a GPU to say:

# %% tags=["nbval-ignore-output", "gpu-measurement"]
import mytensor_backend as backend

if gpus := backend.cuda_info()["gpus"]:
    on_host, on_gpu = mt.tensor(batch.numpy()), mt.tensor(batch.numpy()).to("cuda")

    def timed(call):
        return best_time(lambda: (call(), backend.synchronize("cuda")))

    print(f"on {gpus[0]['name']}, one batch of {per_batch:,} bytes:")
    print(f"host to device  {timed(lambda: on_host.to('cuda')) * 1e6:8.1f} µs")
    print(f"device to host  {timed(on_gpu.cpu) * 1e6:8.1f} µs")
    print(f"ReLU on it      {timed(lambda: mt.relu(on_gpu)) * 1e6:8.1f} µs")
else:
    print("between host and GPU: not measured yet (there is no GPU here)")

# %% [markdown]
# So `mytensor.data.Batches` does it otherwise: the whole data set goes to the device once, one byte a number, and a
# kernel gathers and normalises each batch there. Nothing crosses in the loop.

# %%
print(f"all of CIFAR-10 on the device, once: {50_000 * 3 * 32 * 32:,} bytes")

# %% [markdown]
# ## 6 The allocator: the idea
#
# Asking the system for memory is slow: it must find pages, zero them and map them; on a GPU it also waits for the work
# that is under way. And a training step asks for the same few sizes again and again. So keep what is freed, by size:


# %%
class CachingAllocator:
    def __init__(self, size_class):
        self.size_class, self.cache, self.hits, self.blocks = size_class, {}, 0, 0

    def allocate(self, size):
        free = self.cache.setdefault(self.size_class(size), [])
        if free:
            self.hits += 1
            return free.pop()
        self.blocks += 1
        return self.size_class(size), self.blocks  # the system's work: a new block

    def free(self, block):
        self.cache[block[0]].append(block)


def size_class(size):
    size = max(size, 64)
    power = 1 << (size.bit_length() - 1)  # the largest power of two that is not above it
    step = max(power // 4, 64)
    return -(-size // step) * step


# %% [markdown]
# Sizes are rounded up to *classes*, four to a power of two, so that a request can be served by a block that was freed by
# a slightly different one; less than a quarter of a block can be wasted so. The same random requests, to this model and to the
# compiled allocator:


# %%
def replay(allocator, requests):
    """How many of the requests the allocator's cache serves; some arrays are freed in between."""
    live = []
    for size, freed in requests:
        live.append(allocator.allocate(size))
        if freed < len(live):
            allocator.free(live.pop(freed))
    return allocator.hits


class Compiled:
    def __init__(self):
        mt.empty_cache()
        self.before = mt.memory_stats()["cache_hits"]

    def allocate(self, size):
        return mt.empty(size, dtype=mt.uint8)

    def free(self, array):
        pass  # `live.pop` has dropped the last name of it: Python frees it here

    @property
    def hits(self):
        return mt.memory_stats()["cache_hits"] - self.before


random = np.random.default_rng(0)
requests = [(int(size), int(freed)) for size, freed in zip(random.integers(1, 5000, 400), random.integers(0, 12, 400))]


def hits_of_model(size_class):
    return replay(CachingAllocator(size_class), requests)


def powers_of_two(size):
    return 1 << max(6, (size - 1).bit_length())


want = replay(Compiled(), requests)
wrong = {
    "no classes": lambda _: hits_of_model(lambda size: size),
    "powers of two": lambda _: hits_of_model(powers_of_two),
}
check.call(hits_of_model, size_class, want=want, mutants=wrong, name="the model's hits")
print(f"model and compiled allocator: {want} of {len(requests)} requests served from the cache")
for name, hits in wrong.items():
    print(f"with {name}: {hits(size_class)}")

# %% [markdown]
# ## 7 Compiled
#
# The same in C++: a pool a device, a map from class to free blocks, and statistics. (Mode *plain* asks the system each time; *debug* fills
# new blocks with NaN and puts red zones around them, which is how `check` notices an element that was never written.)

# %% tags=["nbval-ignore-output"]
from mytensor.inspect.source import source

source("device/allocator.cpp", "size_class")

# %% tags=["nbval-ignore-output"]
source("device/allocator.cpp", "allocate")

# %% tags=["nbval-ignore-output"]
source("device/allocator.cpp", "release")

# %% [markdown]
# ## 8 Look inside
#
# Each bar is a block that the compiled allocator holds. Make arrays and free them (click a block, or choose it by the
# arrow keys and press Delete). Which requests does the cache serve? Can 50 KiB be served by a block of 56 KiB? And in
# mode *plain*?

# %%
from mytensor.inspect.allocator import AllocatorInspector

KiB = 1024
inspector = AllocatorInspector([40 * KiB, 96 * KiB, "a", 50 * KiB, 40 * KiB, "b"])
inspector

# %% [markdown]
# What your clicks have led to:

# %% tags=["nbval-ignore-output"]
print(inspector)

# %% [markdown]
# ## 9 Measure
#
# Three training steps of LeNet on one batch. `memory_stats` counts every request; after the first steps, all of them are
# served from the cache:

# %%
model = mt.models.LeNet()
images, labels = mt.tensor(batch.numpy()), mt.tensor(np.arange(64) % 10)


def step():
    loss = mt.nn.functional.cross_entropy(model(images), labels)
    loss.backward()


for number in range(3):
    before = mt.memory_stats()
    step()
    after = mt.memory_stats()
    asked, hits = (after[key] - before[key] for key in ("allocations", "cache_hits"))
    print(f"step {number}: {'every request' if hits == asked else 'not every request'} served from the cache")

# %% tags=["nbval-ignore-output"]
print(f"requests a step: {asked}")
for key, value in mt.memory_stats().items():
    print(f"{key:16} {value:12,}")

# %% [markdown]
# What does the cache save? The same step, and one large array that is written from end to end, in both modes:

# %% tags=["nbval-ignore-output"]
measured = {}
for mode in ("caching", "plain"):
    mt.set_memory_mode(mode)
    measured[mode] = best_time(step, 1.0), best_time(lambda: mt.zeros(16, 1024, 1024), 0.5)
mt.set_memory_mode("caching")
for mode, (training, large) in measured.items():
    print(f"{mode:8} a training step {training * 1e3:6.2f} ms, 64 MiB of zeros {large * 1e3:6.2f} ms")
print(
    f"plain takes {' and '.join(f'{p / c:.2f}' for p, c in zip(measured['plain'], measured['caching']))} times as long"
)

# %% [markdown]
# (On a GPU the difference is another one, since `cudaMalloc` and `cudaFree` wait for the device: notebook 11.)
#
# ## 10 Exercises
#
# **How many bytes** do 64 CIFAR-10 images take as float32, all three channels?

# %% tags=["exercise"]
bytes_of_a_batch = ...

# %%
from mytensor import exercise

exercise("01.1", bytes_of_a_batch)

# %% [markdown]
# <details>
# <summary>Hint</summary>
#
# 32 × 32 pixels, three channels, and the width of a float32 from section 1.
# </details>

# %% tags=["solution"]
# Solution
bytes_of_a_batch_solution = 64 * 3 * 32 * 32 * 4

# %% [markdown]
# Turn `flat_index` round: from a flat index and a shape, the index in every dimension. It is what each thread of a GPU
# does first. `np.unravel_index` would be cheating. `flat` is an array of flat indices; return an array of shape
# (number of dimensions, number of indices).


# %% tags=["exercise"]
def unravel(flat, shape):
    return ...


# %%
exercise("01.2", unravel)

# %% [markdown]
# <details>
# <summary>Hint 1</summary>
#
# The last index is the remainder by the last length: `flat % shape[-1]`.
# </details>
# <details>
# <summary>Hint 2</summary>
#
# What is left, `flat // shape[-1]`, is a flat index into the shape without its last dimension. `np.stack` makes one
# array of a list of rows.
# </details>


# %% tags=["solution"]
# Solution
def unravel_solution(flat, shape):
    indices = []
    for length in reversed(shape):
        indices.insert(0, flat % length)
        flat = flat // length
    return np.stack(indices)


# %% [markdown]
# **A kernel.** A transpose copies, one thread an element of the *result*. Thread `i` writes element `i` of the transposed
# matrix: return the number that belongs there. `source` is the matrix in memory, one-dimensional; `shape` is its (rows,
# columns) before the transpose.


# %% tags=["exercise"]
def transpose_thread(i, source, shape):
    rows, columns = shape
    return ...


# %%
exercise("01.3", transpose_thread)

# %% [markdown]
# <details>
# <summary>Hint 1: who am I?</summary>
#
# The result has `columns` rows of `rows` numbers each. Which of its rows and columns is flat index `i`?
# </details>
# <details>
# <summary>Hint 2: where do I read?</summary>
#
# Element [a, b] of the result is element [b, a] of the source, and that stands at `b * columns + a`.
# </details>


# %% tags=["solution"]
# Solution
def transpose_thread_solution(i, source, shape):
    rows, columns = shape
    row_of_result, column_of_result = i // rows, i % rows
    return source[column_of_result * columns + row_of_result]


# %% [markdown]
# ## What you built
#
# - The way from an index to an address and back, which every kernel of this book begins with.
# - A caching allocator in fifteen lines that counts as the compiled one does.
# - A habit: before asking how fast a kernel is, ask how many bytes it moves, and from where to where.
#
# <!-- links -->
