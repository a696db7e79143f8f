// Can this CPU run the kernels? Asked when the module is imported, before any of them runs: an instruction that a CPU
// does not have ends the process, and with it the notebook.
#pragma once

#include <string>

namespace mt {

// Why this CPU cannot run what csrc/cpu was compiled to, and how to rebuild; empty if it can.
std::string cpu_problem();

}  // namespace mt
