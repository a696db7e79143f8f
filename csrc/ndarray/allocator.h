// Memory for storages. Asking the operating system for memory is slow: fresh pages must be zeroed and mapped, and
// a training step asks for the same few dozen sizes again and again. So the caching mode keeps freed blocks and hands
// them out again.
//
// Each device has a pool of its own; the mode is the same for all. The emulator's memory (simt) is not cached in any
// mode: it stands alone between unmapped pages, so that a wrong index is seen, and a freed block is unmapped.
//
//   caching  freed blocks are kept by size class and reused (the default)
//   plain    every request goes to the system, every free returns to it: what the caching mode is measured against
//   debug    as plain, and every block is filled with NaN before use and, on the CPU, stands between two red zones, so
//            that a kernel that leaves an element unwritten, or writes outside its output, is seen (check_red_zones)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "device.h"

namespace mt {

enum class MemoryMode : uint8_t { caching, plain, debug };

struct MemoryStats {
    size_t allocated = 0;       // bytes in live blocks, rounded up to their size class
    size_t reserved = 0;        // bytes held from the system: allocated, plus what the cache keeps
    size_t peak_allocated = 0;  // highest values since the last reset
    size_t peak_reserved = 0;
    uint64_t allocations = 0;  // requests served
    uint64_t cache_hits = 0;   // of these, served from the cache
};

struct Block {
    void* data = nullptr;  // aligned to 64 bytes: a cache line, and the widest vector register
    size_t bytes = 0;      // what was asked for
    size_t capacity = 0;   // what the block holds: its size class
    MemoryMode mode = MemoryMode::caching;
    Device device = Device::cpu;
};

// Throws OutOfMemory with what was asked, what is held and what the device has.
Block allocate(size_t bytes, Device device);
void release(const Block& block) noexcept;

MemoryMode memory_mode();
void set_memory_mode(MemoryMode mode);
MemoryStats memory_stats(Device device);
void reset_peak_memory_stats();

// Returns the cached blocks to the system.
void empty_cache();

// Throws std::runtime_error when a write outside a block of the debug mode was found, in a live block or in one freed
// since the last call.
void check_red_zones();

}  // namespace mt
