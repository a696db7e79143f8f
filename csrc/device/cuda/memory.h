// A GPU's memory, and pinned memory of the machine. Functions that can fail throw CudaError; NotSupported without a GPU
// or in a build without CUDA. Copies and fills run on the thread's current stream.
#pragma once

#include <cstddef>

namespace mt::cuda {

void* allocate(size_t bytes);  // nullptr: the GPU has no such block left
void free(void* data) noexcept;

// The machine's memory, pinned: the GPU reads and writes it without help, so that copies can run beside other work.
void* allocate_pinned(size_t bytes);  // nullptr: there is no such block left
void free_pinned(void* data) noexcept;

struct MemoryInfo {
    size_t free, total;  // bytes
};
MemoryInfo memory_info();
size_t total_memory();

void fill_bytes(void* data, unsigned char byte, size_t bytes);

// from and to: the GPU's memory or the CPU's. Queued: memory of the CPU must stay until the stream has come so far. (A
// copy that pageable memory takes part in may block all the same.)
void queue_copy(void* to, const void* from, size_t bytes);

void synchronize();

// Of the GPU in use: 10 * major + minor, 90 for an H100; or less, where the build holds its kernels only as PTX of an
// older architecture, in which they lack what newer GPUs have. Throws NotSupported where it holds none for this GPU.
int compute_capability();

}  // namespace mt::cuda
