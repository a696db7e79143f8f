#include "watch.h"

#include <algorithm>
#include <cstring>

#include "block.h"
#include "worker.h"

namespace mt::simt {
namespace {

constexpr size_t kBeyond = 4096;  // an index this far beyond dynamic shared memory still counts as one into it

constexpr size_t kSharedPlaceBytes = 4;  // for the race check

bool is_write(AccessKind kind) { return kind != AccessKind::read; }

bool is_same_thread(const Record& a, const Record& b) { return a.block == b.block && a.thread == b.thread; }

}  // namespace

Watch::~Watch() {
    for (Region& region : regions_) {
        if (region.allocation != nullptr) region.allocation->region = nullptr;
    }
}

// ---------------------------------------------------------------------------------------------------------- arrays

Region& Watch::add_array(const std::string& name, Allocation& allocation, char type, uint32_t bytes) {
    if (allocation.region != nullptr) return *allocation.region;  // passed twice: the first name counts
    Region& region = regions_.emplace_back();
    region.array = {name, type, bytes, false, 0, static_cast<int64_t>(allocation.bytes / bytes)};
    region.begin = allocation.data;
    region.bytes = allocation.bytes;
    region.allocation = &allocation;
    region.id = static_cast<uint16_t>(launch_.arrays.size());
    launch_.arrays.push_back(region.array);
    allocation.region = &region;
    return region;
}

// What type a shared array has, its symbol does not tell: words of four bytes are the usual case.
void Watch::add_shared(const SharedArray& array) {
    Region& region = regions_.emplace_back();
    region.array = {array.name, '?', 4, true, array.offset, static_cast<int64_t>(array.bytes / 4)};
    region.bytes = array.bytes;
    region.id = static_cast<uint16_t>(launch_.arrays.size());
    launch_.arrays.push_back(region.array);
    shared_.push_back({&region, array.offset});
}

void Watch::add_dynamic_shared(size_t bytes) {
    add_shared({"dynamic shared memory", 0, bytes});
    dynamic_ = shared_.back().first;
    shared_.pop_back();
}

void Watch::enter(Block& block, char* shared, char* dynamic) {
    block_ = &block;
    shared_begin_ = shared;
    for (auto& [region, offset] : shared_) region->begin = shared + offset;
    if (dynamic_ != nullptr) dynamic_->begin = dynamic;
}

void Watch::forget_shared() {
    for (Region& region : regions_) {
        if (region.allocation == nullptr) region.shared_written.reset(region.bytes);
    }
}

std::vector<WrittenBits> Watch::take_shared_written() const {
    std::vector<WrittenBits> written;
    for (const Region& region : regions_) {
        if (region.allocation == nullptr) written.push_back(region.shared_written);
    }
    return written;
}

void Watch::restore_shared_written(const std::vector<WrittenBits>& written) {
    size_t next = 0;
    for (Region& region : regions_) {
        if (region.allocation == nullptr) region.shared_written = written[next++];
    }
}

Region* Watch::region_of(const void* address) {
    const char* byte = static_cast<const char*>(address);
    if (Allocation* allocation = arena().find(address)) {
        if (allocation->data == nullptr) return nullptr;  // nothing was ever there
        return allocation->region != nullptr ? allocation->region
                                             : &add_array("an array that is no argument", *allocation, '?', 1);
    }
    for (auto& [region, offset] : shared_) {
        if (byte >= region->begin && byte < region->begin + region->bytes) return region;
    }
    if (dynamic_ != nullptr && byte >= dynamic_->begin && byte < dynamic_->begin + dynamic_->bytes + kBeyond)
        return dynamic_;
    // Between the arrays: beyond the one before, or of another kernel.
    Region* nearest = nullptr;
    if (byte < shared_begin_ || byte >= shared_begin_ + module_.shared_bytes()) return nullptr;
    for (auto& [region, offset] : shared_) {
        if (nearest == nullptr || std::abs(byte - region->begin) < std::abs(byte - nearest->begin)) nearest = region;
    }
    return nearest;
}

// ---------------------------------------------------------------------------------------------------------- checks

uint32_t Watch::site_of(Place place, const void* instruction) {
    const uint64_t key = instruction != nullptr
                             ? reinterpret_cast<uint64_t>(instruction)
                             : reinterpret_cast<uint64_t>(place.file) ^ (static_cast<uint64_t>(place.line) << 48);
    const auto [found, is_new] = site_numbers_.try_emplace(key, static_cast<uint32_t>(sites_.size()));
    if (is_new) sites_.push_back({place, instruction});
    return found->second;
}

void Watch::access(AccessKind kind, const void* address, size_t bytes, Place place, const void* instruction) {
    settle();
    Region* region = region_of(address);
    if (region == nullptr) {
        // The thread's own variables and constants; or, in the arena, an address where nothing ever was.
        if (arena().find(address) == nullptr) return;
        fail(Fault::Kind::bad_address, kind, address, bytes, site_of(place, instruction));
    }
    const uint32_t site = site_of(place, instruction);
    const auto offset = static_cast<const char*>(address) - region->begin;
    if (region->allocation != nullptr && !region->allocation->is_live)
        fail(Fault::Kind::freed, kind, address, bytes, site);
    if (offset < 0 || static_cast<size_t>(offset) + bytes > region->bytes)
        fail(Fault::Kind::out_of_bounds, kind, address, bytes, site);
    if (reinterpret_cast<uintptr_t>(address) % bytes != 0) fail(Fault::Kind::misaligned, kind, address, bytes, site);

    const auto begin = static_cast<size_t>(offset);
    if (settings_.watch) {
        if (kind != AccessKind::write && !region->written().all(begin, bytes))
            fail(Fault::Kind::not_written, kind, address, bytes, site);
        const Thread& thread = block_->current();
        Record now;
        now.site = site;
        now.time = ++time_;
        now.block = block_->number();
        now.block_epoch = block_->block_epoch();
        now.thread = thread.number;
        now.warp_epoch = thread.warp_epoch;
        now.grid_epoch = block_->grid_epoch();
        now.kind = kind;
        if (kind == AccessKind::atomic) hand_over(now);
        check_race(*region, begin, begin + bytes, now);
    }
    if (is_write(kind)) region->written().mark(begin, bytes);
    if (settings_.trace) record(*region, kind, static_cast<const char*>(address), bytes, site);
}

// Whether something stands between an earlier access and one made now.
bool Watch::is_ordered(const Record& earlier, const Record& now) const {
    if (earlier.grid_epoch != now.grid_epoch || is_same_thread(earlier, now)) return true;
    if (earlier.block != now.block) {
        if (hand_overs_.empty()) return false;
        const HandOver& from = hand_overs_[earlier.block];
        return earlier.time < from.released && from.released_at < hand_overs_[now.block].acquired_at;
    }
    if (earlier.block_epoch != now.block_epoch) return true;
    return earlier.thread / 32 == now.thread / 32 && earlier.warp_epoch != now.warp_epoch;
}

// Puts `now` among the latest two, in place of its own thread's earlier one or of one that no longer counts. Two of one
// block give way to another block's: the barriers inside a block order nothing for others.
void Watch::remember(Record (&latest)[2], Record now) const {
    for (Record& record : latest) {
        if (record.site == 0 || is_same_thread(record, now)) {
            const bool is_same_time = record.block_epoch == now.block_epoch && record.warp_epoch == now.warp_epoch;
            if (is_same_time) now.bytes |= record.bytes;
            record = now;
            return;
        }
    }
    for (Record& record : latest) {
        if (is_ordered(record, now)) {
            record = now;
            return;
        }
    }
    if (latest[0].block == latest[1].block && latest[0].block != now.block) latest[1] = now;
}

void Watch::fence() {
    const Grid& grid = current_worker()->grid();
    if (hand_overs_.empty()) hand_overs_.resize(grid.block_count());
    hand_overs_[block_->number()].fence = ++time_;
}

void Watch::hand_over(const Record& atomic) {
    if (hand_overs_.empty()) return;
    HandOver& block = hand_overs_[atomic.block];
    block.acquired_at = atomic.time;
    if (block.fence <= block.released) return;
    block.released = block.fence;
    block.released_at = atomic.time;
}

// begin, end: bytes of the region. A place is an element; of shared memory, whose elements' size is not known, a word.
void Watch::check_race(Region& region, size_t begin, size_t end, Record now) {
    const size_t place_bytes = region.array.is_shared ? kSharedPlaceBytes : region.array.bytes;
    if (region.cells == nullptr)
        region.cells.reset(static_cast<Cell*>(std::calloc(region.bytes / place_bytes + 1, sizeof(Cell))));
    for (size_t i = begin / place_bytes; i * place_bytes < end; i++) {
        Cell& cell = region.cells.get()[i];
        const char* place = region.begin + i * place_bytes;
        now.bytes = 0;
        for (size_t byte = 0; byte < place_bytes; byte++) {
            const bool is_touched = i * place_bytes + byte >= begin && i * place_bytes + byte < end;
            if (is_touched) now.bytes = static_cast<uint8_t>(now.bytes | 1 << byte % 8);
        }
        // Another block's records in shared memory are of another memory.
        const auto conflicts = [&](const Record& earlier) {
            if ((earlier.bytes & now.bytes) == 0 || (region.array.is_shared && earlier.block != now.block))
                return false;
            const bool are_atomics = earlier.kind == AccessKind::atomic && now.kind == AccessKind::atomic;
            return !are_atomics && !is_ordered(earlier, now);
        };
        for (const Record& earlier : cell.writes) {
            if (conflicts(earlier)) fail_race(now, earlier, place, place_bytes);
        }
        if (!is_write(now.kind)) {
            remember(cell.reads, now);
            continue;
        }
        for (const Record& earlier : cell.reads) {
            if (conflicts(earlier)) fail_race(now, earlier, place, place_bytes);
        }
        remember(cell.writes, now);
    }
}

void Watch::name_element(Fault* fault, const void* address) {
    const Region* region = region_of(address);
    fault->address = address;
    if (region == nullptr) return;
    const int64_t offset = static_cast<const char*>(address) - region->begin;
    const auto bytes = static_cast<int64_t>(region->array.bytes);
    fault->array = region->array.name.c_str();
    fault->index = offset >= 0 ? offset / bytes : -((-offset + bytes - 1) / bytes);
    fault->size = region->array.size;
}

void Watch::fail(Fault::Kind kind, AccessKind access, const void* address, size_t bytes, uint32_t site) {
    Worker& worker = *current_worker();
    Fault fault;
    fault.kind = kind;
    worker.fill_actor(&fault.actor, sites_[site].place, sites_[site].instruction);
    fault.access = access;
    fault.bytes = bytes;
    name_element(&fault, address);
    worker.abandon(fault);
}

void Watch::fill_actor(Actor* actor, const Record& record) const {
    const Request& request = current_worker()->grid().request;
    const auto split = [](uint32_t number, const uint32_t size[3], uint32_t (&index)[3]) {
        index[0] = number % size[0];
        index[1] = number / size[0] % size[1];
        index[2] = number / size[0] / size[1];
    };
    split(record.block, request.grid, actor->block);
    split(record.thread, request.block, actor->thread);
    actor->place = sites_[record.site].place;
    actor->instruction = sites_[record.site].instruction;
}

void Watch::fail_race(const Record& now, const Record& earlier, const void* address, size_t bytes) {
    Fault fault;
    fault.kind = Fault::Kind::race;
    fill_actor(&fault.actor, now);
    fill_actor(&fault.other, earlier);
    fault.access = now.kind;
    fault.other_access = earlier.kind;
    fault.bytes = bytes;
    name_element(&fault, address);
    current_worker()->abandon(fault);
}

// ---------------------------------------------------------------------------------------------------------- trace

void Watch::record(Region& region, AccessKind kind, const char* address, size_t bytes, uint32_t site) {
    if (launch_.accesses.size() >= settings_.trace_limit) fail(Fault::Kind::trace_full, kind, address, bytes, site);
    Access access = {};
    access.block = block_->number();
    access.thread = block_->current().number;
    access.array = region.id;
    access.kind = static_cast<uint8_t>(kind);
    // A shared array's type shows in how it is accessed: eight bytes at a time are a double's.
    if (region.array.is_shared && region.array.bytes != bytes && bytes <= 8) {
        region.array.bytes = static_cast<uint32_t>(bytes);
        region.array.size = static_cast<int64_t>(region.bytes / bytes);
        launch_.arrays[region.id].bytes = region.array.bytes;
        launch_.arrays[region.id].size = region.array.size;
    }
    access.count = static_cast<uint8_t>(std::max<size_t>(bytes / region.array.bytes, 1));
    access.site = site;
    access.index = (address - region.begin) / region.array.bytes;
    const size_t element_bytes = std::min<size_t>(bytes, sizeof(access.value));
    if (kind == AccessKind::write) {  // reported before it takes place
        unsettled_ = launch_.accesses.size();
        unsettled_address_ = address;
        unsettled_bytes_ = std::min<size_t>(element_bytes, region.array.bytes);
    } else {
        std::memcpy(&access.value, address, std::min<size_t>(element_bytes, region.array.bytes));
    }
    launch_.accesses.push_back(access);
}

void Watch::note_barrier(Place place) {
    if (!settings_.trace) return;
    settle();
    Access barrier = {};
    barrier.block = block_->number();
    barrier.thread = block_->current().number;
    barrier.kind = kBarrierPassed;
    barrier.site = site_of(place, nullptr);
    launch_.accesses.push_back(barrier);
}

void Watch::settle() {
    if (unsettled_ == SIZE_MAX) return;
    std::memcpy(&launch_.accesses[unsettled_].value, unsettled_address_, unsettled_bytes_);
    unsettled_ = SIZE_MAX;
}

void Watch::finish() {
    settle();
    if (!settings_.trace) return;
    for (const SiteKey& key : sites_) {
        if (key.instruction != nullptr)
            launch_.sites.push_back(module_.site_of(key.instruction));
        else
            launch_.sites.push_back({key.place.file != nullptr ? key.place.file : "", key.place.line, 0});
    }
}

}  // namespace mt::simt
