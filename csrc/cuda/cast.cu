// Conversion from dtype to dtype.
#include <limits>

#include "../ops/fill_cast.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ops/fill_cast.h states the rules. The limits travel as template constants: device code may not call
// std::numeric_limits' functions.
template <class To, class From, To lowest, To highest>
struct Cut {
    // 2^31 and 2^63 are powers of two, so the bound is exact in From as highest / 2 + 1, twice.
    __device__ static To apply(From value) {
        constexpr From beyond = static_cast<From>(highest / 2 + 1) * 2;
        if (value >= beyond) return highest;
        if (value >= static_cast<From>(lowest)) return static_cast<To>(value);
        return value < static_cast<From>(lowest) ? lowest : To{0};  // neither: NaN
    }
};

template <class To, class From>
struct Plain {
    __device__ static To apply(From value) { return static_cast<To>(value); }
};

template <class To, class From>
struct Conversion {
    static constexpr auto choose() {
        if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>)
            return Cut<To, From, std::numeric_limits<To>::min(), std::numeric_limits<To>::max()>{};
        else
            return Plain<To, From>{};
    }
    using Rule = decltype(choose());
};

template <class To, class From>
__global__ void convert(const From* x, To* output, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) output[i] = Conversion<To, From>::Rule::apply(x[i]);
}

void launch_convert(const NDArray& x, NDArray& output) {
    dispatch_all_device(x.dtype(), [&](auto from_zero) {
        dispatch_all_device(output.dtype(), [&](auto to_zero) {
            using From = decltype(from_zero);
            using To = decltype(to_zero);
            launch((convert<To, From>), blocks_for(x.size(), kThreads), kThreads, 0, x.data<From>(), output.data<To>(),
                   x.size());
        });
    });
}

constexpr Rung<CastKernel> kRungs[] = {
    {"elements", "One thread an element: a warp reads and writes 32 neighbours.", 75, launch_convert},
};

}  // namespace

const DeviceLadder cast_ladder(kCastOp, kRungs);

}  // namespace mt
