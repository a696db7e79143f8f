// Multiply-adds on numbers in registers, on all threads: what no product can pass.
#include "fma_peak.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <numeric>
#include <vector>

#include "parallel.h"
#include "simd.h"

namespace mt::cpu {
namespace {

// A multiply-add takes four cycles or so until its sum can be used, and a core starts two in each: more sums than that,
// independent of each other, and still few enough to stay in registers.
constexpr int kSums = 12;
constexpr int64_t kRounds = 1 << 16;  // milliseconds: some runs go undisturbed

// Returns a number that depends on all sums, so that the compiler must compute them.
float multiply_add(int64_t rounds) {
    Vector<float> sums[kSums];
    for (int i = 0; i < kSums; i++) sums[i] = Vector<float>{} + static_cast<float>(i);
    Vector<float> factor = Vector<float>{} + 0.999f, addend = Vector<float>{} + 0.001f;
    asm volatile("" : "+m"(factor), "+m"(addend));  // unknown to the compiler
    for (int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int i = 0; i < kSums; i++) sums[i] = sums[i] * factor + addend;
    }
    float total = 0;
    for (const Vector<float>& sum : sums) total += sum[0];
    return total;
}

// Seconds for which the calling thread has had a processor: what else runs on the machine does not count.
double processor_seconds() {
    timespec now = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double best_of_thread(double seconds) {
    const double operations = 2.0 * kSums * kLanes<float> * static_cast<double>(kRounds);
    const double end = processor_seconds() + seconds;
    double best = 0;
    for (double start = processor_seconds(); start < end;) {
        const float result = multiply_add(kRounds);
        asm volatile("" : : "m"(result));  // somebody might want it
        const double now = processor_seconds();
        best = std::max(best, operations / (now - start));
        start = now;
    }
    return best;
}

}  // namespace

double fma_peak(double seconds) {
    const int threads = num_threads();
    std::vector<double> best(threads);
    parallel_for_workers(threads, threads, [&](int64_t, int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) best[i] = best_of_thread(seconds);
    });
    return std::accumulate(best.begin(), best.end(), 0.0);
}

}  // namespace mt::cpu
