// What the kernels call, on their threads' stacks.
#include "runtime.h"

#include <cstdio>
#include <cstring>

#include "worker.h"

namespace mt::simt {
namespace {

constexpr int kWarpSize = 32;

Block& block() { return current_worker()->block(); }

// What a lane brings to a shuffle and takes away.
struct Shuffle {
    uint64_t value;
    int source;
    const char* name;
    Place place;
    uint64_t result;
};

void shuffle(uint32_t lanes, void** operands) {
    for (int lane = 0; lane < kWarpSize; lane++) {
        if ((lanes >> lane & 1) == 0) continue;
        auto* mine = static_cast<Shuffle*>(operands[lane]);
        if (mine->source < 0 || mine->source >= kWarpSize || (lanes >> mine->source & 1) == 0) {
            char text[120];
            std::snprintf(text, sizeof(text), "%s: lane %d takes the value of lane %d, which does not take part",
                          mine->name, lane, mine->source);
            fail(text, mine->place);
        }
        mine->result = static_cast<Shuffle*>(operands[mine->source])->value;
    }
}

struct Ballot {
    bool predicate;
    uint32_t result;
};

void ballot(uint32_t lanes, void** operands) {
    uint32_t votes = 0;
    for (int lane = 0; lane < kWarpSize; lane++) {
        if ((lanes >> lane & 1) && static_cast<Ballot*>(operands[lane])->predicate) votes |= uint32_t{1} << lane;
    }
    for (int lane = 0; lane < kWarpSize; lane++) {
        if (lanes >> lane & 1) static_cast<Ballot*>(operands[lane])->result = votes;
    }
}

}  // namespace

void* dynamic_shared_memory() { return current_worker()->dynamic_shared(); }

int block_barrier(Vote vote, int predicate, Place place) { return block().block_barrier(vote, predicate, place); }

void warp_call(uint32_t mask, const char* name, void* operand, WarpFunction function, Place place) {
    block().warp_call(mask, name, operand, function, place, false);
}

void warp_barrier(uint32_t mask, Place place) { block().warp_call(mask, "__syncwarp", nullptr, nullptr, place, true); }

uint64_t warp_shuffle(uint32_t mask, const char* name, uint64_t value, int source, Place place) {
    Shuffle mine = {value, source, name, place, 0};
    warp_call(mask, name, &mine, shuffle, place);
    return mine.result;
}

uint32_t warp_vote(uint32_t mask, bool predicate, Place place) {
    Ballot mine = {predicate, 0};
    warp_call(mask, "a warp vote", &mine, ballot, place);
    return mine.result;
}

uint32_t running_lanes() { return block().running_lanes(); }

int lane_id() { return block().current().number % kWarpSize; }

void grid_barrier(Place place) { block().grid_barrier(place); }

void fence() {
    if (Watch* watch = current_worker()->grid().watch) watch->fence();
}

void let_others_run() { block().let_others_run(); }

void fail(const char* message, Place place) {
    Fault fault;
    fault.kind = Fault::Kind::text;
    std::snprintf(fault.text, sizeof(fault.text), "%s", message);
    current_worker()->fill_actor(&fault.actor, place, nullptr);
    current_worker()->abandon(fault);
}

// ---------------------------------------------------------------------------------------------------------- cp.async

void async_copy(void* to, const void* from, size_t bytes, Place place) {
    auto& batches = block().current().async_batches;
    if (batches.empty()) batches.emplace_back();
    batches.back().push_back({to, from, bytes, place});
}

void async_commit() {
    auto& batches = block().current().async_batches;
    if (batches.empty()) batches.emplace_back();
    batches.emplace_back();
}

void async_wait(size_t batches_left) {
    auto& batches = block().current().async_batches;
    while (batches.size() > batches_left + 1) {
        for (const Thread::AsyncCopy& copy : batches.front()) {
            report_access(AccessKind::read, copy.from, copy.bytes, copy.place);
            report_access(AccessKind::write, copy.to, copy.bytes, copy.place);
            std::memcpy(copy.to, copy.from, copy.bytes);
        }
        batches.erase(batches.begin());
    }
}

}  // namespace mt::simt
