// Rows chosen by an index, and the adjoint. The rungs:
//
//   elements   (index_select) one thread an element
//
//   first      (backward) one thread an element of the upstream; of the rows with one index, the first adds up all. No
//              two threads write one place, and the order is the index's: the same bits every time
//   owner      (backward) one block a row of the gradient: its threads look through the index together, then each adds
//              up one column of the rows found. The same bits too
//   atomic     (backward) every element of the upstream adds itself to its row
#include "../ops/rows.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;                // a block
constexpr int64_t kMostBlocksBelow = 65535;  // of a grid, in its second dimension

template <class T>
__global__ void select(const T* x, const int64_t* index, T* output, int64_t count, int64_t width) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) output[i] = x[index[i / width] * width + i % width];
}

template <class T>
__global__ void set_to_zero(T* gradient, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) gradient[i] = T{0};
}

template <class T>
__global__ void add_from_first(const T* upstream, const int64_t* index, T* gradient, int64_t rows, int64_t width) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= rows * width) return;
    const int64_t row = i / width, column = i % width, target = index[row];
    for (int64_t earlier = 0; earlier < row; earlier++) {
        if (index[earlier] == target) return;
    }
    T sum = 0;
    for (int64_t later = row; later < rows; later++) {
        if (index[later] == target) sum += upstream[later * width + column];
    }
    gradient[target * width + column] = sum;
}

// Block (target, c) owns row `target` of the gradient, of it the columns from c * kThreads on. A piece of the index at
// a time, each thread looks at one entry, and those that hold the target are written side by side, in their order.
template <class T>
__global__ void add_owned(const T* upstream, const int64_t* index, T* gradient, int64_t rows, int64_t width) {
    __shared__ int64_t found[kThreads];
    __shared__ int counts[kThreads / 32];  // of each warp
    const int64_t target = blockIdx.x, column = int64_t{blockIdx.y} * kThreads + threadIdx.x;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    T sum = 0;
    for (int64_t first = 0; first < rows; first += kThreads) {
        const int64_t row = first + threadIdx.x;
        const bool is_found = row < rows && index[row] == target;
        const unsigned int in_warp = __ballot_sync(0xffffffff, is_found);
        if (lane == 0) counts[warp] = __popc(in_warp);
        __syncthreads();
        int before = __popc(in_warp & ((1u << lane) - 1)), all = 0;
        for (int w = 0; w < kThreads / 32; w++) {
            if (w < warp) before += counts[w];
            all += counts[w];
        }
        if (is_found) found[before] = row;
        __syncthreads();  // every row is noted, and every count was read: the next piece may write its own
        if (column < width) {
            for (int i = 0; i < all; i++) sum += upstream[found[i] * width + column];
        }
    }
    if (column < width) gradient[target * width + column] = sum;
}

template <class T>
__global__ void add_atomic(const T* upstream, const int64_t* index, T* gradient, int64_t rows, int64_t width) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < rows * width) atomicAdd(&gradient[index[i / width] * width + i % width], upstream[i]);
}

void launch_select(const NDArray& x, const NDArray& index, NDArray& output) {
    dispatch_all_device(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(select<T>, blocks_for(output.size(), kThreads), kThreads, 0, x.data<T>(), index.data<int64_t>(),
               output.data<T>(), output.size(), output.size() / index.size());
    });
}

void launch_first(const NDArray& upstream, const NDArray& index, NDArray& gradient) {
    dispatch_floating_device(gradient.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(set_to_zero<T>, blocks_for(gradient.size(), kThreads), kThreads, 0, gradient.data<T>(), gradient.size());
        launch(add_from_first<T>, blocks_for(upstream.size(), kThreads), kThreads, 0, upstream.data<T>(),
               index.data<int64_t>(), gradient.data<T>(), index.size(), gradient.size() / gradient.shape(0));
    });
}

void launch_owner(const NDArray& upstream, const NDArray& index, NDArray& gradient) {
    const int64_t targets = gradient.shape(0), width = gradient.size() / targets;
    if (width > kMostBlocksBelow * kThreads) return launch_first(upstream, index, gradient);
    dispatch_floating_device(gradient.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(add_owned<T>, dim3(static_cast<unsigned int>(targets), blocks_for(width, kThreads)), kThreads, 0,
               upstream.data<T>(), index.data<int64_t>(), gradient.data<T>(), index.size(), width);
    });
}

void launch_atomic(const NDArray& upstream, const NDArray& index, NDArray& gradient) {
    dispatch_floating_device(gradient.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(set_to_zero<T>, blocks_for(gradient.size(), kThreads), kThreads, 0, gradient.data<T>(), gradient.size());
        launch(add_atomic<T>, blocks_for(upstream.size(), kThreads), kThreads, 0, upstream.data<T>(),
               index.data<int64_t>(), gradient.data<T>(), index.size(), gradient.size() / gradient.shape(0));
    });
}

constexpr Rung<RowsKernel> kRungs[] = {
    {"elements", "One thread an element: a warp copies 32 neighbours of a row.", 75, launch_select},
};

constexpr Rung<RowsKernel> kBackwardRungs[] = {
    {"owner",
     "One block a row of the gradient looks through the index and adds up the rows that it finds, in their order.", 75,
     launch_owner},
    {"first", "Of the upstream rows with one index, the first adds up all, in the index's order.", 75, launch_first},
    {"atomic",
     "Every element of the upstream adds itself to its row, in an order, and so with bits, that vary from run to run.",
     75, launch_atomic},
};

}  // namespace

const DeviceLadder index_select_ladder(kIndexSelectOp, kRungs);
const DeviceLadder index_select_backward_ladder(kIndexSelectBackwardOp, kBackwardRungs);

}  // namespace mt
