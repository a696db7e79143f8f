// Switching between stacks: the emulator gives each thread of a block that has to wait a stack of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mt::simt {

// Saves the registers that a function must preserve on the current stack, notes that stack in *from, and goes on where
// `to` was left. About as costly as a function call.
extern "C" void simt_switch(void** from, void* to);

// A stack that, when switched to, starts `entry` (which never returns).
void* prepare_stack(char* top, void (*entry)());

struct Stack {
    char* guard = nullptr;  // a page that cannot be touched: the stack ends above it
    char* top = nullptr;
};

// Stacks for as many threads as ever waited at once.
class StackPool {
 public:
    StackPool() = default;
    ~StackPool();
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;

    const Stack& operator[](size_t index);  // made when first asked for

    static constexpr size_t kGuardBytes = 4096;

 private:
    void add_chunk();

    std::vector<char*> chunks_;
    std::vector<Stack> stacks_;
};

}  // namespace mt::simt
