#include <algorithm>
#include <array>
#include <mutex>
#include <string>

#include "../../ndarray/error.h"
#include "errors.h"

namespace mt::cuda {
namespace {

struct Launch {
    const char* arguments = nullptr;
    dim3 grid, block;
    size_t shared_bytes = 0;
};

struct Recent {
    std::mutex mutex;
    std::array<Launch, 4> launches;  // a ring
    size_t count = 0;
};

Recent& recent() {
    static auto* instance = new Recent;
    return *instance;
}

std::string text_of(dim3 size) { return message("(", size.x, ", ", size.y, ", ", size.z, ")"); }

std::string recent_launches() {
    Recent& r = recent();
    std::lock_guard lock(r.mutex);
    std::string text;
    for (size_t i = 0; i < std::min(r.count, r.launches.size()); i++) {
        const Launch& launch = r.launches[(r.count - 1 - i) % r.launches.size()];
        text += message("\n  launch(", launch.arguments, ") with grid ", text_of(launch.grid), ", block ",
                        text_of(launch.block), ", ", launch.shared_bytes, " bytes of dynamic shared memory");
    }
    return text.empty() ? text : "\nThe kernels launched last, the latest first:" + text;
}

bool is_sticky(cudaError_t error) {
    switch (error) {
        case cudaErrorIllegalAddress:
        case cudaErrorLaunchFailure:
        case cudaErrorAssert:
        case cudaErrorIllegalInstruction:
        case cudaErrorMisalignedAddress:
        case cudaErrorInvalidAddressSpace:
        case cudaErrorInvalidPc:
        case cudaErrorHardwareStackError:
        case cudaErrorLaunchTimeout:
            return true;
        default:
            return false;
    }
}

}  // namespace

void check(cudaError_t error, const char* call) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // an error that is not sticky must not be reported twice
    throw CudaError(message(call, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ").",
                            recent_launches(),
                            is_sticky(error) ? "\nThe GPU's state is lost: restart Python. Device 'simt' runs the same "
                                               "kernels and names the thread and the line."
                                             : ""));
}

void note_launch(const char* arguments, dim3 grid, dim3 block, size_t shared_bytes) {
    Recent& r = recent();
    std::lock_guard lock(r.mutex);
    r.launches[r.count++ % r.launches.size()] = {arguments, grid, block, shared_bytes};
}

}  // namespace mt::cuda
