// CPU kernels that make the numbers of an array from one number, or from another dtype's.
//
//   fill   out = value everywhere
//   cast   out = x, element by element converted
#include "../ops/fill_cast.h"

#include <limits>

#include "parallel.h"

namespace mt::cpu {
namespace {

constexpr int64_t kGrain = 32768;  // elements a thread

// The bounds of an integer type, as From holds them: 2^31 and 2^63 are powers of two, so the upper one is exact as `max
// + 1`.
template <class To, class From>
constexpr From upper_bound() {
    return static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
}

template <class To, class From>
inline To convert(From value) {
    if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
        // C++ leaves a conversion that does not fit undefined, so it is made only where it fits.
        constexpr From lowest = static_cast<From>(std::numeric_limits<To>::min());
        constexpr From beyond = upper_bound<To, From>();
        if (value >= beyond) return std::numeric_limits<To>::max();
        if (value >= lowest) return static_cast<To>(value);
        return value < lowest ? std::numeric_limits<To>::min() : To{0};  // neither: NaN
    } else {
        return static_cast<To>(value);
    }
}

template <class From, class To>
void convert_range(const From* from, To* to, int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; i++) to[i] = convert<To>(from[i]);
}

void fill(const NDArray& value, NDArray& out) {
    dispatch_all(out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T number = *value.data<T>();
        T* to = out.data<T>();
        parallel_for(out.size(), kGrain, [=](int64_t begin, int64_t end) { std::fill(to + begin, to + end, number); });
    });
}

void cast(const NDArray& x, NDArray& out) {
    dispatch_all(x.dtype(), [&](auto from_zero) {
        dispatch_all(out.dtype(), [&](auto to_zero) {
            const auto* from = x.data<decltype(from_zero)>();
            auto* to = out.data<decltype(to_zero)>();
            parallel_for(x.size(), kGrain, [=](int64_t begin, int64_t end) { convert_range(from, to, begin, end); });
        });
    });
}

constexpr Rung<FillKernel> kFillRungs[] = {{"simd", "stores one number, threaded", fill}};
constexpr Rung<CastKernel> kCastRungs[] = {{"simd", "converts element by element, vectorised", cast}};

}  // namespace

constexpr Ladder<FillKernel> fill_ladder(kFillRungs);
constexpr Ladder<CastKernel> cast_ladder(kCastRungs);

}  // namespace mt::cpu
