// Multiply-adds on numbers in registers, on all threads: what no product can pass.
#include "fma_peak.h"

#include <chrono>
#include <cstdint>

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

}  // namespace

double fma_peak(double seconds) {
    using Clock = std::chrono::steady_clock;
    const auto seconds_since = [](Clock::time_point began) {
        return std::chrono::duration<double>(Clock::now() - began).count();
    };
    const int threads = num_threads();
    const double operations = 2.0 * kSums * kLanes<float> * static_cast<double>(kRounds) * threads;
    volatile float kept = 0;
    double best = 0;
    const Clock::time_point began = Clock::now();
    do {
        const Clock::time_point start = Clock::now();
        parallel_for_workers(threads, threads, [&](int64_t, int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) {
                const float result = multiply_add(kRounds);
                if (result < 0) kept = result;  // never
            }
        });
        best = std::max(best, operations / seconds_since(start));
    } while (seconds_since(began) < seconds);
    (void)kept;
    return best;
}

}  // namespace mt::cpu
