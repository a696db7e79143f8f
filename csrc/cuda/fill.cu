// Arrays of one number.
#include "../ops/fill_cast.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// array[i] = value for all i < count: one thread an element.
template <class T>
__global__ void set_all(T* array, T value, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) array[i] = value;
}

void fill(const NDArray& value, NDArray& array) {
    dispatch_all_device(array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(set_all<T>, blocks_for(array.size(), kThreads), kThreads, 0, array.data<T>(), *value.data<T>(),
               array.size());
    });
}

constexpr Rung<FillKernel> kRungs[] = {
    {"elements", "One thread an element.", 75, fill},
};

}  // namespace

const DeviceLadder fill_ladder(kFillOp, kRungs);

}  // namespace mt
