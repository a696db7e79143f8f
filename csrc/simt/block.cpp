#include "block.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>

#include "worker.h"

extern "C" {
// What the kernels know as const (cuda.h).
struct SimtIndex {
    uint32_t x, y, z;
};
#define SIMT_INDEX SIMT_EXPORT __attribute__((tls_model("initial-exec"))) __thread SimtIndex
SIMT_INDEX threadIdx;
SIMT_INDEX blockIdx;
SIMT_INDEX blockDim;
SIMT_INDEX gridDim;
#undef SIMT_INDEX
}

namespace mt::simt {
namespace {

constexpr size_t kWarpSize = 32;

// Where every stack starts. The compiler may keep the address of a thread_local variable over a switch of stacks: all
// stacks of a worker stay on its CPU thread.
void start_of_stack() {
    current_worker()->block().serve_stack();
    __builtin_unreachable();
}

// The order in which `count` threads start.
std::vector<uint16_t> turns(uint32_t count, const Settings& settings, uint32_t block) {
    std::vector<uint16_t> order(count);
    std::iota(order.begin(), order.end(), uint16_t{0});
    if (settings.order == Order::descending) std::reverse(order.begin(), order.end());
    if (settings.order == Order::shuffled)
        std::shuffle(order.begin(), order.end(), std::mt19937_64(settings.seed + block));
    return order;
}

}  // namespace

void Block::start(const uint32_t index[3]) {
    const Request& request = worker_.grid().request;
    std::memcpy(index_, index, sizeof(index_));
    number_ = (index[2] * request.grid[1] + index[1]) * request.grid[0] + index[0];
    const uint32_t count = worker_.grid().thread_count();
    threads_.resize(count);
    for (uint32_t i = 0; i < count; i++) {
        Thread& thread = threads_[i];
        thread.number = static_cast<uint16_t>(i);
        thread.index[0] = i % request.block[0];
        thread.index[1] = i / request.block[0] % request.block[1];
        thread.index[2] = i / request.block[0] / request.block[1];
        thread.state = Thread::State::not_started;
        thread.warp_epoch = 0;
        thread.steps = 0;
        thread.async_batches.clear();
    }
    order_ = turns(count, worker_.grid().settings, number_);
    next_unstarted_ = 0;
    ready_.clear();
    current_ = nullptr;
    unfinished_ = count;
    idle_stacks_.clear();
    stacks_used_ = 0;
    arrived_ = 0;
    votes_ = 0;
    first_arrived_ = nullptr;
    block_epoch_ = 0;
    grid_epoch_ = 0;
    at_grid_barrier_ = 0;
    warp_calls_.assign((count + kWarpSize - 1) / kWarpSize, {});
}

// ---------------------------------------------------------------------------------------------------------- turns

Thread* Block::next() {
    if (next_unstarted_ < order_.size()) return &threads_[order_[next_unstarted_++]];
    if (ready_.empty()) return nullptr;
    Thread* thread = &threads_[ready_.front()];
    ready_.pop_front();
    return thread;
}

Block::Outcome Block::run() {
    const Request& request = worker_.grid().request;
    blockIdx = {index_[0], index_[1], index_[2]};
    blockDim = {request.block[0], request.block[1], request.block[2]};
    gridDim = {request.grid[0], request.grid[1], request.grid[2]};
    while (Thread* thread = next()) {
        resume(*thread);
        if (worker_.fault().kind != Fault::Kind::none) return Outcome::faulted;
        if (worker_.should_give_up()) return Outcome::interrupted;
    }
    if (unfinished_ == 0) return Outcome::finished;
    if (at_grid_barrier_ == threads_.size()) return Outcome::at_grid_barrier;
    report_deadlock();
    return Outcome::faulted;
}

// Lets a thread run until it ends or waits, and with it those that start on the same stack.
void Block::resume(Thread& thread) {
    if (thread.state == Thread::State::not_started) {
        if (idle_stacks_.empty()) idle_stacks_.push_back(first_stack_ + stacks_used_++);
        thread.stack = idle_stacks_.back();
        idle_stacks_.pop_back();
        thread.stack_pointer = prepare_stack(worker_.stacks()[thread.stack].top, start_of_stack);
    }
    become(thread);
    worker_.enter_kernel(thread.stack_pointer);
}

void Block::become(Thread& thread) {
    current_ = &thread;
    thread.state = Thread::State::running;
    threadIdx = {thread.index[0], thread.index[1], thread.index[2]};
}

void Block::serve_stack() {
    const Request& request = worker_.grid().request;
    do {
        request.call(request.kernel, request.values);
        end_current();
    } while (take_next_unstarted());
    idle_stacks_.push_back(current_->stack);
    void* nobody_returns_here = nullptr;
    worker_.leave_kernel(&nobody_returns_here);
}

bool Block::take_next_unstarted() {
    if (next_unstarted_ == order_.size()) return false;
    Thread& thread = threads_[order_[next_unstarted_++]];
    thread.stack = current_->stack;
    become(thread);
    return true;
}

void Block::end_current() {
    if (Watch* watch = worker_.grid().watch) watch->settle();
    current_->state = Thread::State::done;
    unfinished_--;
    complete_warp_calls(current_->number / kWarpSize);
}

void Block::wait() {
    if (Watch* watch = worker_.grid().watch) watch->settle();
    worker_.leave_kernel(&current_->stack_pointer);
}

void Block::release(Thread& thread) {
    thread.state = Thread::State::ready;
    ready_.push_back(thread.number);
}

void Block::let_others_run() {
    release(*current_);
    wait();
}

// ---------------------------------------------------------------------------------------------------------- barriers

int Block::block_barrier(Vote vote, int predicate, Place place) {
    Thread& me = *current_;
    if (arrived_ == 0) {
        first_arrived_ = &me;
        vote_ = vote;
        votes_ = 0;
    } else if (first_arrived_->place.line != place.line || vote_ != vote ||
               std::strcmp(first_arrived_->place.file, place.file) != 0) {
        Fault fault;
        fault.kind = Fault::Kind::different_barriers;
        worker_.fill_actor(&fault.actor, place, nullptr);
        fault.other = fault.actor;
        std::memcpy(fault.other.thread, first_arrived_->index, sizeof(fault.other.thread));
        fault.other.place = first_arrived_->place;
        worker_.abandon(fault);
    }
    me.state = Thread::State::at_block_barrier;
    me.place = place;
    me.waits_for = "__syncthreads";
    arrived_++;
    votes_ += predicate != 0;
    if (arrived_ == threads_.size()) {
        const int count = static_cast<int>(threads_.size());
        vote_result_ = vote == Vote::count ? votes_ : vote == Vote::all ? votes_ == count : votes_ > 0;
        arrived_ = 0;
        block_epoch_++;
        if (Watch* watch = worker_.grid().watch) watch->note_barrier(place);
        for (uint16_t number : order_) release(threads_[number]);
    }
    wait();
    return vote_result_;
}

uint32_t Block::unfinished_lanes(size_t warp) const {
    uint32_t lanes = 0;
    for (size_t lane = 0; lane < kWarpSize && warp * kWarpSize + lane < threads_.size(); lane++) {
        if (threads_[warp * kWarpSize + lane].state != Thread::State::done) lanes |= uint32_t{1} << lane;
    }
    return lanes;
}

uint32_t Block::running_lanes() const { return unfinished_lanes(current_->number / kWarpSize); }

void Block::warp_call(uint32_t mask, const char* name, void* operand, WarpFunction function, Place place,
                      bool orders_memory) {
    Thread& me = *current_;
    const size_t warp = me.number / kWarpSize;
    const uint32_t my_bit = uint32_t{1} << (me.number % kWarpSize);
    if ((mask & my_bit) == 0) {
        char text[100];
        std::snprintf(text, sizeof(text), "calls %s with mask 0x%08x, which does not name its own lane %d", name, mask,
                      static_cast<int>(me.number % kWarpSize));
        fail(text, place);
    }
    WarpCall* call = nullptr;
    for (WarpCall& pending : warp_calls_[warp]) {
        if (pending.mask == mask && (pending.arrived & my_bit) == 0 && std::strcmp(pending.name, name) == 0)
            call = &pending;
    }
    if (call == nullptr) {
        warp_calls_[warp].push_back({mask, 0, name, function, orders_memory, {}});
        call = &warp_calls_[warp].back();
    }
    call->arrived |= my_bit;
    call->operands[me.number % kWarpSize] = operand;
    me.state = Thread::State::at_warp_call;
    me.place = place;
    me.waits_for = name;
    complete_warp_calls(warp);
    wait();
}

// Those calls whose every lane has come, or ended: lanes that ended are not waited for.
void Block::complete_warp_calls(size_t warp) {
    auto& calls = warp_calls_[warp];
    for (size_t i = 0; i < calls.size();) {
        if ((calls[i].mask & unfinished_lanes(warp)) != calls[i].arrived) {
            i++;
            continue;
        }
        const WarpCall call = calls[i];
        calls.erase(calls.begin() + static_cast<std::ptrdiff_t>(i));
        if (call.function != nullptr) call.function(call.arrived, const_cast<void**>(call.operands));
        for (size_t lane = 0; lane < kWarpSize; lane++) {
            if ((call.arrived >> lane & 1) == 0) continue;
            Thread& thread = threads_[warp * kWarpSize + lane];
            if (call.orders_memory) thread.warp_epoch++;
            release(thread);
        }
    }
}

void Block::grid_barrier(Place place) {
    current_->state = Thread::State::at_grid_barrier;
    current_->place = place;
    current_->waits_for = "grid.sync()";
    at_grid_barrier_++;
    wait();
}

void Block::pass_grid_barrier() {
    at_grid_barrier_ = 0;
    grid_epoch_++;
    block_epoch_++;
    for (uint16_t number : order_) release(threads_[number]);
}

// Nobody can go on, and not all have ended: some wait for a thread that will not come.
void Block::report_deadlock() {
    const auto in_state = [this](Thread::State state) {
        return std::find_if(threads_.begin(), threads_.end(),
                            [=](const Thread& thread) { return thread.state == state; });
    };
    auto waiting = in_state(Thread::State::at_block_barrier);
    if (waiting == threads_.end()) waiting = in_state(Thread::State::at_warp_call);
    if (waiting == threads_.end()) waiting = in_state(Thread::State::at_grid_barrier);
    const auto missing = std::find_if(threads_.begin(), threads_.end(), [&](const Thread& thread) {
        const bool is_same_warp = thread.number / kWarpSize == waiting->number / kWarpSize;
        const bool is_awaited = waiting->state != Thread::State::at_warp_call || is_same_warp;
        const bool is_elsewhere =
            thread.state != waiting->state || std::strcmp(thread.waits_for, waiting->waits_for) != 0;
        return is_awaited && is_elsewhere;
    });
    Fault fault;
    fault.kind = Fault::Kind::barrier_missed;
    std::memcpy(fault.other.block, index_, sizeof(index_));
    std::memcpy(fault.other.thread, waiting->index, sizeof(waiting->index));
    fault.other.place = waiting->place;
    fault.actor = fault.other;
    if (missing == threads_.end()) {  // the lanes of a warp wait for each other with masks that do not agree
        std::snprintf(fault.text, sizeof(fault.text), "%s; the other lanes of its mask call it with other masks",
                      waiting->waits_for);
    } else if (missing->state == Thread::State::done) {
        std::memcpy(fault.actor.thread, missing->index, sizeof(missing->index));
        std::snprintf(fault.text, sizeof(fault.text), "%s; thread (%u,%u,%u) has ended without reaching it",
                      waiting->waits_for, missing->index[0], missing->index[1], missing->index[2]);
    } else {
        std::memcpy(fault.actor.thread, missing->index, sizeof(missing->index));
        std::snprintf(fault.text, sizeof(fault.text), "%s; thread (%u,%u,%u) waits at %s, line %d, instead",
                      waiting->waits_for, missing->index[0], missing->index[1], missing->index[2], missing->waits_for,
                      missing->place.line);
    }
    worker_.grid().note_fault(fault);
}

}  // namespace mt::simt
