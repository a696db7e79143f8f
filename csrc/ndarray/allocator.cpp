#include "allocator.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "device_memory.h"
#include "error.h"

namespace mt {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kRedZone = 4096;  // wide enough for an index that is off by a row, not only by one element
constexpr unsigned char kRedByte = 0xA5;
constexpr unsigned char kPoisonByte = 0xFF;  // four or eight of them are a NaN

// The blocks of one device.
struct Pool {
    Device device;
    MemoryStats stats;
    std::map<size_t, std::vector<void*>> cache;  // capacity -> free blocks of that capacity
};

struct State {
    std::mutex mutex;
    MemoryMode mode = MemoryMode::caching;
    Pool pools[3] = {{Device::cpu, {}, {}}, {Device::cuda, {}, {}}, {Device::simt, {}, {}}};
    std::map<void*, size_t> debug_blocks;  // live blocks of the debug mode on the CPU: data -> bytes asked for
    std::string damage;                    // what check_red_zones will report of blocks already freed
};

// Never destroyed: storages owned by Python objects may be freed after static destructors have run.
State& state() {
    static State* instance = new State;
    return *instance;
}

Pool& pool_of(State& s, Device device) { return s.pools[static_cast<size_t>(device)]; }

size_t round_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

// Four size classes to each power of two: at most a quarter of a block is unused, and requests of similar size share
// blocks.
size_t size_class(size_t bytes) {
    bytes = std::max(bytes, kAlignment);
    size_t power = kAlignment;
    while (power * 2 <= bytes) power *= 2;
    return round_up(bytes, std::max(power / 4, kAlignment));
}

std::string mebibytes(size_t bytes) { return message(bytes / (1024 * 1024), " MiB"); }

void release_cache_locked(Pool& pool) {
    for (auto& [capacity, blocks] : pool.cache) {
        for (void* data : blocks) system_free(pool.device, data);
        pool.stats.reserved -= capacity * blocks.size();
    }
    pool.cache.clear();
}

[[noreturn]] void throw_out_of_memory(const Pool& pool, size_t bytes) {
    const MemoryStats& stats = pool.stats;
    throw OutOfMemory(message("out of memory: asked for ", mebibytes(bytes), " more on ", name_of(pool.device),
                              "; mytensor holds ", mebibytes(stats.allocated), " in use and ",
                              mebibytes(stats.reserved - stats.allocated), " cached; this machine has ",
                              mebibytes(total_memory(pool.device)),
                              ". Use smaller shapes or batches, or delete arrays you no longer need."));
}

void* allocate_or_throw(Pool& pool, size_t bytes) {
    const size_t total = total_memory(pool.device);
    if (bytes > total || pool.stats.reserved + bytes > total) {
        release_cache_locked(pool);
        if (bytes > total || pool.stats.reserved + bytes > total) throw_out_of_memory(pool, bytes);
    }
    void* data = system_allocate(pool.device, bytes);
    if (data == nullptr) {
        release_cache_locked(pool);
        data = system_allocate(pool.device, bytes);
        if (data == nullptr) throw_out_of_memory(pool, bytes);
    }
    return data;
}

void count_allocation(MemoryStats& stats, size_t capacity) {
    stats.allocations++;
    stats.allocated += capacity;
    stats.peak_allocated = std::max(stats.peak_allocated, stats.allocated);
    stats.peak_reserved = std::max(stats.peak_reserved, stats.reserved);
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

Block allocate_between_red_zones(State& s, size_t bytes) {
    Pool& pool = pool_of(s, Device::cpu);
    const size_t capacity = bytes + 2 * kRedZone;
    auto* start = static_cast<unsigned char*>(allocate_or_throw(pool, capacity));
    std::memset(start, kRedByte, capacity);
    std::memset(start + kRedZone, kPoisonByte, bytes);
    pool.stats.reserved += capacity;
    count_allocation(pool.stats, capacity);
    s.debug_blocks[start + kRedZone] = bytes;
    return {start + kRedZone, bytes, capacity, MemoryMode::debug, Device::cpu};
}

// Exactly `bytes`, of the device's own allocator.
Block allocate_plain(Pool& pool, size_t bytes, MemoryMode mode) {
    Block block{allocate_or_throw(pool, bytes), bytes, bytes, mode, pool.device};
    if (mode == MemoryMode::debug) fill_bytes(pool.device, block.data, kPoisonByte, bytes);
    pool.stats.reserved += bytes;
    count_allocation(pool.stats, bytes);
    return block;
}

}  // namespace

Block allocate(size_t bytes, Device device) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    Pool& pool = pool_of(s, device);
    if (device == Device::cpu && s.mode == MemoryMode::debug) {
        if (bytes > total_memory(device)) throw_out_of_memory(pool, bytes);  // before adding, which could overflow
        return allocate_between_red_zones(s, bytes);
    }
    if (device == Device::simt || s.mode == MemoryMode::debug) return allocate_plain(pool, bytes, s.mode);

    if (bytes > total_memory(device)) throw_out_of_memory(pool, bytes);  // before rounding, which could overflow
    Block block{nullptr, bytes, size_class(bytes), s.mode, device};
    auto cached = pool.cache.find(block.capacity);
    if (s.mode == MemoryMode::caching && cached != pool.cache.end() && !cached->second.empty()) {
        block.data = cached->second.back();
        cached->second.pop_back();
        pool.stats.cache_hits++;
    } else {
        block.data = allocate_or_throw(pool, block.capacity);
        pool.stats.reserved += block.capacity;
    }
    count_allocation(pool.stats, block.capacity);
    return block;
}

void release(const Block& block) noexcept {
    State& s = state();
    std::lock_guard lock(s.mutex);
    Pool& pool = pool_of(s, block.device);
    pool.stats.allocated -= block.capacity;
    const bool has_red_zones = block.mode == MemoryMode::debug && block.device == Device::cpu;
    const bool is_kept =
        block.mode == MemoryMode::caching && s.mode == MemoryMode::caching && block.device != Device::simt;
    if (is_kept) {
        pool.cache[block.capacity].push_back(block.data);
        return;
    }
    pool.stats.reserved -= block.capacity;
    if (has_red_zones) {
        if (s.damage.empty()) s.damage = damage_of(block.data, block.bytes);
        s.debug_blocks.erase(block.data);
        system_free(Device::cpu, static_cast<unsigned char*>(block.data) - kRedZone);
    } else {
        system_free(block.device, block.data);
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
    if (mode != MemoryMode::caching) {
        for (Pool& pool : s.pools) release_cache_locked(pool);
    }
    s.mode = mode;
}

MemoryStats memory_stats(Device device) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    return pool_of(s, device).stats;
}

void reset_peak_memory_stats() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    for (Pool& pool : s.pools) {
        pool.stats.peak_allocated = pool.stats.allocated;
        pool.stats.peak_reserved = pool.stats.reserved;
    }
}

void empty_cache() {
    State& s = state();
    std::lock_guard lock(s.mutex);
    for (Pool& pool : s.pools) release_cache_locked(pool);
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
