// A launch, and the CPU threads that run its blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "block.h"
#include "context.h"
#include "emulator.h"
#include "fault.h"
#include "module.h"
#include "watch.h"

namespace mt::simt {

constexpr uint32_t kMaxThreads = 1024;               // of a block
constexpr size_t kMaxStaticSharedBytes = 48 * 1024;  // of a block
constexpr size_t kMaxSharedBytes = 227 * 1024;       // static and dynamic together, on an H100
constexpr uint64_t kMaxCooperativeThreads = 64 * 1024;

// Memory that ends where an unmapped page starts.
class GuardedMemory {
 public:
    explicit GuardedMemory(size_t bytes);
    ~GuardedMemory();
    GuardedMemory(const GuardedMemory&) = delete;
    GuardedMemory& operator=(const GuardedMemory&) = delete;
    char* data() const { return data_; }
    size_t bytes() const { return bytes_; }

 private:
    char* mapped_;
    size_t mapped_bytes_;
    char* data_;
    size_t bytes_;
};

// What all workers of a launch share.
struct Grid {
    Grid(const Request& request, const Settings& settings, Module& module)
        : request(request), settings(settings), module(module) {}

    const Request& request;
    const Settings& settings;
    Module& module;
    std::string kernel;                      // its name
    std::vector<SharedArray> shared_arrays;  // of the kernel
    Watch* watch = nullptr;                  // in the watched build

    // An array among the arguments, and what reports call it.
    struct NamedArray {
        std::string name;
        char* begin;
        size_t bytes;
        uint32_t element_bytes;
        Allocation* allocation;
        char type;
        bool is_written;
    };
    std::vector<NamedArray> arrays;
    const NamedArray* array_at(const void* address) const;  // nullptr: of none

    bool (*interrupted)() = nullptr;

    uint64_t block_count() const;
    uint32_t thread_count() const;

    std::atomic<uint64_t> next_block{0};
    std::atomic<bool> stop{false};  // a fault was found, or the launch was interrupted
    std::mutex mutex;
    Fault fault;  // the first
    bool was_interrupted = false;

    void note_fault(const Fault& found);
};

// Runs blocks on the CPU thread that calls it. Kept from launch to launch, with its stacks.
class Worker {
 public:
    void run_blocks(Grid& grid);         // takes one block after the other
    void run_cooperatively(Grid& grid);  // all blocks in turn, from grid barrier to grid barrier

    Grid& grid() { return *grid_; }
    StackPool& stacks() { return stacks_; }
    Block& block() { return *block_; }
    char* dynamic_shared() { return dynamic_->data(); }
    bool is_in_kernel() const { return is_in_kernel_; }

    // Between the worker's own stack and a thread's.
    void enter_kernel(void* stack_pointer);
    void leave_kernel(void** stack_pointer);
    // Gives the thread that runs up: notes the fault and goes back to the worker's own stack for good.
    [[noreturn]] void abandon(const Fault& fault);

    const Fault& fault() const { return fault_; }
    bool should_give_up();  // looks for Ctrl-C now and then

    void fill_actor(Actor* actor, Place place, const void* instruction) const;

    // The kernel's latest instruction that the watched build announced: where it is when the emulator's own code faults
    // for it.
    const void* last_instruction = nullptr;

 private:
    class Turn;
    struct Parked;

    void start_block(uint64_t number);
    void park(Parked& parked);
    void unpark(const Parked& parked);
    void note_text(Place place, const char* text);
    void poison_shared_memory();
    uint64_t block_in_order(uint64_t turn) const;

    Grid* grid_ = nullptr;
    Block* block_ = nullptr;
    Block own_block_{*this};
    StackPool stacks_;
    std::unique_ptr<GuardedMemory> dynamic_;
    void* host_stack_pointer_ = nullptr;
    bool is_in_kernel_ = false;
    Fault fault_;
    uint64_t turns_ = 0;
    std::chrono::steady_clock::time_point last_poll_;
};

// The worker of this CPU thread while it runs a launch; else nullptr.
Worker* current_worker();

std::string text_of(const Fault& fault, const Grid& grid);

}  // namespace mt::simt
