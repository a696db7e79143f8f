// Where an NDArray's numbers live, and whose kernels work on them.
#pragma once

#include <cstdint>
#include <string>

namespace mt {

enum class Device : uint8_t { cpu };

const char* name_of(Device device);

// "cpu" -> Device::cpu. Throws ValueError with the devices there are.
Device parse_device(const std::string& text);

}  // namespace mt
