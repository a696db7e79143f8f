// What a kernel did wrong. A fault is noted as plain facts where it happens (on a kernel's stack, or in a signal
// handler, where no memory may be allocated) and put into words later.
#pragma once

#include <cstdint>

#include "runtime.h"

namespace mt::simt {

// A thread of the grid, and where in the source it was: a place that the kernel told, or an instruction.
struct Actor {
    uint32_t block[3] = {0, 0, 0};
    uint32_t thread[3] = {0, 0, 0};
    Place place;
    const void* instruction = nullptr;
};

struct Fault {
    enum class Kind : uint8_t {
        none,
        out_of_bounds,       // of an array that the arena, or a block's shared memory, holds
        freed,               // an array that is no more
        bad_address,         // no array's
        not_written,         // a read of memory nobody wrote
        misaligned,          // an address that is no multiple of the access's size
        race,                // with `other`
        fixed_array,         // an index beyond an array of fixed size; text: its type
        different_barriers,  // `actor` is at one barrier while `other` waits at another
        barrier_missed,      // `other` waits at a barrier, `actor` has ended or waits elsewhere; text: at what
        stack_overflow,
        division_by_zero,
        illegal_instruction,
        endless_loop,  // more steps than allowed
        trace_full,
        text,  // said by the kernel or the emulator
    };

    Kind kind = Kind::none;
    Actor actor;
    AccessKind access = AccessKind::read;
    const void* address = nullptr;
    uint64_t bytes = 0;
    // Where it is known already: the array, its size and which element of it. An index besides for fixed_array, the
    // steps for endless_loop.
    const char* array = nullptr;
    int64_t index = 0;
    int64_t size = 0;
    Actor other;
    AccessKind other_access = AccessKind::read;
    char text[200] = "";
};

}  // namespace mt::simt
