// Raw memory on each device: where the allocator gets its blocks, and how bytes get from one device to another.
#pragma once

#include <cstddef>

#include "device.h"

namespace mt {

// nullptr when the device has no such block left. Throws NotSupported when this build or machine lacks the device (or,
// for pinned memory of the CPU, a GPU).
void* system_allocate(Device device, size_t bytes, bool is_pinned = false);
void system_free(Device device, void* data, bool is_pinned = false) noexcept;

// Bytes that this process may use there.
size_t total_memory(Device device);

// Every byte of the block becomes `byte`.
void fill_bytes(Device device, void* data, unsigned char byte, size_t bytes);

// The CPU waits for the copy (and, on cuda, for what the current stream was given before it). A copy within a GPU is
// queued on the current stream like a kernel.
void copy_bytes(Device to_device, void* to, Device from_device, const void* from, size_t bytes);

// Waits for all kernels of the device.
void synchronize(Device device);

}  // namespace mt
