// What a compiled kernel calls in the emulator. Only C headers here: each kernel file includes this.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIMT_EXPORT __attribute__((visibility("default")))

// Default arguments, so that a function of cuda.h knows the line of the kernel that called it.
#define SIMT_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace mt::simt {

struct Place {
    const char* file = nullptr;
    int line = 0;
};

// ---------------------------------------------------------------------------------------------------------- launches

struct Argument {
    const void* pointer;  // nullptr: not a pointer
    uint32_t bytes;       // of an element
    char type;            // as in emulator.h's Array
    bool is_written;      // the kernel may write there: not a pointer to const
};

struct Request {
    const char* text;    // launch()'s arguments as they were written: "im2col<T>, grid, ..."
    const void* kernel;  // the function
    void (*call)(const void* kernel, void** values);  // calls it
    void** values;                                    // addresses of its arguments
    const Argument* arguments;                        // one a value
    size_t count;                                     // of the arguments
    uint32_t grid[3], block[3];
    size_t shared_bytes;
    void* (*shared_anchor)();  // an address in the shared memory of the calling CPU thread
    bool is_watched;           // the library reports its accesses
    bool is_cooperative;
};

// Runs the whole grid. Throws SimtError with what the kernel did wrong.
SIMT_EXPORT void run(const Request& request);

SIMT_EXPORT void* dynamic_shared_memory();

// ---------------------------------------------------------------------------------------------------------- threads

enum class Vote : uint8_t { none, count, all, any };

// __syncthreads and its relatives. Returns the vote's outcome.
SIMT_EXPORT int block_barrier(Vote vote, int predicate, Place place);

// All lanes of `mask` call this; the last one runs function(lanes, operands) for all: bit i of lanes is set when lane i
// takes part, and operands[i] is then what it passed. Then all go on.
using WarpFunction = void (*)(uint32_t lanes, void** operands);
SIMT_EXPORT void warp_call(uint32_t mask, const char* name, void* operand, WarpFunction function, Place place);
SIMT_EXPORT void warp_barrier(uint32_t mask, Place place);
SIMT_EXPORT uint32_t warp_vote(uint32_t mask, bool predicate, Place place);  // a bit for each lane with the predicate

// Every lane gets the value of the lane `source`.
SIMT_EXPORT uint64_t warp_shuffle(uint32_t mask, const char* name, uint64_t value, int source, Place place);

SIMT_EXPORT uint32_t running_lanes();  // of the calling thread's warp
SIMT_EXPORT int lane_id();
SIMT_EXPORT void grid_barrier(Place place);
SIMT_EXPORT void fence();  // __threadfence
SIMT_EXPORT void let_others_run();

// Ends the launch with this message; callable in a kernel only.
[[noreturn]] SIMT_EXPORT void fail(const char* message, Place place);

// ---------------------------------------------------------------------------------------------------------- memory

// Tells the watch of an access that the compiler's instrumentation does not see.
enum class AccessKind : uint8_t { read, write, atomic };
SIMT_EXPORT void report_access(AccessKind kind, const void* address, size_t bytes, Place place);

// cp.async: the copies of a batch take place when the thread waits for it.
SIMT_EXPORT void async_copy(void* to, const void* from, size_t bytes, Place place);
SIMT_EXPORT void async_commit();
SIMT_EXPORT void async_wait(size_t batches_left);

}  // namespace mt::simt
