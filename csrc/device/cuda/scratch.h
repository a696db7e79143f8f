// Scratch memory of the launchers (launch.h), from the caching allocator.
#pragma once

#include <cstddef>

namespace mt {

void* allocate_scratch(size_t bytes);
void release_scratch(void* data) noexcept;

}  // namespace mt
