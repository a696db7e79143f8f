// What setup.py decided when this extension was built.
#pragma once

namespace mt {

struct BuildFacts {
    const char* source_hash;   // of csrc/, as mytensor/_build_check.py computes it
    const char* compiler;      // its name and version
    const char* flags;         // of every source
    const char* kernel_flags;  // of csrc/cpu besides
    const char* arch;          // what csrc/cpu was compiled for: -march's value, or "baseline"
    const char* cpu_features;  // the instruction sets that csrc/cpu may use, separated by spaces
    const char* simt_problem;  // why there is no emulator; empty: it was built
    const char* simt_flags;    // of the emulator's builds of the kernels: fast, and after a | watched
    const char* cuda;          // the CUDA compiler's version and the GPU architectures; nullptr: built without CUDA
    const char* cuda_architectures;  // these alone, such as "80 90"
};

const BuildFacts& build_facts();

}  // namespace mt
