// launch() for nvcc: what kernel<<<grid, block, shared_bytes, stream>>>(...) does, on the thread's current stream, and
// errors as exceptions.
#pragma once

#include <cuda_runtime.h>

#include "errors.h"
#include "launch_notes.h"
#include "scratch.h"
#include "streams.h"

namespace mt::cuda {

constexpr size_t kDefaultSharedBytes = 48 * 1024;  // more must be asked for

template <class T>
struct Same {
    using type = T;
};

// The parameters' types come from the kernel, so that the arguments convert as in an ordinary call.
template <class... Parameters>
void launch_kernel(bool is_cooperative, const char* text, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   size_t shared_bytes, typename Same<Parameters>::type... arguments) {
    if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    note_launch(text, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared_bytes);
    if (shared_bytes > kDefaultSharedBytes) {
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
              "cudaFuncSetAttribute");
    }
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
    const auto* address = reinterpret_cast<const void*>(kernel);
    const auto stream = static_cast<cudaStream_t>(current_stream());
    check_launch(is_cooperative ? cudaLaunchCooperativeKernel(address, grid, block, pointers, shared_bytes, stream)
                                : cudaLaunchKernel(address, grid, block, pointers, shared_bytes, stream),
                 stream);
}

}  // namespace mt::cuda

#define launch(...) ::mt::cuda::launch_kernel(false, #__VA_ARGS__, __VA_ARGS__)
#define launch_cooperative(...) ::mt::cuda::launch_kernel(true, #__VA_ARGS__, __VA_ARGS__)

// One array of bytes for all: CUDA does not let `extern __shared__` arrays of two types share a name.
#define DYNAMIC_SHARED_MEMORY(type, name)                                  \
    extern __shared__ __align__(16) unsigned char dynamic_shared_memory[]; \
    type* name = reinterpret_cast<type*>(dynamic_shared_memory)
