// CUDA errors as exceptions.
//
// A kernel runs after launch() has returned, so its error appears at some later call. Launches are remembered, and an
// error names the latest ones. Some errors (an illegal address) are sticky: every later call fails as well, and only a
// new process gets a working GPU back. The message says so.
#pragma once

#include <cuda_runtime.h>

namespace mt::cuda {

// Throws CudaError naming `call` and the kernels launched last.
void check(cudaError_t error, const char* call);

// Notes a launch for the message of a later error. `arguments`: the text of launch()'s arguments, a literal.
void note_launch(const char* arguments, dim3 grid, dim3 block, size_t shared_bytes);

}  // namespace mt::cuda
