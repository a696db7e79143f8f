// The threads that help the one that calls a kernel. Written for cores that may be wanted elsewhere: nobody waits for a
// thread that has not begun, and nobody spins for long.
#pragma once

#include <cstdint>

namespace mt::cpu {

// One range of a kernel's work: function(body, worker).
using RangeFunction = void (*)(const void* body, int64_t worker);

// Calls function(body, worker) once for each worker from 0 to workers - 1 (at most 1024), on the calling thread and on
// those of the pool, and returns when all of them have returned. Worker 0 is always the caller; where no other
// gets a core, the caller does them all. A caller who finds the pool in use does, too.
void run_on_pool(int64_t workers, RangeFunction function, const void* body);

}  // namespace mt::cpu
