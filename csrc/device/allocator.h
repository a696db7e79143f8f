// Memory for storages. Asking the operating system for memory is slow: fresh pages must be zeroed and mapped, and
// a training step asks for the same few dozen sizes again and again. So the caching mode keeps freed blocks and hands
// them out again.
//
// Each device has a pool of its own, and so has the machine's pinned memory; the mode is the same for all. The
// emulator's memory (simt) is not cached in any mode: it stands alone between unmapped pages, so that a wrong index is
// seen, and a freed block is unmapped.
//
// On a GPU a block is freed while kernels that use it may still be queued. Whoever gets it next on the same stream
// comes after them, so a block goes back to the cache of the stream it was allocated for, at once. Uses on other
// streams are noted (note_use): then events mark, at its end, how far those streams must come, and the block waits for
// them. Pinned blocks, which copies read and write, wait for the copies alike.
//
//   caching  freed blocks are kept by size class and reused (the default)
//   plain    every request goes to the system, every free returns to it: what the caching mode is measured against
//   debug    as plain, and every block is filled with NaN before use and, on the CPU, stands between two red zones, so
//            that a kernel that leaves an element unwritten, or writes outside its output, is seen (check_red_zones)
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "cuda/streams.h"
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
    bool is_pinned = false;         // the machine's memory, pinned (device cpu)
    cuda::Stream stream = nullptr;  // device cuda: for which stream it was allocated
};

// For the current stream, on device cuda. Throws OutOfMemory with what was asked, what is held and what the device has.
Block allocate(size_t bytes, Device device, bool is_pinned = false);
void release(const Block& block) noexcept;

// A kernel or copy on `stream` uses the block of a GPU's or of pinned memory. Says nothing new, and costs nothing, for
// the stream that a GPU's block was allocated for.
void note_use(const Block& block, cuda::Stream stream);

// Waits until the uses noted for memory that is not the allocator's (a block of another library) are over.
void wait_for_uses(const Block& block) noexcept;

MemoryMode memory_mode();
void set_memory_mode(MemoryMode mode);
MemoryStats memory_stats(Device device, bool is_pinned = false);
void reset_peak_memory_stats(std::optional<Device> device = {});  // of all devices, or of one

// Returns the cached blocks to the system: of all devices, or of one. Device cuda: pinned memory too. Waits for the
// GPU.
void empty_cache(std::optional<Device> device = {});

// Throws std::runtime_error when a write outside a block of the debug mode was found, in a live block or in one freed
// since the last call.
void check_red_zones();

}  // namespace mt
