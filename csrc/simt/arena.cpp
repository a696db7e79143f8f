#include "arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace mt::simt {
namespace {

constexpr size_t kSlots = 4096;
constexpr size_t kAlignment = 16;  // of a float4, the widest access
constexpr unsigned char kGuardByte = 0xA5;

// The widest arena that the machine's address space has room for: a limit (ulimit -v), valgrind or a small page table
// may leave less than usual.
constexpr size_t kSlotSizes[] = {size_t{8} << 30, size_t{256} << 20, size_t{16} << 20};
void* const kWantedBase = reinterpret_cast<void*>(uintptr_t{0x200000000000});  // far from programs and libraries

size_t round_up(size_t bytes, size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

}  // namespace

// ---------------------------------------------------------------------------------------------------------- written
// bits

void WrittenBits::reset(size_t bytes) { bits_.assign(bytes / 64 + 1, 0); }

void WrittenBits::mark(size_t begin, size_t count) {
    for (size_t i = begin; i < begin + count;) {
        if (i % 64 == 0 && i + 64 <= begin + count) {
            bits_[i / 64] = ~uint64_t{0};
            i += 64;
        } else {
            bits_[i / 64] |= uint64_t{1} << (i % 64);
            i++;
        }
    }
}

bool WrittenBits::all(size_t begin, size_t count) const {
    for (size_t i = begin; i < begin + count; i++) {
        if (!get(i)) return false;
    }
    return true;
}

void WrittenBits::copy(size_t to, const WrittenBits& from, size_t from_begin, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint64_t bit = uint64_t{1} << ((to + i) % 64);
        uint64_t& word = bits_[(to + i) / 64];
        word = from.get(from_begin + i) ? word | bit : word & ~bit;
    }
}

// ---------------------------------------------------------------------------------------------------------- arena

bool Allocation::find_damage(int64_t* offset) const {
    const auto* begin = reinterpret_cast<const unsigned char*>(pages);
    const auto* block = reinterpret_cast<const unsigned char*>(data);
    for (const unsigned char* byte = block + bytes; byte < begin + page_bytes; byte++) {
        if (*byte == kGuardByte) continue;
        *offset = byte - block;
        return true;
    }
    for (const unsigned char* byte = block; byte-- > begin;) {
        if (*byte == kGuardByte) continue;
        *offset = byte - block;
        return true;
    }
    return false;
}

Arena::Arena() {
    for (size_t slot_bytes : kSlotSizes) {
        void* memory =
            mmap(kWantedBase, slot_bytes * kSlots, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) continue;
        base_ = static_cast<char*>(memory);
        slot_bytes_ = slot_bytes;
        slots_.resize(kSlots);
        for (size_t i = 0; i < kSlots; i++) free_slots_.push_back(i);
        return;
    }
    problem_ = "this process may not reserve 64 GiB of addresses for the emulator's memory (ulimit -v?)";
}

void* Arena::allocate(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::lock_guard lock(mutex_);
    if (free_slots_.empty() || bytes > slot_bytes_ / 4) return nullptr;
    const size_t index = free_slots_.front();
    Allocation& slot = slots_[index];
    slot.pages = base_ + index * slot_bytes_ + slot_bytes_ / 2;
    slot.page_bytes = std::max(round_up(bytes, page), page);
    if (mprotect(slot.pages, slot.page_bytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
    free_slots_.pop_front();
    slot.data = slot.pages + slot.page_bytes - round_up(bytes, kAlignment);
    slot.bytes = bytes;
    slot.is_live = true;
    slot.written.reset(bytes);
    std::memset(slot.pages, kGuardByte, static_cast<size_t>(slot.data - slot.pages));
    std::memset(slot.data + bytes, kGuardByte, static_cast<size_t>(slot.pages + slot.page_bytes - slot.data) - bytes);
    return slot.data;
}

void Arena::release(void* data) noexcept {
    std::lock_guard lock(mutex_);
    Allocation& slot = *find(data);
    slot.is_live = false;
    madvise(slot.pages, slot.page_bytes, MADV_DONTNEED);
    mprotect(slot.pages, slot.page_bytes, PROT_NONE);
    free_slots_.push_back(static_cast<size_t>(slot.pages - base_) / slot_bytes_);
}

// Never destroyed: arrays may be freed after static destructors have run.
Arena& arena() {
    static auto* instance = new Arena;
    return *instance;
}

}  // namespace mt::simt
