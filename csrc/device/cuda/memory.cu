#include <cuda_runtime.h>

#include <algorithm>

#include "../../base/error.h"
#include "devices.h"
#include "errors.h"
#include "memory.h"
#include "streams.h"

namespace mt::cuda {
namespace {

cudaStream_t stream() { return static_cast<cudaStream_t>(current_stream()); }

// nullptr for "no memory left": the caller frees its cache and tries again.
void* pointer_or_null(void* data, cudaError_t error, const char* call) {
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        return nullptr;
    }
    check(error, call);
    return data;
}

// Does nothing. Its attributes tell which of the architectures in this build the driver has chosen.
__global__ void built_for() {}

}  // namespace

void* allocate(size_t bytes) {
    require_gpu();
    void* data = nullptr;
    const cudaError_t error = cudaMalloc(&data, std::max<size_t>(bytes, 1));
    return pointer_or_null(data, error, "cudaMalloc");
}

// Kernels that use the block may still run, on any stream. An error here is one that an earlier kernel left behind: the
// next call that can throw reports it.
void free(void* data) noexcept {
    if (is_forked_child()) return;
    cudaDeviceSynchronize();
    cudaFree(data);
}

void* allocate_pinned(size_t bytes) {
    require_gpu();
    void* data = nullptr;
    const cudaError_t error = cudaHostAlloc(&data, std::max<size_t>(bytes, 1), cudaHostAllocDefault);
    return pointer_or_null(data, error, "cudaHostAlloc");
}

void free_pinned(void* data) noexcept {
    if (is_forked_child()) return;
    cudaDeviceSynchronize();
    cudaFreeHost(data);
}

MemoryInfo memory_info() {
    require_gpu();
    MemoryInfo info{0, 0};
    check(cudaMemGetInfo(&info.free, &info.total), "cudaMemGetInfo");
    return info;
}

size_t total_memory() {
    require_gpu();
    static const size_t bytes = memory_info().total;
    return bytes;
}

void fill_bytes(void* data, unsigned char byte, size_t bytes) {
    require_gpu();
    check(cudaMemsetAsync(data, byte, bytes, stream()), "cudaMemsetAsync");
}

void queue_copy(void* to, const void* from, size_t bytes) {
    require_gpu();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream()), "cudaMemcpyAsync");
}

void synchronize() {
    require_gpu();
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

int compute_capability() {
    require_gpu();
    static const int capability = [] {
        int device = 0, major = 0, minor = 0;
        check(cudaGetDevice(&device), "cudaGetDevice");
        check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
        check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
        cudaFuncAttributes attributes;
        const cudaError_t error = cudaFuncGetAttributes(&attributes, built_for);
        require<NotSupported>(error != cudaErrorNoKernelImageForDevice,
                              "device 'cuda': the GPU has compute capability ", major, ".", minor,
                              ", and mytensor_backend was built for others; build it again where ",
                              "this GPU is, or with MYTENSOR_CUDA_ARCHS=", major, minor);
        check(error, "cudaFuncGetAttributes");
        return std::min(10 * major + minor, attributes.ptxVersion);
    }();
    return capability;
}

}  // namespace mt::cuda
