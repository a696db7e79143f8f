// Which GPUs are there, and which CUDA versions? Never throws: a machine without a driver is a usual case.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mt::cuda {

struct Gpu {
    std::string name;
    int capability_major;
    int capability_minor;
    std::size_t total_memory;  // bytes
};

struct Description {
    int runtime_version;  // 1000 * major + 10 * minor, as CUDA counts; what the extension was built with
    int driver_version;   // the newest CUDA version the driver supports, counted alike; 0: no driver
    std::vector<Gpu> gpus;
    std::string problem;  // why `gpus` is empty; empty if it is not
};

Description describe();

}  // namespace mt::cuda
