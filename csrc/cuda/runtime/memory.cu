#include <algorithm>
#include <string>

#include "../../ndarray/error.h"
#include "devices.h"
#include "errors.h"
#include "memory.h"

namespace mt::cuda {
namespace {

void require_gpu() {
    static const std::string problem = describe().problem;
    require<NotSupported>(problem.empty(), "device 'cuda' is not there: ", problem,
                          "; device 'simt' runs the same kernels on the CPU");
}

// Does nothing. Its attributes tell which of the architectures in this build the driver has chosen.
__global__ void built_for() {}

}  // namespace

void* allocate(size_t bytes) {
    require_gpu();
    void* data = nullptr;
    const cudaError_t error = cudaMalloc(&data, std::max<size_t>(bytes, 1));
    if (error == cudaErrorMemoryAllocation) {
        cudaGetLastError();  // forget it: the caller frees its cache and tries again
        return nullptr;
    }
    check(error, "cudaMalloc");
    return data;
}

// An error here is one that an earlier kernel left behind: the next call that can throw reports it.
void free(void* data) noexcept { cudaFree(data); }

size_t total_memory() {
    require_gpu();
    static const size_t bytes = [] {
        size_t free_bytes = 0, total = 0;
        check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
        return total;
    }();
    return bytes;
}

void fill_bytes(void* data, unsigned char byte, size_t bytes) { check(cudaMemset(data, byte, bytes), "cudaMemset"); }

void copy_bytes(void* to, const void* from, size_t bytes) {
    check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "cudaMemcpy");
}

void synchronize() { check(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }

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
