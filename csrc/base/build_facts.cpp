#include "build_facts.h"

#include "mytensor_build_facts.h"  // written by setup.py into the build folder

namespace mt {

const BuildFacts& build_facts() {
    static constexpr BuildFacts facts = {
        MYTENSOR_BUILD_SOURCE_HASH,
        MYTENSOR_BUILD_COMPILER,
        MYTENSOR_BUILD_FLAGS,
        MYTENSOR_BUILD_KERNEL_FLAGS,
        MYTENSOR_BUILD_ARCH,
        MYTENSOR_BUILD_CPU_FEATURES,
        MYTENSOR_BUILD_SIMT_PROBLEM,
        MYTENSOR_BUILD_SIMT_FLAGS,
#ifdef MYTENSOR_WITH_CUDA
        MYTENSOR_BUILD_CUDA,
#else
        nullptr,
#endif
        MYTENSOR_BUILD_CUDA_ARCHITECTURES,
    };
    return facts;
}

}  // namespace mt
