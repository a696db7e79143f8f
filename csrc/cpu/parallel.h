// How CPU kernels use all cores.
#pragma once

#include <algorithm>
#include <cstdint>

#include "thread_pool.h"

namespace mt::cpu {

// Threads a kernel may use: OMP_NUM_THREADS or the number of cores at first, then what set_num_threads said. 1 in a
// forked child process, whose parent's thread pool is gone.
int num_threads();
void set_num_threads(int threads);

// How many threads share `count` items: at least `grain` items a thread, so that small work does not pay for waking
// threads.
inline int64_t worker_count(int64_t count, int64_t grain) {
    return std::max<int64_t>(1, std::min<int64_t>(num_threads(), count / std::max<int64_t>(grain, 1)));
}

// Cuts [0, count) into one contiguous range a worker and calls body(worker, begin, end) on each, for kernels whose
// threads need memory of their own: the caller asks worker_count and allocates before. The cut depends on the number of
// threads, so body must compute the same bits for an item whichever range it is in: give each output element to one
// item, and never sum across items.
template <class Body>
void parallel_for_workers(int64_t count, int64_t workers, const Body& body) {
    if (count <= 0) return;
    if (workers == 1) {
        body(int64_t{0}, int64_t{0}, count);
        return;
    }
    const auto range = [&](int64_t worker) { body(worker, count * worker / workers, count * (worker + 1) / workers); };
    using Range = decltype(range);
    run_on_pool(workers, [](const void* body, int64_t worker) { (*static_cast<Range*>(body))(worker); }, &range);
}

// The same for kernels that need no memory of their own: body(begin, end), at least `grain` items a thread.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
    parallel_for_workers(count, worker_count(count, grain),
                         [&](int64_t, int64_t begin, int64_t end) { body(begin, end); });
}

}  // namespace mt::cpu
