// Looks at every access of a watched launch: is it inside an array, was what it reads ever written, does another thread
// use the same place at the same time? And records it, if asked.
//
// Two threads race for a place when at least one writes, not both by atomics, and nothing orders the two accesses. What
// orders them: a __syncthreads between them (threads of a block), a __syncwarp (threads of a warp), a grid barrier, or
// a hand-over between blocks: one block writes, calls __threadfence and after that an atomic; later the other calls an
// atomic and reads. So each place keeps its latest accesses with the number of barriers passed by then. Hand-overs
// aside, what is found depends on the kernel and its input, not on the order in which the emulator runs the threads.
#pragma once

#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "arena.h"
#include "emulator.h"
#include "fault.h"
#include "module.h"

namespace mt::simt {

class Block;

// An access as the race check remembers it.
struct Record {
    uint32_t site = 0;  // 0: none
    uint32_t time = 0;  // counts the launch's accesses
    uint32_t block = 0;
    uint32_t block_epoch = 0;  // __syncthreads passed
    uint16_t thread = 0;
    uint16_t warp_epoch = 0;  // __syncwarp passed
    uint16_t grid_epoch = 0;  // grid barriers passed
    AccessKind kind = AccessKind::read;
    uint8_t bytes = 0;  // which of the place: a bit each
};

// The latest accesses of one place. Of writes (atomics) and reads two each, by different threads: of two, at least one
// is another thread than any third that comes.
struct Cell {
    Record writes[2];
    Record reads[2];
};

// An array as the running kernel knows it.
struct Region {
    Array array;
    char* begin = nullptr;
    size_t bytes = 0;
    Allocation* allocation = nullptr;  // nullptr: shared memory
    WrittenBits shared_written;
    std::unique_ptr<Cell, decltype(&std::free)> cells{nullptr, &std::free};  // one an element; made when first needed
    uint16_t id = 0;

    WrittenBits& written() { return allocation ? allocation->written : shared_written; }
};

constexpr uint8_t kBarrierPassed = 3;  // an Access::kind: no access, but a barrier of its block, once for all threads

class Watch {
 public:
    Watch(const Settings& settings, Module& module, Launch& launch)
        : settings_(settings), module_(module), launch_(launch) {}
    ~Watch();

    Region& add_array(const std::string& name, Allocation& allocation, char type, uint32_t bytes);
    void add_shared(const SharedArray& array);
    void add_dynamic_shared(size_t bytes);

    // The block whose threads make the next accesses. `shared`: where the library's shared memory is; `dynamic`: the
    // block's dynamic one.
    void enter(Block& block, char* shared, char* dynamic);
    void forget_shared();  // a new block's shared memory holds nothing yet
    // What is written in the shared memory of a block that another takes the place of, and back (cooperative launches).
    std::vector<WrittenBits> take_shared_written() const;
    void restore_shared_written(const std::vector<WrittenBits>& written);

    // By the thread that runs. Faults do not return.
    void access(AccessKind kind, const void* address, size_t bytes, Place place, const void* instruction);

    // The value of the latest write is known once the thread goes on: called before another thread runs.
    void settle();

    // nullptr: no array is near. Else the address may still be outside.
    Region* region_of(const void* address);

    void fence();  // the running thread calls __threadfence

    // All threads of the block have reached a __syncthreads. In a trace: one more entry, of kind kBarrierPassed.
    void note_barrier(Place place);

    // Puts places to the sites that the launch's accesses mention.
    void finish();

 private:
    struct SiteKey {
        Place place;
        const void* instruction;
    };

    // How far a block is in handing its writes over to other blocks; 0: it has not begun.
    struct HandOver {
        uint32_t fence = 0;        // time of its latest __threadfence
        uint32_t released = 0;     // the fence that an atomic has followed: what the block did before is for others
        uint32_t released_at = 0;  // time of that atomic
        uint32_t acquired_at = 0;  // time of its latest atomic: what was released before, it sees
    };

    uint32_t site_of(Place place, const void* instruction);
    bool is_ordered(const Record& earlier, const Record& now) const;
    void remember(Record (&latest)[2], Record now) const;
    void hand_over(const Record& atomic);
    void check_race(Region& region, size_t begin, size_t end, Record now);
    [[noreturn]] void fail(Fault::Kind kind, AccessKind access, const void* address, size_t bytes, uint32_t site);
    [[noreturn]] void fail_race(const Record& now, const Record& earlier, const void* address, size_t bytes);
    void fill_actor(Actor* actor, const Record& record) const;
    void name_element(Fault* fault, const void* address);
    void record(Region& region, AccessKind kind, const char* address, size_t bytes, uint32_t site);

    const Settings& settings_;
    Module& module_;
    Launch& launch_;
    Block* block_ = nullptr;
    char* shared_begin_ = nullptr;                    // of the library's shared memory
    std::deque<Region> regions_;                      // addresses stay
    std::vector<std::pair<Region*, size_t>> shared_;  // and the offset in the library's shared memory
    Region* dynamic_ = nullptr;
    std::vector<SiteKey> sites_{1};  // site 0 is none
    std::unordered_map<uint64_t, uint32_t> site_numbers_;
    uint32_t time_ = 1;
    std::vector<HandOver> hand_overs_;  // of each block; empty until a fence was called
    size_t unsettled_ = SIZE_MAX;       // index of an access whose value is still to be read
    const char* unsettled_address_ = nullptr;
    size_t unsettled_bytes_ = 0;
};

}  // namespace mt::simt
