// NVTX: names for stretches of time, which a profiler shows. Nothing happens where none listens; nothing is there in a
// build without CUDA or without NVTX's headers.
#pragma once

#include <atomic>

namespace mt::cuda {

bool has_nvtx() noexcept;
void push_range(const char* name) noexcept;  // of this thread
void pop_range() noexcept;
void mark(const char* name) noexcept;

// Whether each op that Python calls stands in a range of its name (bindings/op_scope.h).
extern std::atomic<bool> annotates_ops;

}  // namespace mt::cuda
