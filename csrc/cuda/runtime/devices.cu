#include <cuda_runtime.h>

#include "devices.h"

namespace mt::cuda {

Description describe() {
    Description found{CUDART_VERSION, 0, {}, ""};
    if (cudaDriverGetVersion(&found.driver_version) != cudaSuccess) found.driver_version = 0;
    if (found.driver_version == 0) {
        found.problem = "no driver";
        return found;
    }
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    for (int device = 0; error == cudaSuccess && device < count; ++device) {
        cudaDeviceProp properties;
        error = cudaGetDeviceProperties(&properties, device);
        if (error == cudaSuccess)
            found.gpus.push_back({properties.name, properties.major, properties.minor, properties.totalGlobalMem});
    }
    if (error != cudaSuccess) {
        found.gpus.clear();
        found.problem = cudaGetErrorString(error);
        cudaGetLastError();  // forget it: the next CUDA call must not report this one
    } else if (count == 0) {
        found.problem = "no GPU";
    }
    return found;
}

}  // namespace mt::cuda
