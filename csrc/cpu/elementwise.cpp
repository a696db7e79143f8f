// CPU kernels of the broadcasting ops: every output element is computed from one element of each input.
//
//   add ... ge    out = a op b, run by run: the inputs go on by one, or one of them stands still (a bias, a number)
//   where         out = mask ? a : b
//   add_scaled_   destination += scale * source
//   broadcast     out = source, repeated
#include "../ops/elementwise.h"

#include <cmath>
#include <type_traits>

#include "parallel.h"
#include "runs.h"

namespace mt::cpu {
namespace {

constexpr int64_t kCheapGrain = 32768;  // elements a thread: about as long as waking it takes
constexpr int64_t kCostlyGrain = 1024;  // where an element takes a call of the mathematical library

// Integers are computed without a sign, where C++ defines overflow: it wraps around.
template <class T, class Operation>
inline T wrapping(T a, T b, Operation operation) {
    if constexpr (std::is_integral_v<T>) {
        // 64 bits, because C++ makes a (signed) int of anything narrower.
        return static_cast<T>(operation(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
    } else {
        return operation(a, b);
    }
}

struct Add {
    template <class T>
    static T apply(T a, T b) {
        return wrapping(a, b, [](auto x, auto y) { return x + y; });
    }
};
struct Sub {
    template <class T>
    static T apply(T a, T b) {
        return wrapping(a, b, [](auto x, auto y) { return x - y; });
    }
};
struct Mul {
    template <class T>
    static T apply(T a, T b) {
        return wrapping(a, b, [](auto x, auto y) { return x * y; });
    }
};
// A NaN wins, whichever side it is on. `|`, not `||`: no branch.
struct Maximum {
    template <class T>
    static T apply(T a, T b) {
        return (a > b) | (a != a) ? a : b;
    }
};
struct Minimum {
    template <class T>
    static T apply(T a, T b) {
        return (a < b) | (a != a) ? a : b;
    }
};
struct Div {
    template <class T>
    static T apply(T a, T b) {
        return a / b;
    }
};
// The quotient cut toward zero. Of whole numbers, the smallest has no opposite: divided by -1, it wraps around.
struct DivTrunc {
    template <class T>
    static T apply(T a, T b) {
        if constexpr (std::is_floating_point_v<T>) return std::trunc(a / b);
        if constexpr (std::is_signed_v<T>) {
            if (b == T(-1)) return Sub::apply(T{0}, a);
        }
        return a / b;
    }
};
// The next whole number below the quotient, or the quotient itself if it is whole.
struct DivFloor {
    template <class T>
    static T apply(T a, T b) {
        if constexpr (std::is_floating_point_v<T>) {
            return of_floating(a, b);
        } else {
            const T quotient = DivTrunc::apply(a, b);
            if constexpr (std::is_signed_v<T>) {
                const bool was_cut = Mul::apply(quotient, b) != a;
                if (was_cut && (a < 0) != (b < 0)) return quotient - 1;
            }
            return quotient;
        }
    }

    // Not floor(a / b): where the division rounds up to a whole number, that would be one too many. The remainder is
    // exact, so a - remainder is a multiple of b, and the division below has nothing but its own rounding to undo.
    template <class T>
    static T of_floating(T a, T b) {
        if (b == 0) return a / b;
        const T remainder = std::fmod(a, b);
        T quotient = (a - remainder) / b;
        if (remainder != 0 && (remainder < 0) != (b < 0)) quotient -= 1;
        if (quotient == 0) return std::copysign(T{0}, a / b);
        const T floored = std::floor(quotient);
        return quotient - floored > T(0.5) ? floored + 1 : floored;
    }
};
struct Pow {
    template <class T>
    static T apply(T a, T b) {
        if constexpr (std::is_floating_point_v<T>) {
            return std::pow(a, b);
        } else {
            return of_integers(a, b);
        }
    }

    // By squaring: one step for each bit of the exponent.
    template <class T>
    static T of_integers(T base, T exponent) {
        if constexpr (std::is_signed_v<T>) {
            if (exponent < 0) {  // 1 / base^-exponent, cut toward zero
                if (base == 1 || base == -1) return exponent % 2 == 0 ? 1 : base;
                return 0;
            }
        }
        T result = 1;
        for (; exponent > 0; exponent /= 2) {
            if (exponent % 2 == 1) result = Mul::apply(result, base);
            base = Mul::apply(base, base);
        }
        return result;
    }
};
struct Equal {
    template <class T>
    static uint8_t apply(T a, T b) {
        return a == b;
    }
};
struct NotEqual {
    template <class T>
    static uint8_t apply(T a, T b) {
        return a != b;
    }
};
struct Less {
    template <class T>
    static uint8_t apply(T a, T b) {
        return a < b;
    }
};
struct LessEqual {
    template <class T>
    static uint8_t apply(T a, T b) {
        return a <= b;
    }
};
struct Greater {
    template <class T>
    static uint8_t apply(T a, T b) {
        return a > b;
    }
};
struct GreaterEqual {
    template <class T>
    static uint8_t apply(T a, T b) {
        return a >= b;
    }
};

// One run of n elements. a_step and b_step are 1, or 0 for an operand that stands still; not both 0 unless n is 1.
template <class Operation, class T, class Result>
void compute_run(const T* a, int64_t a_step, const T* b, int64_t b_step, Result* out, int64_t n) {
    if (a_step == 0) {
        const T still = *a;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) out[i] = Operation::apply(still, b[i]);
    } else if (b_step == 0) {
        const T still = *b;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) out[i] = Operation::apply(a[i], still);
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) out[i] = Operation::apply(a[i], b[i]);
    }
}

template <class Operation, class T, class Result>
void compute(const Broadcast<2>& plan, const T* a, const T* b, Result* out, int64_t grain) {
    const auto& step = plan.strides[plan.ndim - 1];
    parallel_for(plan.size, grain, [&](int64_t begin, int64_t end) {
        for_each_run(plan, begin, end, [&](int64_t at, const std::array<int64_t, 2>& offsets, int64_t length) {
            compute_run<Operation>(a + offsets[0], step[0], b + offsets[1], step[1], out + at, length);
        });
    });
}

template <class Operation>
void arithmetic(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out,
                int64_t grain = kCheapGrain) {
    dispatch_all(a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        compute<Operation>(plan, a.data<T>(), b.data<T>(), out.data<T>(), grain);
    });
}

template <class Operation>
void comparison(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    dispatch_all(a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        compute<Operation>(plan, a.data<T>(), b.data<T>(), out.data<uint8_t>(), kCheapGrain);
    });
}

template <class Operation>
void floating(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    dispatch_floating(a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        compute<Operation>(plan, a.data<T>(), b.data<T>(), out.data<T>(), kCheapGrain);
    });
}

bool is_one_number(const NDArray& array, int number) {
    bool is_it = false;
    dispatch_all(array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        is_it = array.size() == 1 && *array.data<T>() == static_cast<T>(number);
    });
    return is_it;
}

// One run of n elements of `where`. Both sides are loaded, so that there is no branch over a load.
template <bool a_stands_still, bool b_stands_still, class T>
void choose_run(const uint8_t* mask, const T* a, const T* b, T* out, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const T if_true = a[a_stands_still ? 0 : i], if_false = b[b_stands_still ? 0 : i];
        out[i] = mask[i] != 0 ? if_true : if_false;
    }
}

template <class T>
void choose(const uint8_t* mask, int64_t mask_step, const T* a, int64_t a_step, const T* b, int64_t b_step, T* out,
            int64_t n) {
    if (mask_step == 0) {  // one side all along
        const T* chosen = *mask != 0 ? a : b;
        const int64_t step = *mask != 0 ? a_step : b_step;
        for (int64_t i = 0; i < n; i++) out[i] = chosen[i * step];
    } else if (a_step == 0 && b_step == 0) {
        choose_run<true, true>(mask, a, b, out, n);
    } else if (a_step == 0) {
        choose_run<true, false>(mask, a, b, out, n);
    } else if (b_step == 0) {
        choose_run<false, true>(mask, a, b, out, n);
    } else {
        choose_run<false, false>(mask, a, b, out, n);
    }
}

void add(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<Add>(plan, a, b, out);
}
void sub(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<Sub>(plan, a, b, out);
}
void mul(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<Mul>(plan, a, b, out);
}
void maximum(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<Maximum>(plan, a, b, out);
}
void minimum(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<Minimum>(plan, a, b, out);
}
void div(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) { floating<Div>(plan, a, b, out); }
void div_trunc(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<DivTrunc>(plan, a, b, out);
}
void div_floor(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    arithmetic<DivFloor>(plan, a, b, out, kCostlyGrain);
}
void pow(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    if (is_one_number(b, 2)) {  // x ** 2, the most frequent power: x * x
        Broadcast<2> twice = plan;
        for (size_t dim = 0; dim < plan.ndim; dim++) twice.strides[dim][1] = plan.strides[dim][0];
        return arithmetic<Mul>(twice, a, a, out);
    }
    arithmetic<Pow>(plan, a, b, out, kCostlyGrain);
}
void eq(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    comparison<Equal>(plan, a, b, out);
}
void ne(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    comparison<NotEqual>(plan, a, b, out);
}
void lt(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    comparison<Less>(plan, a, b, out);
}
void le(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    comparison<LessEqual>(plan, a, b, out);
}
void gt(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    comparison<Greater>(plan, a, b, out);
}
void ge(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out) {
    comparison<GreaterEqual>(plan, a, b, out);
}

void where(const Broadcast<3>& plan, const NDArray& mask, const NDArray& a, const NDArray& b, NDArray& out) {
    const auto& step = plan.strides[plan.ndim - 1];
    const uint8_t* from_mask = mask.data<uint8_t>();
    dispatch_all(a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* from_a = a.data<T>();
        const T* from_b = b.data<T>();
        T* to = out.data<T>();
        parallel_for(plan.size, kCheapGrain, [&](int64_t begin, int64_t end) {
            for_each_run(plan, begin, end, [&](int64_t at, const std::array<int64_t, 3>& offsets, int64_t length) {
                choose(from_mask + offsets[0], step[0], from_a + offsets[1], step[1], from_b + offsets[2], step[2],
                       to + at, length);
            });
        });
    });
}

void add_scaled_(const Broadcast<2>& plan, const NDArray& scale, const NDArray& source, NDArray& destination) {
    const int64_t source_step = plan.strides[plan.ndim - 1][1];
    dispatch_all(destination.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T factor = *scale.data<T>();
        const T* from = source.data<T>();
        T* to = destination.data<T>();
        parallel_for(plan.size, kCheapGrain, [&](int64_t begin, int64_t end) {
            for_each_run(plan, begin, end, [=](int64_t at, const std::array<int64_t, 2>& offsets, int64_t length) {
                const T* values = from + offsets[1];
                if (source_step == 0) {
                    const T addend = Mul::apply(factor, *values);
#pragma omp simd
                    for (int64_t i = 0; i < length; i++) to[at + i] = Add::apply(to[at + i], addend);
                } else {
#pragma omp simd
                    for (int64_t i = 0; i < length; i++)
                        to[at + i] = Add::apply(to[at + i], Mul::apply(factor, values[i]));
                }
            });
        });
    });
}

void broadcast(const Broadcast<1>& plan, const NDArray& source, NDArray& out) {
    const int64_t step = plan.strides[plan.ndim - 1][0];
    dispatch_all(source.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* from = source.data<T>();
        T* to = out.data<T>();
        parallel_for(plan.size, kCheapGrain, [&](int64_t begin, int64_t end) {
            for_each_run(plan, begin, end, [=](int64_t at, const std::array<int64_t, 1>& offsets, int64_t length) {
                if (step == 0)
                    std::fill_n(to + at, length, from[offsets[0]]);
                else
                    std::copy_n(from + offsets[0], length, to + at);
            });
        });
    });
}

constexpr const char* kIdea =
    "runs along the last joined dimension, vectorised; an operand that is repeated stays in a register";

template <BinaryKernel* kernel>
constexpr Rung<BinaryKernel> simd[] = {{"simd", kIdea, kernel}};
constexpr Rung<BinaryKernel> kPowRungs[] = {{"library", "the C library's pow, element by element", pow}};
constexpr Rung<WhereKernel> kWhereRungs[] = {{"simd", "loads both sides and keeps one: no branches", where}};
constexpr Rung<AddScaledKernel> kAddScaledRungs[] = {{"simd", kIdea, add_scaled_}};
constexpr Rung<BroadcastKernel> kBroadcastRungs[] = {{"runs", "copies or fills run by run", broadcast}};

}  // namespace

constexpr Ladder<BinaryKernel> add_ladder(simd<add>);
constexpr Ladder<BinaryKernel> sub_ladder(simd<sub>);
constexpr Ladder<BinaryKernel> mul_ladder(simd<mul>);
constexpr Ladder<BinaryKernel> maximum_ladder(simd<maximum>);
constexpr Ladder<BinaryKernel> minimum_ladder(simd<minimum>);
constexpr Ladder<BinaryKernel> div_ladder(simd<div>);
constexpr Ladder<BinaryKernel> div_trunc_ladder(simd<div_trunc>);
constexpr Ladder<BinaryKernel> div_floor_ladder(simd<div_floor>);
constexpr Ladder<BinaryKernel> pow_ladder(kPowRungs);
constexpr Ladder<BinaryKernel> eq_ladder(simd<eq>);
constexpr Ladder<BinaryKernel> ne_ladder(simd<ne>);
constexpr Ladder<BinaryKernel> lt_ladder(simd<lt>);
constexpr Ladder<BinaryKernel> le_ladder(simd<le>);
constexpr Ladder<BinaryKernel> gt_ladder(simd<gt>);
constexpr Ladder<BinaryKernel> ge_ladder(simd<ge>);
constexpr Ladder<WhereKernel> where_ladder(kWhereRungs);
constexpr Ladder<AddScaledKernel> add_scaled_ladder(kAddScaledRungs);
constexpr Ladder<BroadcastKernel> broadcast_ladder(kBroadcastRungs);

}  // namespace mt::cpu
