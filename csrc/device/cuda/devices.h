// Which GPUs are there, and which CUDA versions? Asking never throws: a machine without a driver is a usual case.
#pragma once

#include <string>
#include <vector>

#include "explain.h"

namespace mt::cuda {

struct Description {
    int runtime_version;  // 1000 * major + 10 * minor, as CUDA counts; what the extension was built with
    int driver_version;   // the newest CUDA version the driver supports, counted alike; 0: no driver
    std::vector<Gpu> gpus;
    std::string problem;  // why the first of `gpus` cannot be used, or why there is none; empty: it can
};

Description describe();

// Throws NotSupported with the problem. Cheap from the second call on.
void require_gpu();

// Whether this process was forked from one that had already used the GPU: CUDA fails then, and must be left alone.
bool is_forked_child() noexcept;

}  // namespace mt::cuda
