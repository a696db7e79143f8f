// The device memory of the emulator: a wide range of addresses, cut into slots of equal size, one block in each. A
// block stands in the middle of its slot between unmapped pages, so even an index that is wrong by millions hits no
// other block, and the address tells whose it was.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace mt::simt {

// One bit a byte: whether it was ever written.
class WrittenBits {
 public:
    void reset(size_t bytes);  // nothing is written
    void mark(size_t begin, size_t count);
    bool all(size_t begin, size_t count) const;
    void copy(size_t to, const WrittenBits& from, size_t from_begin, size_t count);

 private:
    bool get(size_t i) const { return bits_[i / 64] >> (i % 64) & 1; }
    std::vector<uint64_t> bits_;
};

struct Region;

struct Allocation {
    char* data = nullptr;
    size_t bytes = 0;
    bool is_live = false;
    char* pages = nullptr;  // what is mapped: the block ends where the pages do, up to its alignment
    size_t page_bytes = 0;
    WrittenBits written;
    Region* region = nullptr;  // what the running launch calls it (watch.h)

    // Bytes of the mapped pages outside the block hold a known value; where that was overwritten: the distance in bytes
    // from the block's start (negative) or start (its size or more). False: nothing was.
    bool find_damage(int64_t* offset) const;
};

class Arena {
 public:
    Arena();

    const std::string& problem() const { return problem_; }
    void* allocate(size_t bytes);  // nullptr: no room left
    void release(void* data) noexcept;

    // The block, live or not, whose slot holds the address; nullptr: not the arena's, or the slot was never used.
    Allocation* find(const void* address) {
        const size_t offset = static_cast<size_t>(static_cast<const char*>(address) - base_);
        return offset < slot_bytes_ * slots_.size() ? &slots_[offset / slot_bytes_] : nullptr;
    }

 private:
    std::mutex mutex_;
    std::string problem_;
    char* base_ = nullptr;
    size_t slot_bytes_ = 1;
    std::vector<Allocation> slots_;
    std::deque<size_t> free_slots_;  // the one freed longest ago first: a stale pointer is noticed for long
};

Arena& arena();

}  // namespace mt::simt
