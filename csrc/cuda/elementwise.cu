// Ops that broadcast: every element of the output is computed from one element of each input, and so is one thread's.
//
//   elements   thread i takes the output's element i: a warp writes 32 neighbours, and reads 32 neighbours of an input,
//              or one element 32 times (which is one sector) where the input is repeated along the last dimension
#include "../ops/elementwise.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- places

// A Broadcast as a kernel's parameter: plain arrays.
template <int Inputs>
struct Walk {
    int64_t size;
    int ndim;
    int64_t shape[kMaxBroadcastDimensions];
    int64_t strides[kMaxBroadcastDimensions][Inputs];
};

template <int Inputs>
Walk<Inputs> walk_of(const Broadcast<Inputs>& plan) {
    Walk<Inputs> walk{};
    walk.size = plan.size;
    walk.ndim = static_cast<int>(plan.ndim);
    for (size_t dim = 0; dim < plan.ndim; dim++) {
        walk.shape[dim] = plan.shape[dim];
        for (int input = 0; input < Inputs; input++) walk.strides[dim][input] = plan.strides[dim][input];
    }
    return walk;
}

// Where the inputs' elements for element i of the output stand. Arrays of one shape are one long dimension: then there
// is nothing to divide.
template <int Inputs>
struct Places {
    int64_t of[Inputs];

    __device__ Places(const Walk<Inputs>& walk, int64_t i) {
        for (int input = 0; input < Inputs; input++) of[input] = 0;
        for (int dim = walk.ndim - 1; dim > 0; dim--) {
            const int64_t position = i % walk.shape[dim];
            i /= walk.shape[dim];
            for (int input = 0; input < Inputs; input++) of[input] += position * walk.strides[dim][input];
        }
        for (int input = 0; input < Inputs; input++) of[input] += i * walk.strides[0][input];
    }
};

// ---------------------------------------------------------------------------------------------------------- operations

// Integers are computed without a sign, where C++ defines overflow: it wraps around.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, uint64_t, T>;

struct Add {
    template <class T>
    __device__ static T apply(T a, T b) {
        return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
    }
};
struct Sub {
    template <class T>
    __device__ static T apply(T a, T b) {
        return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
    }
};
struct Mul {
    template <class T>
    __device__ static T apply(T a, T b) {
        return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
    }
};
struct Div {
    template <class T>
    __device__ static T apply(T a, T b) {
        return a / b;
    }
};
// The quotient cut toward zero. Of whole numbers, the smallest has no opposite: divided by -1, it wraps around.
struct DivTrunc {
    template <class T>
    __device__ static T apply(T a, T b) {
        if constexpr (std::is_floating_point_v<T>) return ::trunc(a / b);
        if constexpr (std::is_signed_v<T>) {
            if (b == static_cast<T>(-1)) return Sub::apply(T{0}, a);
        }
        return a / b;
    }
};
// The next whole number below the quotient, or the quotient itself if it is whole.
struct DivFloor {
    template <class T>
    __device__ static T apply(T a, T b) {
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
    __device__ static T of_floating(T a, T b) {
        if (b == 0) return a / b;
        const T remainder = ::fmod(a, b);
        T quotient = (a - remainder) / b;
        if (remainder != 0 && (remainder < 0) != (b < 0)) quotient -= 1;
        if (quotient == 0) return ::copysign(T{0}, a / b);
        const T floored = ::floor(quotient);
        return quotient - floored > static_cast<T>(0.5) ? floored + 1 : floored;
    }
};
struct Pow {
    template <class T>
    __device__ static T apply(T a, T b) {
        if constexpr (std::is_floating_point_v<T>) {
            return b == T{2} ? a * a : ::pow(a, b);  // the most frequent power
        } else {
            return of_integers(a, b);
        }
    }

    // By squaring: one step for each bit of the exponent.
    template <class T>
    __device__ static T of_integers(T base, T exponent) {
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
// A NaN wins, whichever side it is on.
struct Maximum {
    template <class T>
    __device__ static T apply(T a, T b) {
        return a > b || a != a ? a : b;
    }
};
struct Minimum {
    template <class T>
    __device__ static T apply(T a, T b) {
        return a < b || a != a ? a : b;
    }
};
struct Equal {
    template <class T>
    __device__ static uint8_t apply(T a, T b) {
        return a == b;
    }
};
struct NotEqual {
    template <class T>
    __device__ static uint8_t apply(T a, T b) {
        return a != b;
    }
};
struct Less {
    template <class T>
    __device__ static uint8_t apply(T a, T b) {
        return a < b;
    }
};
struct LessEqual {
    template <class T>
    __device__ static uint8_t apply(T a, T b) {
        return a <= b;
    }
};
struct Greater {
    template <class T>
    __device__ static uint8_t apply(T a, T b) {
        return a > b;
    }
};
struct GreaterEqual {
    template <class T>
    __device__ static uint8_t apply(T a, T b) {
        return a >= b;
    }
};

// ---------------------------------------------------------------------------------------------------------- kernels

template <class Operation, class T, class Result>
__global__ void combine(const T* a, const T* b, Result* output, Walk<2> walk) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= walk.size) return;
    const Places<2> place(walk, i);
    output[i] = Operation::apply(a[place.of[0]], b[place.of[1]]);
}

template <class T>
__global__ void choose(const uint8_t* mask, const T* a, const T* b, T* output, Walk<3> walk) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= walk.size) return;
    const Places<3> place(walk, i);
    output[i] = mask[place.of[0]] != 0 ? a[place.of[1]] : b[place.of[2]];
}

// destination += scale * source. The walk's first input is the destination itself, element i at place i.
template <class T>
__global__ void add_scaled(const T* source, T scale, T* destination, Walk<2> walk) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= walk.size) return;
    const Places<2> place(walk, i);
    destination[i] = Add::apply(destination[i], Mul::apply(scale, source[place.of[1]]));
}

template <class T>
__global__ void repeat(const T* source, T* output, Walk<1> walk) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= walk.size) return;
    const Places<1> place(walk, i);
    output[i] = source[place.of[0]];
}

// ---------------------------------------------------------------------------------------------------------- launchers

template <class Operation, class T, class Result>
void launch_combine(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& output) {
    launch((combine<Operation, T, Result>), blocks_for(plan.size, kThreads), kThreads, 0, a.data<T>(), b.data<T>(),
           output.data<Result>(), walk_of<2>(plan));
}

template <class Operation>
void launch_arithmetic(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& output) {
    dispatch_all_device(
        a.dtype(), [&](auto zero) { launch_combine<Operation, decltype(zero), decltype(zero)>(plan, a, b, output); });
}

template <class Operation>
void launch_floating(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& output) {
    dispatch_floating_device(
        a.dtype(), [&](auto zero) { launch_combine<Operation, decltype(zero), decltype(zero)>(plan, a, b, output); });
}

template <class Operation>
void launch_comparison(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& output) {
    dispatch_all_device(a.dtype(),
                        [&](auto zero) { launch_combine<Operation, decltype(zero), uint8_t>(plan, a, b, output); });
}

void launch_choose(const Broadcast<3>& plan, const NDArray& mask, const NDArray& a, const NDArray& b, NDArray& output) {
    dispatch_all_device(a.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(choose<T>, blocks_for(plan.size, kThreads), kThreads, 0, mask.data<uint8_t>(), a.data<T>(), b.data<T>(),
               output.data<T>(), walk_of<3>(plan));
    });
}

void launch_add_scaled(const Broadcast<2>& plan, const NDArray& scale, const NDArray& source, NDArray& destination) {
    dispatch_all_device(destination.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(add_scaled<T>, blocks_for(plan.size, kThreads), kThreads, 0, source.data<T>(), *scale.data<T>(),
               destination.data<T>(), walk_of<2>(plan));
    });
}

void launch_repeat(const Broadcast<1>& plan, const NDArray& source, NDArray& output) {
    dispatch_all_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(repeat<T>, blocks_for(plan.size, kThreads), kThreads, 0, source.data<T>(), output.data<T>(),
               walk_of<1>(plan));
    });
}

constexpr const char* kElements = "One thread an element of the output; joined dimensions need no division.";

template <BinaryKernel* kernel>
constexpr Rung<BinaryKernel> elements[] = {{"elements", kElements, 75, kernel}};
constexpr Rung<WhereKernel> kWhereRungs[] = {{"elements", kElements, 75, launch_choose}};
constexpr Rung<AddScaledKernel> kAddScaledRungs[] = {{"elements", kElements, 75, launch_add_scaled}};
constexpr Rung<BroadcastKernel> kBroadcastRungs[] = {{"elements", kElements, 75, launch_repeat}};

}  // namespace

const DeviceLadder add_ladder(kAddOp, elements<launch_arithmetic<Add>>);
const DeviceLadder sub_ladder(kSubOp, elements<launch_arithmetic<Sub>>);
const DeviceLadder mul_ladder(kMulOp, elements<launch_arithmetic<Mul>>);
const DeviceLadder maximum_ladder(kMaximumOp, elements<launch_arithmetic<Maximum>>);
const DeviceLadder minimum_ladder(kMinimumOp, elements<launch_arithmetic<Minimum>>);
const DeviceLadder div_ladder(kDivOp, elements<launch_floating<Div>>);
const DeviceLadder div_trunc_ladder(kDivTruncOp, elements<launch_arithmetic<DivTrunc>>);
const DeviceLadder div_floor_ladder(kDivFloorOp, elements<launch_arithmetic<DivFloor>>);
const DeviceLadder pow_ladder(kPowOp, elements<launch_arithmetic<Pow>>);
const DeviceLadder eq_ladder(kEqOp, elements<launch_comparison<Equal>>);
const DeviceLadder ne_ladder(kNeOp, elements<launch_comparison<NotEqual>>);
const DeviceLadder lt_ladder(kLtOp, elements<launch_comparison<Less>>);
const DeviceLadder le_ladder(kLeOp, elements<launch_comparison<LessEqual>>);
const DeviceLadder gt_ladder(kGtOp, elements<launch_comparison<Greater>>);
const DeviceLadder ge_ladder(kGeOp, elements<launch_comparison<GreaterEqual>>);
const DeviceLadder where_ladder(kWhereOp, kWhereRungs);
const DeviceLadder add_scaled_ladder(kAddScaledOp, kAddScaledRungs);
const DeviceLadder broadcast_ladder(kBroadcastOp, kBroadcastRungs);

}  // namespace mt
