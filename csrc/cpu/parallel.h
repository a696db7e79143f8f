// How CPU kernels use all cores.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mt::cpu {

// Threads a kernel may use: OMP_NUM_THREADS or the number of cores at first, then what set_num_threads said. 1 in a forked child process, whose
// parent's thread pool is gone.
int num_threads();
void set_num_threads(int threads);

// Cuts [0, count) into one contiguous range a thread and calls body(begin, end) on each; at least `grain` items a thread, so that small
// work does not pay for waking threads. The cut depends on the number of threads, so body must compute the same bits for an item
// whichever range it is in: give each output element to one item, and never sum across items.
template <class Body>
void parallel_for(int64_t count, int64_t grain, const Body& body) {
    if (count <= 0) return;
    const int64_t wanted = std::min<int64_t>(num_threads(), count / std::max<int64_t>(grain, 1));
    if (wanted <= 1) {
        body(int64_t{0}, count);
        return;
    }
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(static_cast<int>(wanted))
#endif
    for (int64_t thread = 0; thread < wanted; thread++) {
        body(count * thread / wanted, count * (thread + 1) / wanted);
    }
}

}  // namespace mt::cpu
