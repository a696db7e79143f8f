// A build without CUDA: what the rest of the program calls is here all the same, and says so.
#ifndef MYTENSOR_WITH_CUDA
#include "../../base/error.h"
#include "devices.h"
#include "memory.h"
#include "nvtx.h"
#include "streams.h"

namespace mt::cuda {
namespace {

[[noreturn]] void throw_absent() {
    throw NotSupported(
        "device 'cuda': mytensor was built without CUDA; install the CUDA toolkit (nvcc) and build again, "
        "or use device 'simt', which runs the same kernels on the CPU");
}

}  // namespace

Description describe() { return {0, 0, {}, "built without CUDA"}; }
void require_gpu() { throw_absent(); }
bool is_forked_child() noexcept { return false; }

void* allocate(size_t) { throw_absent(); }
void free(void*) noexcept {}
void* allocate_pinned(size_t) { throw_absent(); }
void free_pinned(void*) noexcept {}
MemoryInfo memory_info() { throw_absent(); }
size_t total_memory() { throw_absent(); }
void fill_bytes(void*, unsigned char, size_t) { throw_absent(); }
void queue_copy(void*, const void*, size_t) { throw_absent(); }
void synchronize() { throw_absent(); }
int compute_capability() { throw_absent(); }

Stream current_stream() noexcept { return nullptr; }
void set_current_stream(Stream) noexcept {}
Stream new_stream(int) { throw_absent(); }
void synchronize_stream(Stream) { throw_absent(); }
bool is_done(Stream) { throw_absent(); }
void wait_for(Stream, Event) { throw_absent(); }
Event new_event(bool, bool) { throw_absent(); }
void free_event(Event) noexcept {}
void record(Event, Stream) { throw_absent(); }
bool has_happened(Event) { throw_absent(); }
void synchronize_event(Event) { throw_absent(); }
float elapsed_milliseconds(Event, Event) { throw_absent(); }

std::atomic<bool> annotates_ops{false};
bool has_nvtx() noexcept { return false; }
void push_range(const char*) noexcept {}
void pop_range() noexcept {}
void mark(const char*) noexcept {}

}  // namespace mt::cuda
#endif
