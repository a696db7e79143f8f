// CPU kernel of the SGD step.
//
//   sgd_step   all elements of all parameters are numbered through and shared out in one parallel region: ten small
//              tensors cost one waking of the threads, not ten
#include "../ops/sgd.h"

#include <algorithm>

#include "parallel.h"

namespace mt::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread

// The settings in the parameters' own type, as torch rounds them.
template <class T>
struct Factors {
    T lr, momentum, undamped, weight_decay;

    explicit Factors(const SgdSettings& settings)
        : lr(static_cast<T>(settings.lr)),
          momentum(static_cast<T>(settings.momentum)),
          undamped(static_cast<T>(1.0 - settings.dampening)),
          weight_decay(static_cast<T>(settings.weight_decay)) {}
};

// Without momentum: n elements.
template <class T>
void plain_step(T* parameter, const T* gradient, int64_t n, Factors<T> factors) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const T slope = gradient[i] + factors.weight_decay * parameter[i];
        parameter[i] -= factors.lr * slope;
    }
}

// With momentum: n elements. The two flags are template parameters so that the loop has no branches.
template <bool first_step, bool nesterov, class T>
void momentum_step(T* parameter, const T* gradient, T* velocity, int64_t n, Factors<T> factors) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const T slope = gradient[i] + factors.weight_decay * parameter[i];
        const T speed = first_step ? slope : factors.momentum * velocity[i] + factors.undamped * slope;
        velocity[i] = speed;
        parameter[i] -= factors.lr * (nesterov ? slope + factors.momentum * speed : speed);
    }
}

// Elements [begin, begin + n) of one parameter.
template <class T>
void step(const SgdTensor& tensor, int64_t begin, int64_t n, const SgdSettings& settings) {
    const Factors<T> factors(settings);
    T* parameter = static_cast<T*>(tensor.parameter) + begin;
    const T* gradient = static_cast<const T*>(tensor.gradient) + begin;
    if (tensor.velocity == nullptr) return plain_step(parameter, gradient, n, factors);
    T* velocity = static_cast<T*>(tensor.velocity) + begin;
    if (settings.first_step && settings.nesterov)
        return momentum_step<true, true>(parameter, gradient, velocity, n, factors);
    if (settings.first_step) return momentum_step<true, false>(parameter, gradient, velocity, n, factors);
    if (settings.nesterov) return momentum_step<false, true>(parameter, gradient, velocity, n, factors);
    momentum_step<false, false>(parameter, gradient, velocity, n, factors);
}

void sgd_step(const std::vector<SgdTensor>& tensors, const SgdSettings& settings, DType dtype) {
    int64_t total = 0;
    for (const SgdTensor& tensor : tensors) total += tensor.size;
    dispatch_floating(dtype, [&](auto zero) {
        using T = decltype(zero);
        parallel_for(total, kGrain, [&](int64_t begin, int64_t end) {
            int64_t first = 0;  // the number of the tensor's element 0
            for (const SgdTensor& tensor : tensors) {
                const int64_t from = std::max(begin - first, int64_t{0}), to = std::min(end - first, tensor.size);
                if (from < to) step<T>(tensor, from, to - from, settings);
                first += tensor.size;
            }
        });
    });
}

constexpr Rung<SgdKernel> kRungs[] = {
    {"all_at_once", "one parallel region over all elements of all parameters", sgd_step}};

}  // namespace

constexpr Ladder<SgdKernel> sgd_ladder(kRungs);

}  // namespace mt::cpu
