#include "worker.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

namespace mt::simt {
namespace {

__attribute__((tls_model("initial-exec"))) thread_local Worker* worker_of_this_thread = nullptr;

constexpr unsigned char kPoisonByte = 0xFF;  // four or eight of them are a NaN
constexpr uint64_t kTurnsBetweenClocks = 64;
constexpr auto kTimeBetweenPolls = std::chrono::milliseconds(50);

}  // namespace

Worker* current_worker() { return worker_of_this_thread; }

// ---------------------------------------------------------------------------------------------------------- grid

uint64_t Grid::block_count() const { return uint64_t{request.grid[0]} * request.grid[1] * request.grid[2]; }

uint32_t Grid::thread_count() const { return request.block[0] * request.block[1] * request.block[2]; }

void Grid::note_fault(const Fault& found) {
    std::lock_guard lock(mutex);
    if (fault.kind == Fault::Kind::none) fault = found;
    stop = true;
}

// ---------------------------------------------------------------------------------------------------------- memory

GuardedMemory::GuardedMemory(size_t bytes) : bytes_(bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (bytes + page - 1) / page * page;
    mapped_bytes_ = usable + page;
    void* memory = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    mapped_ = static_cast<char*>(memory);
    mprotect(mapped_ + usable, page, PROT_NONE);
    data_ = mapped_ + usable - (bytes + 15) / 16 * 16;
}

GuardedMemory::~GuardedMemory() { munmap(mapped_, mapped_bytes_); }

// ---------------------------------------------------------------------------------------------------------- switching

void Worker::enter_kernel(void* stack_pointer) {
    is_in_kernel_ = true;
    simt_switch(&host_stack_pointer_, stack_pointer);
    is_in_kernel_ = false;
}

void Worker::leave_kernel(void** stack_pointer) { simt_switch(stack_pointer, host_stack_pointer_); }

void Worker::abandon(const Fault& fault) {
    fault_ = fault;
    void* nobody_returns_here = nullptr;
    simt_switch(&nobody_returns_here, host_stack_pointer_);
    __builtin_unreachable();
}

void Worker::fill_actor(Actor* actor, Place place, const void* instruction) const {
    std::memcpy(actor->block, block_->index(), sizeof(actor->block));
    std::memcpy(actor->thread, block_->current().index, sizeof(actor->thread));
    actor->place = place;
    actor->instruction = instruction;
}

bool Worker::should_give_up() {
    if (grid_->stop) return true;
    if (++turns_ % kTurnsBetweenClocks != 0 || grid_->interrupted == nullptr) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_poll_ < kTimeBetweenPolls) return false;
    last_poll_ = now;
    if (!grid_->interrupted()) return false;
    grid_->was_interrupted = true;
    grid_->stop = true;
    return true;
}

// ---------------------------------------------------------------------------------------------------------- blocks

// Other threads take the blocks from the other end, or in any order, as they may on a GPU.
uint64_t Worker::block_in_order(uint64_t turn) const {
    const uint64_t count = grid_->block_count();
    if (grid_->settings.order == Order::descending) return count - 1 - turn;
    if (grid_->settings.order == Order::shuffled) {  // a rotation: all blocks, starting anywhere
        return (turn + grid_->settings.seed % count) % count;
    }
    return turn;
}

// What an earlier block left behind must not look like this one's numbers.
void Worker::poison_shared_memory() {
    char* shared = grid_->module.shared_memory(grid_->request.shared_anchor());
    for (const SharedArray& array : grid_->shared_arrays) std::memset(shared + array.offset, kPoisonByte, array.bytes);
    if (dynamic_) std::memset(dynamic_->data(), kPoisonByte, dynamic_->bytes());
    if (grid_->watch) grid_->watch->forget_shared();
}

void Worker::start_block(uint64_t number) {
    const Request& request = grid_->request;
    const uint32_t index[3] = {static_cast<uint32_t>(number % request.grid[0]),
                               static_cast<uint32_t>(number / request.grid[0] % request.grid[1]),
                               static_cast<uint32_t>(number / request.grid[0] / request.grid[1])};
    block_->start(index);
    poison_shared_memory();
    if (grid_->watch) {
        grid_->watch->enter(*block_, grid_->module.shared_memory(request.shared_anchor()),
                            dynamic_ ? dynamic_->data() : nullptr);
    }
}

// The worker is this CPU thread's while an object of this class lives.
class Worker::Turn {
 public:
    Turn(Worker& worker, Grid& grid) : worker_(worker) {
        worker.grid_ = &grid;
        worker.fault_ = Fault{};
        worker.turns_ = 0;
        worker.last_instruction = nullptr;
        worker.last_poll_ = std::chrono::steady_clock::now();
        const size_t bytes = grid.request.shared_bytes;
        if (bytes == 0)
            worker.dynamic_.reset();
        else if (!worker.dynamic_ || worker.dynamic_->bytes() != bytes)
            worker.dynamic_ = std::make_unique<GuardedMemory>(bytes);
        worker_of_this_thread = &worker;
    }
    ~Turn() {
        worker_of_this_thread = nullptr;
        worker_.grid_ = nullptr;
    }

 private:
    Worker& worker_;
};

void Worker::run_blocks(Grid& grid) {
    const Turn turn(*this, grid);
    block_ = &own_block_;
    const uint64_t count = grid.block_count();
    for (uint64_t next = grid.next_block++; next < count && !grid.stop; next = grid.next_block++) {
        start_block(block_in_order(next));
        const Block::Outcome outcome = block_->run();
        if (fault_.kind != Fault::Kind::none) grid.note_fault(fault_);
        if (outcome == Block::Outcome::at_grid_barrier)
            note_text(block_->current().place, "calls grid.sync() in an ordinary launch; use launch_cooperative(...)");
        if (outcome != Block::Outcome::finished) return;
    }
}

// A block of a cooperative launch while others run. All blocks use this CPU thread, and so one place for their
// __shared__ arrays: what a block has there is put aside meanwhile.
struct Worker::Parked {
    std::unique_ptr<Block> block;
    std::string shared;   // the bytes of the kernel's arrays, one after the other
    std::string dynamic;  // and of its dynamic shared memory
    std::vector<WrittenBits> written;
};

void Worker::park(Parked& parked) {
    const char* shared = grid_->module.shared_memory(grid_->request.shared_anchor());
    parked.shared.clear();
    for (const SharedArray& array : grid_->shared_arrays) parked.shared.append(shared + array.offset, array.bytes);
    if (dynamic_) parked.dynamic.assign(dynamic_->data(), dynamic_->bytes());
    if (grid_->watch) parked.written = grid_->watch->take_shared_written();
}

void Worker::unpark(const Parked& parked) {
    char* shared = grid_->module.shared_memory(grid_->request.shared_anchor());
    size_t position = 0;
    for (const SharedArray& array : grid_->shared_arrays) {
        std::memcpy(shared + array.offset, parked.shared.data() + position, array.bytes);
        position += array.bytes;
    }
    if (dynamic_) std::memcpy(dynamic_->data(), parked.dynamic.data(), dynamic_->bytes());
    if (grid_->watch) {
        grid_->watch->enter(*block_, shared, dynamic_ ? dynamic_->data() : nullptr);
        grid_->watch->restore_shared_written(parked.written);
    }
}

void Worker::note_text(Place place, const char* text) {
    Fault fault;
    fault.kind = Fault::Kind::text;
    fill_actor(&fault.actor, place, nullptr);
    std::snprintf(fault.text, sizeof(fault.text), "%s", text);
    grid_->note_fault(fault);
}

void Worker::run_cooperatively(Grid& grid) {
    const Turn turn(*this, grid);
    const uint64_t count = grid.block_count();
    std::vector<Parked> blocks(count);
    for (uint64_t round = 0, finished = 0; finished < count; round++) {
        finished = 0;
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t number = block_in_order(i);
            Parked& parked = blocks[number];
            if (round == 0) {
                parked.block = std::make_unique<Block>(*this, number * grid.thread_count());
                block_ = parked.block.get();
                start_block(number);
            } else {
                block_ = parked.block.get();
                unpark(parked);
                block_->pass_grid_barrier();
            }
            const Block::Outcome outcome = block_->run();
            if (fault_.kind != Fault::Kind::none) grid.note_fault(fault_);
            if (outcome == Block::Outcome::faulted || outcome == Block::Outcome::interrupted) return;
            if (outcome == Block::Outcome::finished) finished++;
            park(parked);
        }
        if (finished == 0 || finished == count) continue;
        const auto waiting = std::find_if(blocks.begin(), blocks.end(), [](const Parked& parked) {
            return parked.block->current().state == Thread::State::at_grid_barrier;
        });
        block_ = waiting->block.get();
        return note_text(block_->current().place,
                         "waits at grid.sync(), but other blocks have ended without reaching it");
    }
}

}  // namespace mt::simt
