#include "nvtx.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define MT_NVTX 1
#else
#define MT_NVTX 0
#endif

namespace mt::cuda {

std::atomic<bool> annotates_ops{false};

bool has_nvtx() noexcept { return MT_NVTX != 0; }

#if MT_NVTX
void push_range(const char* name) noexcept { nvtxRangePushA(name); }
void pop_range() noexcept { nvtxRangePop(); }
void mark(const char* name) noexcept { nvtxMarkA(name); }
#else
void push_range(const char*) noexcept {}
void pop_range() noexcept {}
void mark(const char*) noexcept {}
#endif

}  // namespace mt::cuda
