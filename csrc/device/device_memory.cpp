#include "device_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../base/error.h"
#include "cuda/memory.h"
#include "cuda/streams.h"
#include "simt_library.h"

namespace mt {
namespace {

constexpr size_t kAlignment = 64;  // a cache line, and the widest vector register

// The machine's memory, or the container's limit where that is smaller.
size_t machine_memory() {
    static const size_t bytes = [] {
        size_t total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
        size_t limit = 0;
        if (std::FILE* limit_file = std::fopen("/sys/fs/cgroup/memory.max", "r")) {
            if (std::fscanf(limit_file, "%zu", &limit) == 1) total = std::min(total, limit);  // else it says "max"
            std::fclose(limit_file);
        }
        return total;
    }();
    return bytes;
}

}  // namespace

void* system_allocate(Device device, size_t bytes, bool is_pinned) {
    if (device == Device::simt) return simt_emulator().allocate(bytes);
    if (device == Device::cuda) return cuda::allocate(bytes);
    if (is_pinned) return cuda::allocate_pinned(bytes);
    void* data = nullptr;
    return posix_memalign(&data, kAlignment, bytes) == 0 ? data : nullptr;
}

void system_free(Device device, void* data, bool is_pinned) noexcept {
    if (device == Device::simt) return simt_emulator().release(data);
    if (device == Device::cuda) return cuda::free(data);
    if (is_pinned) return cuda::free_pinned(data);
    std::free(data);
}

// The emulator's memory is the machine's.
size_t total_memory(Device device) { return device == Device::cuda ? cuda::total_memory() : machine_memory(); }

void fill_bytes(Device device, void* data, unsigned char byte, size_t bytes) {
    if (device == Device::cuda) return cuda::fill_bytes(data, byte, bytes);
    std::memset(data, byte, bytes);
}

void copy_bytes(Device to_device, void* to, Device from_device, const void* from, size_t bytes) {
    if (bytes == 0) return;
    if (to_device == Device::cuda || from_device == Device::cuda) {
        cuda::queue_copy(to, from, bytes);
        if (to_device != from_device) cuda::synchronize_stream(cuda::current_stream());
    } else {
        std::memcpy(to, from, bytes);
    }
    if (from_device == Device::simt && to_device == Device::simt)
        simt_emulator().copy_written(to, from, bytes);
    else if (to_device == Device::simt)
        simt_emulator().mark_written(to, bytes);
}

void synchronize(Device device) {
    if (device == Device::cuda) cuda::synchronize();  // kernels of the other devices have ended when their op returns
}

}  // namespace mt
