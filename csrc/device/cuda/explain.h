// Why device cuda does not work here, for a reader who wants to know what to do. Plain facts in, a sentence out, so
// that every case can be tested on any machine.
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

struct Facts {
    int runtime_version = 0;    // 1000 * major + 10 * minor, as CUDA counts: the toolkit the extension was built with
    int driver_version = 0;     // the newest CUDA version the driver supports, counted alike; 0: no driver
    std::string architectures;  // what the kernels were compiled for: "80 90", and PTX of the last
    std::vector<Gpu> gpus;
    std::string error;       // what CUDA said when it was asked for the GPUs; empty: nothing
    bool is_forked = false;  // this process was forked from one that had used the GPU
};

// "13.0" of 13000.
std::string version_text(int version);

// Empty if the first GPU runs the kernels.
std::string explain(const Facts& facts);

}  // namespace mt::cuda
