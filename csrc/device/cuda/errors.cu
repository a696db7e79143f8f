#include <cstdlib>
#include <string>

#include "../../base/error.h"
#include "devices.h"
#include "errors.h"
#include "launch_notes.h"

namespace mt::cuda {
namespace {

// After these, every call of the process fails.
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
        case cudaErrorECCUncorrectable:
            return true;
        default:
            return false;
    }
}

// Errors that say, in CUDA's own words, that this build and this machine do not go together.
bool is_mismatch(cudaError_t error) {
    switch (error) {
        case cudaErrorInsufficientDriver:
        case cudaErrorNoKernelImageForDevice:
        case cudaErrorInvalidKernelImage:
        case cudaErrorUnsupportedPtxVersion:
        case cudaErrorInvalidPtx:
        case cudaErrorJitCompilerNotFound:
        case cudaErrorInvalidDeviceFunction:
        case cudaErrorSystemDriverMismatch:
        case cudaErrorCompatNotSupportedOnDevice:
            return true;
        default:
            return false;
    }
}

bool launches_block() {
    static const bool blocks = [] {
        const char* value = std::getenv("CUDA_LAUNCH_BLOCKING");
        return value != nullptr && *value != '\0' && std::string(value) != "0";
    }();
    return blocks;
}

std::string text_of(cudaError_t error, const char* call) {
    return message(call, ": ", cudaGetErrorString(error), " (", cudaGetErrorName(error), ").");
}

std::string mismatch(cudaError_t error) {
    if (is_forked_child()) return "\n" + describe().problem + ".";
    if (!is_mismatch(error)) return "";
    const std::string why = describe().problem;
    return why.empty() ? "\nThe kernels of this build do not run on this GPU: build mytensor again on this machine."
                       : "\n" + why + ".";
}

constexpr const char* kLost =
    "\nThe GPU's state is lost: restart Python. Device 'simt' runs the same kernels and names the thread and the line.";

std::string suspects() {
    const std::string launches = latest_launches();
    return launches.empty() ? launches : "\nThe kernels launched last, the latest first:" + launches;
}

}  // namespace

void check(cudaError_t error, const char* call) {
    if (error == cudaSuccess) return;
    cudaGetLastError();  // an error that is not sticky must not be reported twice
    std::string text = text_of(error, call) + mismatch(error) + suspects();
    if (is_sticky(error)) {
        text += kLost;
        if (!launches_block())
            text +=
                " CUDA_LAUNCH_BLOCKING=1 in the environment, set before Python starts, "
                "makes the error appear at the launch that causes it.";
    }
    throw CudaError(text);
}

void check_launch(cudaError_t error, cudaStream_t stream) {
    const bool waits = error == cudaSuccess && launches_block();
    if (waits) error = cudaStreamSynchronize(stream);
    if (error == cudaSuccess) return;
    // The launch itself was refused, or it alone can have failed; else an earlier kernel's error shows here.
    if (is_sticky(error) && !launches_block()) check(error, "launch");
    cudaGetLastError();
    throw CudaError(text_of(error, "launch") + mismatch(error) + "\nThe kernel:" + latest_launches(1) +
                    (is_sticky(error) ? kLost : ""));
}

}  // namespace mt::cuda
