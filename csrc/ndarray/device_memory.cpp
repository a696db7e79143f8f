#include "device_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "error.h"
#include "simt_library.h"
#ifdef MYTENSOR_WITH_CUDA
#include "../cuda/runtime/memory.h"
#endif

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

#ifndef MYTENSOR_WITH_CUDA
[[noreturn]] void throw_no_cuda() {
    throw NotSupported(
        "device 'cuda': mytensor was built without CUDA; install the CUDA toolkit (nvcc) and build again, or use "
        "device 'simt', which runs the same kernels on the CPU");
}
#endif

}  // namespace

void* system_allocate(Device device, size_t bytes) {
    if (device == Device::simt) return simt_emulator().allocate(bytes);
    if (device == Device::cuda) {
#ifdef MYTENSOR_WITH_CUDA
        return cuda::allocate(bytes);
#else
        throw_no_cuda();
#endif
    }
    void* data = nullptr;
    return posix_memalign(&data, kAlignment, bytes) == 0 ? data : nullptr;
}

void system_free(Device device, void* data) noexcept {
    if (device == Device::simt) return simt_emulator().release(data);
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) return cuda::free(data);
#endif
    std::free(data);
}

size_t total_memory(Device device) {
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) return cuda::total_memory();
#endif
    (void)device;  // the emulator's memory is the machine's
    return machine_memory();
}

void fill_bytes(Device device, void* data, unsigned char byte, size_t bytes) {
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) return cuda::fill_bytes(data, byte, bytes);
#endif
    (void)device;
    std::memset(data, byte, bytes);
}

void copy_bytes(Device to_device, void* to, Device from_device, const void* from, size_t bytes) {
    if (bytes == 0) return;
#ifdef MYTENSOR_WITH_CUDA
    if (to_device == Device::cuda || from_device == Device::cuda) {
        cuda::copy_bytes(to, from, bytes);
    } else
#endif
        std::memcpy(to, from, bytes);
    if (from_device == Device::simt && to_device == Device::simt)
        simt_emulator().copy_written(to, from, bytes);
    else if (to_device == Device::simt)
        simt_emulator().mark_written(to, bytes);
}

void synchronize(Device device) {
#ifdef MYTENSOR_WITH_CUDA
    if (device == Device::cuda) return cuda::synchronize();
#endif
    (void)device;  // kernels of the other devices have ended when their op returns
}

}  // namespace mt
