#include "context.h"

#include <sys/mman.h>

#include <new>

namespace mt::simt {

#if defined(__x86_64__)

asm(R"(
.text
.globl simt_switch
.hidden simt_switch
.type simt_switch, @function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size simt_switch, .-simt_switch
)");

void* prepare_stack(char* top, void (*entry)()) {
    auto* slots = reinterpret_cast<uintptr_t*>(top);  // a multiple of 16
    *--slots = 0;                                     // as after a call: the stack is 8 off a multiple of 16
    *--slots = reinterpret_cast<uintptr_t>(entry);
    for (int i = 0; i < 6; i++) *--slots = 0;
    return slots;
}

#elif defined(__aarch64__)

asm(R"(
.text
.globl simt_switch
.hidden simt_switch
.type simt_switch, %function
simt_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
.size simt_switch, .-simt_switch
)");

void* prepare_stack(char* top, void (*entry)()) {
    auto* slots = reinterpret_cast<uintptr_t*>(top) - 20;
    for (int i = 0; i < 20; i++) slots[i] = 0;
    slots[11] = reinterpret_cast<uintptr_t>(entry);  // x30, where ret goes
    return slots;
}

#else
#error "the emulator's stacks are written for x86-64 and aarch64"
#endif

namespace {

constexpr size_t kStacksInChunk = 32;
constexpr size_t kUsableBytes = 64 * 1024;
// Not a power of two, and each top 64 bytes on: stacks at equal distances would fight for the same lines of the cache.
constexpr size_t kStride = kUsableBytes + StackPool::kGuardBytes;
constexpr size_t kStagger = 64;

}  // namespace

StackPool::~StackPool() {
    for (char* chunk : chunks_) munmap(chunk, kStacksInChunk * kStride);
}

void StackPool::add_chunk() {
    void* memory = mmap(nullptr, kStacksInChunk * kStride, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    chunks_.push_back(static_cast<char*>(memory));
    for (size_t i = 0; i < kStacksInChunk; i++) {
        char* guard = chunks_.back() + i * kStride;
        mprotect(guard, kGuardBytes, PROT_NONE);
        stacks_.push_back({guard, guard + kStride - i * kStagger});
    }
}

const Stack& StackPool::operator[](size_t index) {
    while (index >= stacks_.size()) add_chunk();
    return stacks_[index];
}

}  // namespace mt::simt
