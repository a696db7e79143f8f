// Where an NDArray's numbers live, and whose kernels work on them.
//
//   cpu    the machine's own memory; kernels in csrc/cpu
//   cuda   a GPU's memory; kernels in csrc/cuda, built by nvcc
//   simt   memory of the emulator (csrc/simt), which runs the same kernels of csrc/cuda on the CPU, thread by thread
#pragma once

#include <cstdint>
#include <string>

namespace mt {

enum class Device : uint8_t { cpu, cuda, simt };

constexpr Device kDevices[] = {Device::cpu, Device::cuda, Device::simt};

const char* name_of(Device device);

// "cpu" -> Device::cpu. Throws ValueError with the devices there are.
Device parse_device(const std::string& text);

}  // namespace mt
