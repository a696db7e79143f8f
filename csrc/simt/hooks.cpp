// What the compiler calls in the watched build. -fsanitize=thread makes it announce every access of memory,
// -fsanitize=bounds every index beyond an array of fixed size, -fsanitize-coverage=trace-pc every stretch of straight
// code. Usually the compiler's own run-time libraries hear that; here they are not linked, and the emulator does.
#include <cstdio>
#include <cstring>

#include "worker.h"

namespace mt::simt {
namespace {

constexpr uint64_t kStepsBetweenTurns = uint64_t{1} << 22;  // then the worker gets a chance to see Ctrl-C

inline void seen(AccessKind kind, const void* address, size_t bytes, const void* return_address) {
    Worker* worker = current_worker();
    if (worker == nullptr || !worker->is_in_kernel()) return;
    // The call is the instruction before the one it returns to.
    worker->last_instruction = static_cast<const char*>(return_address) - 1;
    worker->grid().watch->access(kind, address, bytes, {}, worker->last_instruction);
}

// The compiler's notes of an index: where it stands, and the array's type.
struct IndexNotes {
    const char* file;
    uint32_t line, column;
    const struct TypeNotes {
        uint16_t kind, info;
        char name[1];
    }* array_type;
};

void count_step(const void* return_address) {
    Worker* worker = current_worker();
    if (worker == nullptr || !worker->is_in_kernel()) return;
    worker->last_instruction = static_cast<const char*>(return_address) - 1;
    const uint64_t steps = ++worker->block().current().steps;
    if (steps % kStepsBetweenTurns == 0) worker->block().let_others_run();
    if (steps <= worker->grid().settings.step_limit) return;
    Fault fault;
    fault.kind = Fault::Kind::endless_loop;
    fault.index = static_cast<int64_t>(steps - 1);
    worker->fill_actor(&fault.actor, {}, worker->last_instruction);
    worker->abandon(fault);
}

}  // namespace

void report_access(AccessKind kind, const void* address, size_t bytes, Place place) {
    Worker* worker = current_worker();
    if (worker != nullptr && worker->is_in_kernel() && worker->grid().watch)
        worker->grid().watch->access(kind, address, bytes, place, nullptr);
}

}  // namespace mt::simt

using mt::simt::AccessKind;
using mt::simt::seen;

extern "C" {

#define SIMT_HOOKS(bytes)                                                     \
    SIMT_EXPORT void __tsan_read##bytes(const void* address) {                \
        seen(AccessKind::read, address, bytes, __builtin_return_address(0));  \
    }                                                                         \
    SIMT_EXPORT void __tsan_write##bytes(const void* address) {               \
        seen(AccessKind::write, address, bytes, __builtin_return_address(0)); \
    }                                                                         \
    SIMT_EXPORT void __tsan_volatile_read##bytes(const void* address) {       \
        seen(AccessKind::read, address, bytes, __builtin_return_address(0));  \
    }                                                                         \
    SIMT_EXPORT void __tsan_volatile_write##bytes(const void* address) {      \
        seen(AccessKind::write, address, bytes, __builtin_return_address(0)); \
    }                                                                         \
    SIMT_EXPORT void __tsan_unaligned_read##bytes(const void* address) {      \
        seen(AccessKind::read, address, bytes, __builtin_return_address(0));  \
    }                                                                         \
    SIMT_EXPORT void __tsan_unaligned_write##bytes(const void* address) {     \
        seen(AccessKind::write, address, bytes, __builtin_return_address(0)); \
    }
SIMT_HOOKS(1)
SIMT_HOOKS(2)
SIMT_HOOKS(4)
SIMT_HOOKS(8)
SIMT_HOOKS(16)
#undef SIMT_HOOKS

// A structure of another size, such as a float3: word by word.
SIMT_EXPORT void __tsan_read_range(const char* address, unsigned long bytes) {
    for (unsigned long i = 0; i < bytes; i += 4) seen(AccessKind::read, address + i, 4, __builtin_return_address(0));
}
SIMT_EXPORT void __tsan_write_range(const char* address, unsigned long bytes) {
    for (unsigned long i = 0; i < bytes; i += 4) seen(AccessKind::write, address + i, 4, __builtin_return_address(0));
}

SIMT_EXPORT void __tsan_init() {}
SIMT_EXPORT void __tsan_func_entry(void*) {}
SIMT_EXPORT void __tsan_func_exit() {}
SIMT_EXPORT void __tsan_vptr_update(void*, void*) {}
SIMT_EXPORT void __tsan_vptr_read(void*) {}

SIMT_EXPORT void __ubsan_handle_out_of_bounds(const mt::simt::IndexNotes* notes, unsigned long index) {
    using namespace mt::simt;
    Worker* worker = current_worker();
    if (worker == nullptr || !worker->is_in_kernel()) return;
    Fault fault;
    fault.kind = Fault::Kind::fixed_array;
    fault.index = static_cast<int64_t>(index);
    std::snprintf(fault.text, sizeof(fault.text), "%s", notes->array_type->name);
    worker->fill_actor(&fault.actor, {notes->file, static_cast<int>(notes->line)}, nullptr);
    worker->abandon(fault);
}

SIMT_EXPORT void __sanitizer_cov_trace_pc() { mt::simt::count_step(__builtin_return_address(0)); }

}  // extern "C"
