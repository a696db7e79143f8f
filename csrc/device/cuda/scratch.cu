#include <map>
#include <mutex>

#include "../allocator.h"
#include "scratch.h"

namespace mt {
namespace {

struct Live {
    std::mutex mutex;
    std::map<void*, Block> blocks;
};

Live& live() {
    static auto* instance = new Live;
    return *instance;
}

}  // namespace

void* allocate_scratch(size_t bytes) {
    const Block block = allocate(bytes, Device::cuda);
    std::lock_guard lock(live().mutex);
    live().blocks[block.data] = block;
    return block.data;
}

// The block goes back to the cache while its kernel may still run. Whoever gets it next launches on the same stream, so
// after that kernel.
void release_scratch(void* data) noexcept {
    std::lock_guard lock(live().mutex);
    const auto found = live().blocks.find(data);
    release(found->second);
    live().blocks.erase(found);
}

}  // namespace mt
