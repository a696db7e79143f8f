// One block: its threads, the barriers where they wait for each other, and whose turn it is.
//
// A thread runs until it ends or has to wait. One stack serves a thread after the other as long as none waits; a thread
// that waits keeps its stack, and the next one gets another. So a kernel without barriers is a loop over its threads.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "context.h"
#include "fault.h"

namespace mt::simt {

class Worker;

struct Thread {
    enum class State : uint8_t { not_started, ready, running, at_block_barrier, at_warp_call, at_grid_barrier, done };

    uint16_t number = 0;
    uint32_t index[3] = {0, 0, 0};
    State state = State::not_started;
    void* stack_pointer = nullptr;
    size_t stack = 0;  // its number in the worker's pool
    Place place;       // of the barrier where it waits
    const char* waits_for = "";
    uint16_t warp_epoch = 0;
    uint64_t steps = 0;
    struct AsyncCopy {
        void* to;
        const void* from;
        size_t bytes;
        Place place;
    };
    std::vector<std::vector<AsyncCopy>> async_batches;  // the last one is not committed yet
};

class Block {
 public:
    enum class Outcome : uint8_t { finished, at_grid_barrier, faulted, interrupted };

    // first_stack: where its stacks begin in the worker's pool.
    explicit Block(Worker& worker, size_t first_stack = 0) : worker_(worker), first_stack_(first_stack) {}

    // Makes it block `index` of the launch, none of its threads started.
    void start(const uint32_t index[3]);
    // Runs the threads until all have ended or wait for the grid. On the worker's own stack.
    Outcome run();
    void pass_grid_barrier();  // all blocks have reached it

    // What the kernel calls, on its threads' stacks.
    int block_barrier(Vote vote, int predicate, Place place);
    void warp_call(uint32_t mask, const char* name, void* operand, WarpFunction function, Place place,
                   bool orders_memory);
    void grid_barrier(Place place);
    void let_others_run();
    uint32_t running_lanes() const;

    Thread& current() { return *current_; }
    const uint32_t* index() const { return index_; }
    uint32_t number() const { return number_; }
    uint32_t block_epoch() const { return block_epoch_; }
    uint16_t grid_epoch() const { return grid_epoch_; }
    const std::vector<Thread>& threads() const { return threads_; }

    // Runs threads on the stack that was just switched to.
    void serve_stack();

 private:
    // A call that lanes of a warp make together, while some are still to come.
    struct WarpCall {
        uint32_t mask, arrived;
        const char* name;
        WarpFunction function;
        bool orders_memory;
        void* operands[32];
    };

    Thread* next();
    void resume(Thread& thread);
    bool take_next_unstarted();
    void become(Thread& thread);
    void end_current();
    void wait();  // back to the worker until it is this thread's turn again
    void release(Thread& thread);
    void complete_warp_calls(size_t warp);
    uint32_t unfinished_lanes(size_t warp) const;
    void report_deadlock();

    Worker& worker_;
    size_t first_stack_;
    uint32_t index_[3] = {0, 0, 0};
    uint32_t number_ = 0;
    std::vector<Thread> threads_;
    std::vector<uint16_t> order_;  // in which the threads start
    size_t next_unstarted_ = 0;
    std::deque<uint16_t> ready_;
    Thread* current_ = nullptr;
    size_t unfinished_ = 0;
    std::vector<size_t> idle_stacks_;
    size_t stacks_used_ = 0;

    size_t arrived_ = 0;  // at the block's barrier
    int votes_ = 0;       // of these, with the predicate
    int vote_result_ = 0;
    Vote vote_ = Vote::none;
    Thread* first_arrived_ = nullptr;
    uint32_t block_epoch_ = 0;
    uint16_t grid_epoch_ = 0;
    size_t at_grid_barrier_ = 0;
    std::vector<std::vector<WarpCall>> warp_calls_;  // of each warp, those that wait for lanes
};

}  // namespace mt::simt
