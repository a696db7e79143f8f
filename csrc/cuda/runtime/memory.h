// A GPU's memory. Functions that can fail throw CudaError.
#pragma once

#include <cstddef>

namespace mt::cuda {

void* allocate(size_t bytes);  // nullptr: the GPU has no such block left
void free(void* data) noexcept;
size_t total_memory();

void fill_bytes(void* data, unsigned char byte, size_t bytes);
void copy_bytes(void* to, const void* from, size_t bytes);  // from and to: the GPU's or the CPU's; waits
void synchronize();

// Of the GPU in use: 10 * major + minor, 90 for an H100; or less, where the build holds its kernels only as PTX of an
// older architecture, in which they lack what newer GPUs have. Throws NotSupported where it holds none for this GPU.
int compute_capability();

}  // namespace mt::cuda
