#include "allocator.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "error.h"

namespace mt {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kRedZone = 4096;  // wide enough for an index that is off by a row, not only by one element
constexpr unsigned char kRedByte = 0xA5;
constexpr unsigned char kPoisonByte = 0xFF;  // four or eight of them are a NaN

struct State {
    std::mutex mutex;
    MemoryMode mode = MemoryMode::caching;
    MemoryStats stats;
    std::map<size_t, std::vector<void*>> cache;  // capacity -> free blocks of that capacity
    std::map<void*, size_t> debug_blocks;        // live blocks of the debug mode: data -> bytes asked for
    std::string damage;                          // what check_red_zones will report of blocks already freed
};

// Never destroyed: storages owned by Python objects may be freed after static destructors have run.
State& state() {
    static State* instance = new State;
    return *instance;
}

size_t round_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

// Four size classes to each power of two: at most a quarter of a block is unused, and requests of similar size share
// blocks.
size_t size_class(size_t bytes) {
    bytes = std::max(bytes, kAlignment);
    size_t power = kAlignment;
    while (power * 2 <= bytes) power *= 2;
    return round_up(bytes, std::max(power / 4, kAlignment));
}

// What this process may use: the machine's memory, or the container's limit where that is smaller.
size_t machine_memory() {
    static const size_t bytes = [] {
        size_t total = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
        std::ifstream limit_file("/sys/fs/cgroup/memory.max");
        size_t limit = 0;
        if (limit_file >> limit) total = std::min(total, limit);
        return total;
    }();
    return bytes;
}

std::string mebibytes(size_t bytes) { return message(bytes / (1024 * 1024), " MiB"); }

void release_cache_locked(State& s) {
    for (auto& [capacity, blocks] : s.cache) {
        for (void* data : blocks) std::free(data);
        s.stats.reserved -= capacity * blocks.size();
    }
    s.cache.clear();
}

[[noreturn]] void throw_out_of_memory(const State& s, size_t bytes) {
    throw OutOfMemory(
        message("out of memory: asked for ", mebibytes(bytes), " more; mytensor holds ", mebibytes(s.stats.allocated),
                " in use and ", mebibytes(s.stats.reserved - s.stats.allocated), " cached; this machine has ",
                mebibytes(machine_memory()), ". Use smaller shapes or batches, or delete arrays you no longer need."));
}

void* system_allocate(State& s, size_t bytes) {
    if (bytes > machine_memory() || s.stats.reserved + bytes > machine_memory()) {
        release_cache_locked(s);
        if (s.stats.reserved + bytes > machine_memory() || bytes > machine_memory()) throw_out_of_memory(s, bytes);
    }
    void* data = nullptr;
    if (posix_memalign(&data, kAlignment, bytes) != 0) {
        release_cache_locked(s);
        if (posix_memalign(&data, kAlignment, bytes) != 0) throw_out_of_memory(s, bytes);
    }
    return data;
}

void count_allocation(State& s, size_t capacity) {
    s.stats.allocations++;
    s.stats.allocated += capacity;
    s.stats.peak_allocated = std::max(s.stats.peak_allocated, s.stats.allocated);
    s.stats.peak_reserved = std::max(s.stats.peak_reserved, s.stats.reserved);
}

// Empty when both red zones are whole, else a sentence that says where the first damage is.
std::string damage_of(const void* data, size_t bytes) {
    const auto* begin = static_cast<const unsigned char*>(data);
    for (size_t i = 1; i <= kRedZone; i++) {
        if (*(begin - i) != kRedByte)
            return message("a kernel wrote ", i, " bytes before the start of a block of ", bytes, " bytes");
    }
    for (size_t i = 0; i < kRedZone; i++) {
        if (begin[bytes + i] != kRedByte)
            return message("a kernel wrote ", i, " bytes past the end of a block of ", bytes, " bytes");
    }
    return "";
}

Block allocate_debug(State& s, size_t bytes) {
    const size_t capacity = bytes + 2 * kRedZone;
    auto* start = static_cast<unsigned char*>(system_allocate(s, capacity));
    std::memset(start, kRedByte, capacity);
    std::memset(start + kRedZone, kPoisonByte, bytes);
    s.stats.reserved += capacity;
    count_allocation(s, capacity);
    s.debug_blocks[start + kRedZone] = bytes;
    return {start + kRedZone, bytes, capacity, MemoryMode::debug};
}

}  // namespace

Block allocate(size_t bytes) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    if (bytes > machine_memory()) throw_out_of_memory(s, bytes);  // before rounding, which could overflow
    if (s.mode == MemoryMode::debug) return allocate_debug(s, bytes);

    Block block{nullptr, bytes, size_class(bytes), s.mode};
    auto cached = s.cache.find(block.capacity);
    if (s.mode == MemoryMode::caching && cached != s.cache.end() && !cached->second.empty()) {
        block.data = cached->second.back();
        cached->second.pop_back();
        s.stats.cache_hits++;
    } else {
        block.data = system_allocate(s, block.capacity);
        s.stats.reserved += block.capacity;
    }
    count_allocation(s, block.capacity);
    return block;
}

void release(const Block& block) noexcept {
    State& s = state();
    std::lock_guard lock(s.mutex);
    s.stats.allocated -= block.capacity;
    if (block.mode == MemoryMode::debug) {
        if (s.damage.empty()) s.damage = damage_of(block.data, block.bytes);
        s.debug_blocks.erase(block.data);
        std::free(static_cast<unsigned char*>(block.data) - kRedZone);
        s.stats.reserved -= block.capacity;
    } else if (block.mode == MemoryMode::caching && s.mode == MemoryMode::caching) {
        s.cache[block.capacity].push_back(block.data);
    } else {
        std::free(block.data);
        s.stats.reserved -= block.capacity;
    }
}

MemoryMode memory_mode() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    return s.mode;
}

void set_memory_mode(MemoryMode mode) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    if (mode != MemoryMode::caching) release_cache_locked(s);
    s.mode = mode;
}

MemoryStats memory_stats() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    return s.stats;
}

void reset_peak_memory_stats() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    s.stats.peak_allocated = s.stats.allocated;
    s.stats.peak_reserved = s.stats.reserved;
}

void empty_cache() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    release_cache_locked(s);
}

void check_red_zones() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    std::string damage = std::exchange(s.damage, "");
    for (const auto& [data, bytes] : s.debug_blocks) {
        if (damage.empty()) damage = damage_of(data, bytes);
    }
    if (!damage.empty())
        throw std::runtime_error("red zone damaged: " + damage + ". An index in that kernel leaves its output.");
}

}  // namespace mt
