#include <cuda_runtime.h>
#include <pthread.h>

#include <atomic>
#include <mutex>

#include "../../base/build_facts.h"
#include "../../base/error.h"
#include "devices.h"

namespace mt::cuda {
namespace {

std::atomic<bool> is_in_use{false};  // CUDA has been started in this process
std::atomic<bool> is_forked{false};

void note_use() {
    static std::once_flag once;
    std::call_once(once, [] {
        pthread_atfork(nullptr, nullptr, [] {
            if (is_in_use) is_forked = true;
        });
    });
    is_in_use = true;
}

Facts gather() {
    Facts facts;
    facts.runtime_version = CUDART_VERSION;
    facts.architectures = build_facts().cuda_architectures;
    facts.is_forked = is_forked;
    if (facts.is_forked) return facts;
    if (cudaDriverGetVersion(&facts.driver_version) != cudaSuccess) facts.driver_version = 0;
    if (facts.driver_version == 0) return facts;
    note_use();
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    for (int device = 0; error == cudaSuccess && device < count; ++device) {
        cudaDeviceProp properties;
        error = cudaGetDeviceProperties(&properties, device);
        if (error == cudaSuccess)
            facts.gpus.push_back({properties.name, properties.major, properties.minor, properties.totalGlobalMem});
    }
    if (error != cudaSuccess) {
        facts.gpus.clear();
        if (error != cudaErrorNoDevice) facts.error = cudaGetErrorString(error);
        cudaGetLastError();  // forget it: the next CUDA call must not report this one
    }
    return facts;
}

}  // namespace

Description describe() {
    Facts facts = gather();
    std::string problem = explain(facts);
    return {facts.runtime_version, facts.driver_version, std::move(facts.gpus), std::move(problem)};
}

void require_gpu() {
    static const std::string problem = describe().problem;
    if (is_forked) throw NotSupported("device 'cuda': " + describe().problem);
    require<NotSupported>(problem.empty(), "device 'cuda' is not there: ", problem,
                          "; device 'simt' runs the same kernels on the CPU");
}

bool is_forked_child() noexcept { return is_forked; }

}  // namespace mt::cuda
