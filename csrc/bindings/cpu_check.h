// Can this CPU run the kernels? Asked when the module is imported, before any of them runs: an instruction that a CPU
// does not have ends the process, and with it the notebook.
#pragma once

#include <string>

namespace mt {

// The instruction sets that csrc/cpu was compiled for and this CPU lacks, separated by spaces; empty if it has them all.
std::string missing_cpu_features();

// Throws pybind11::import_error, which says what is missing and how to rebuild.
void require_cpu_features();

}  // namespace mt
