#include "allocator.h"

#include <pthread.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "cuda/memory.h"
#include "device_memory.h"

namespace mt {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLargestStep = size_t{16} << 20;
constexpr size_t kRedZone = 4096;  // wide enough for an index that is off by a row, not only by one element
constexpr unsigned char kRedByte = 0xA5;
constexpr unsigned char kPoisonByte = 0xFF;  // four or eight of them are a NaN

// A freed block that other streams still use, until these events have happened.
struct Waiting {
    Block block;
    std::vector<cuda::Event> events;
};

// The blocks of one kind of memory.
struct Pool {
    Device device;
    bool is_pinned;
    MemoryStats stats = {};
    std::map<std::pair<cuda::Stream, size_t>, std::vector<void*>> cache = {};  // stream, capacity -> free blocks
    std::vector<Waiting> waiting = {};
};

struct State {
    std::mutex mutex;
    MemoryMode mode = MemoryMode::caching;
    Pool pools[4] = {{Device::cpu, false}, {Device::cuda, false}, {Device::simt, false}, {Device::cpu, true}};
    std::map<const void*, std::vector<cuda::Stream>> uses;  // live blocks -> the streams that note_use named
    std::map<void*, size_t> debug_blocks;                   // of the debug mode, on the CPU: data -> bytes asked for
    std::string damage;                                     // what check_red_zones will report of blocks already freed
};

// Never destroyed: storages owned by Python objects may be freed after static destructors have run. A fork while
// another thread allocates must not leave the child with a lock that nobody opens.
State& state() {
    static State* instance = [] {
        static auto* made = new State;
        pthread_atfork([] { made->mutex.lock(); }, [] { made->mutex.unlock(); }, [] { made->mutex.unlock(); });
        return made;
    }();
    return *instance;
}

Pool& pool_of(State& s, Device device, bool is_pinned = false) {
    return s.pools[is_pinned ? 3 : static_cast<size_t>(device)];
}

// The pools that a request for one device (or for all) means.
bool is_meant(const Pool& pool, std::optional<Device> device) {
    return !device || pool.device == *device || (pool.is_pinned && *device == Device::cuda);
}

size_t round_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

// Four size classes to each power of two: at most a quarter of a block is unused, and requests of similar size share
// blocks. Large classes are kLargestStep apart, or a request for most of a GPU's memory would not fit once rounded up.
size_t size_class(size_t bytes) {
    bytes = std::max(bytes, kAlignment);
    size_t power = kAlignment;
    while (power * 2 <= bytes) power *= 2;
    return round_up(bytes, std::clamp(power / 4, kAlignment, kLargestStep));
}

std::string mebibytes(size_t bytes) { return message(bytes / (1024 * 1024), " MiB"); }

void keep(Pool& pool, const Block& block) { pool.cache[{block.stream, block.capacity}].push_back(block.data); }

// Takes in the waiting blocks whose uses are over.
void take_in_locked(Pool& pool) {
    for (size_t i = 0; i < pool.waiting.size();) {
        Waiting& waiting = pool.waiting[i];
        while (!waiting.events.empty() && cuda::has_happened(waiting.events.back())) {
            cuda::free_event(waiting.events.back());
            waiting.events.pop_back();
        }
        if (!waiting.events.empty()) {
            i++;
            continue;
        }
        keep(pool, waiting.block);
        pool.waiting.erase(pool.waiting.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

// Returns the bytes that went back to the system.
size_t release_cache_locked(Pool& pool) {
    for (const Waiting& waiting : pool.waiting) {
        for (cuda::Event event : waiting.events) cuda::synchronize_event(event);
    }
    take_in_locked(pool);
    const size_t before = pool.stats.reserved;
    for (auto& [key, blocks] : pool.cache) {
        for (void* data : blocks) system_free(pool.device, data, pool.is_pinned);
        pool.stats.reserved -= key.second * blocks.size();
    }
    pool.cache.clear();
    return before - pool.stats.reserved;
}

// returned: bytes of the cache that were given back first and did not suffice.
[[noreturn]] void throw_out_of_memory(const Pool& pool, size_t bytes, size_t returned) {
    const size_t cached = pool.stats.reserved - pool.stats.allocated + returned;
    std::string device = message("this machine has ", mebibytes(total_memory(pool.device)));
    if (pool.device == Device::cuda) {
        const cuda::MemoryInfo gpu = cuda::memory_info();
        device = message("the GPU has ", mebibytes(gpu.free), " free of ", mebibytes(gpu.total),
                         "; other programs and CUDA itself have the rest");
    }
    throw OutOfMemory(message("out of memory: asked for ", mebibytes(bytes), " more on ",
                              pool.is_pinned ? "cpu (pinned)" : name_of(pool.device), "; mytensor holds ",
                              mebibytes(pool.stats.allocated), " in use and had ", mebibytes(cached),
                              " cached (given back before the last try); ", device,
                              ". Use smaller shapes or batches, or delete arrays you no longer need."));
}

void* allocate_or_throw(Pool& pool, size_t bytes) {
    const size_t total = total_memory(pool.device);
    size_t returned = 0;
    if (bytes > total || pool.stats.reserved + bytes > total) {
        returned = release_cache_locked(pool);
        if (bytes > total || pool.stats.reserved + bytes > total) throw_out_of_memory(pool, bytes, returned);
    }
    void* data = system_allocate(pool.device, bytes, pool.is_pinned);
    if (data == nullptr) {
        returned += release_cache_locked(pool);
        data = system_allocate(pool.device, bytes, pool.is_pinned);
        if (data == nullptr) throw_out_of_memory(pool, bytes, returned);
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
Block allocate_plain(Pool& pool, size_t bytes, MemoryMode mode, cuda::Stream stream) {
    Block block{allocate_or_throw(pool, bytes), bytes, bytes, mode, pool.device, pool.is_pinned, stream};
    if (mode == MemoryMode::debug) fill_bytes(pool.device, block.data, kPoisonByte, bytes);
    pool.stats.reserved += bytes;
    count_allocation(pool.stats, bytes);
    return block;
}

// The streams that note_use named for a block; nobody asks again.
std::vector<cuda::Stream> take_uses_locked(State& s, const Block& block) {
    const auto found = s.uses.find(block.data);
    if (found == s.uses.end()) return {};
    std::vector<cuda::Stream> streams = std::move(found->second);
    s.uses.erase(found);
    return streams;
}

// Marks how far each stream must come before anybody else gets the block. False: CUDA fails, and nobody may have it.
bool mark_locked(Waiting& waiting, const std::vector<cuda::Stream>& streams) noexcept {
    try {
        for (cuda::Stream stream : streams) {
            waiting.events.push_back(cuda::new_event(false, false));
            cuda::record(waiting.events.back(), stream);
        }
    } catch (const std::exception&) {
        for (cuda::Event event : waiting.events) cuda::free_event(event);
        return false;
    }
    return true;
}

}  // namespace

Block allocate(size_t bytes, Device device, bool is_pinned) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    Pool& pool = pool_of(s, device, is_pinned);
    if (bytes > total_memory(device)) throw_out_of_memory(pool, bytes, 0);  // before adding, which could overflow
    if (device == Device::cpu && !is_pinned && s.mode == MemoryMode::debug) return allocate_between_red_zones(s, bytes);
    const cuda::Stream stream = device == Device::cuda ? cuda::current_stream() : nullptr;
    if (device == Device::simt || s.mode == MemoryMode::debug) return allocate_plain(pool, bytes, s.mode, stream);

    if (!pool.waiting.empty()) take_in_locked(pool);
    Block block{nullptr, bytes, size_class(bytes), s.mode, device, is_pinned, stream};
    const auto cached = pool.cache.find({stream, block.capacity});
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
    Pool& pool = pool_of(s, block.device, block.is_pinned);
    pool.stats.allocated -= block.capacity;
    const std::vector<cuda::Stream> streams = take_uses_locked(s, block);
    const bool has_red_zones = block.mode == MemoryMode::debug && block.device == Device::cpu && !block.is_pinned;
    const bool is_kept =
        block.mode == MemoryMode::caching && s.mode == MemoryMode::caching && block.device != Device::simt;
    if (is_kept && streams.empty()) return keep(pool, block);
    if (is_kept) {
        Waiting waiting{block, {}};
        if (mark_locked(waiting, streams)) pool.waiting.push_back(std::move(waiting));
        return;
    }
    pool.stats.reserved -= block.capacity;
    if (has_red_zones) {
        if (s.damage.empty()) s.damage = damage_of(block.data, block.bytes);
        s.debug_blocks.erase(block.data);
        system_free(Device::cpu, static_cast<unsigned char*>(block.data) - kRedZone);
    } else {
        system_free(block.device, block.data, block.is_pinned);
    }
}

void note_use(const Block& block, cuda::Stream stream) {
    const bool is_in_order = !block.is_pinned && stream == block.stream;
    if (is_in_order || (block.device != Device::cuda && !block.is_pinned)) return;
    State& s = state();
    std::lock_guard lock(s.mutex);
    std::vector<cuda::Stream>& streams = s.uses[block.data];
    if (std::find(streams.begin(), streams.end(), stream) == streams.end()) streams.push_back(stream);
}

void wait_for_uses(const Block& block) noexcept {
    std::vector<cuda::Stream> streams;
    {
        State& s = state();
        std::lock_guard lock(s.mutex);
        streams = take_uses_locked(s, block);
    }
    try {
        for (cuda::Stream stream : streams) cuda::synchronize_stream(stream);
    } catch (const std::exception&) {  // CUDA fails: nothing uses the memory any more
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

MemoryStats memory_stats(Device device, bool is_pinned) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    return pool_of(s, device, is_pinned).stats;
}

void reset_peak_memory_stats(std::optional<Device> device) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    for (Pool& pool : s.pools) {
        if (!is_meant(pool, device)) continue;
        pool.stats.peak_allocated = pool.stats.allocated;
        pool.stats.peak_reserved = pool.stats.reserved;
    }
}

void empty_cache(std::optional<Device> device) {
    State& s = state();
    std::lock_guard lock(s.mutex);
    for (Pool& pool : s.pools) {
        if (is_meant(pool, device)) release_cache_locked(pool);
    }
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
