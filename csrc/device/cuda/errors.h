// CUDA errors as exceptions.
//
// A kernel runs after launch() has returned, so its error appears at some later call: the message names the kernels
// launched last, with their configuration and their op's arrays (launch_notes.h). With CUDA_LAUNCH_BLOCKING=1 in the
// environment every launch waits for its kernel, and an error names just that one. Some errors (an illegal address) are
// sticky: every later call fails as well, and only a new process gets a working GPU back. The message says so.
#pragma once

#include <cuda_runtime.h>

namespace mt::cuda {

// Throws CudaError naming `call` and the kernels launched last.
void check(cudaError_t error, const char* call);

// What follows a launch: its error, if it could not be started (or, with CUDA_LAUNCH_BLOCKING=1, if it failed).
void check_launch(cudaError_t error, cudaStream_t stream);

}  // namespace mt::cuda
