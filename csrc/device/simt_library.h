// The emulator and its builds of the kernels are shared libraries beside the package, loaded on first use: they are
// compiled in ways (-fsanitize=thread) that the extension itself must not be.
//
//   mytensor/_simt/libmytensor_simt.so              the emulator (csrc/simt/*.cpp)
//   mytensor/_simt/libmytensor_kernels_fast.so      csrc/cuda/*.cu, optimised
//   mytensor/_simt/libmytensor_kernels_watched.so   csrc/cuda/*.cu, reporting every access of memory
#pragma once

#include <string>

#include "../simt/emulator.h"

namespace mt {

class DeviceLadder;

// Throws NotSupported with the reason when there is no emulator.
simt::Emulator& simt_emulator();

// The ladders (ops/ladder.h) of the library that the emulator's settings ask for: the watched build when something
// watches or records, else the fast.
const DeviceLadder* simt_ladders();

// Why device simt does not work; empty: it does.
const std::string& simt_problem();

// Opens a library of kernels built as the project's own are (tests, notebooks) and finds a function in it.
void* simt_function(const std::string& library, const std::string& function);

}  // namespace mt
