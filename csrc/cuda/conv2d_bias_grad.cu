// The bias gradient of a convolution: each channel of upstream (N, O, H', W') summed over images and pixels. The rungs:
//
//   naive        one thread a channel
//   one_block    one block a channel: threads sum pixels, warps meet by shuffles, the block in shared memory
//   two_stage    one block a channel and slice of the images; a second kernel adds the slices in order
#include "../ops/conv2d.h"
#include "gemm.h"

namespace mt {
namespace {

constexpr int kThreads = 256, kWarp = 32;
constexpr int64_t kMaxSlices = 64;

// upstream's shape; a plane is one image's channel.
struct Planes {
    int64_t batch, channels, pixels;
};

// Neighbouring threads have different channels: their reads are whole planes apart, and few threads have work.
template <class T>
__global__ void bias_grad_naive(const T* upstream, T* bias_grad, Planes planes) {
    const int64_t o = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (o >= planes.channels) return;
    T sum = 0;
    for (int64_t n = 0; n < planes.batch; n++) {
        for (int64_t pixel = 0; pixel < planes.pixels; pixel++)
            sum += upstream[(n * planes.channels + o) * planes.pixels + pixel];
    }
    bias_grad[o] = sum;
}

// The sum of all threads' values, in thread 0. A warp's lanes exchange registers, half as many at each step; then the
// first warp sums what the warps have put into shared memory. The order never changes, and so the bits do not.
template <class T>
__device__ T sum_of_block(T value, T (&warp_sums)[kThreads / kWarp]) {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_down_sync(0xffffffffu, value, distance);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    if (lane == 0) warp_sums[warp] = value;
    __syncthreads();
    if (warp != 0) return value;
    value = lane < kThreads / kWarp ? warp_sums[lane] : T{0};
    for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_down_sync(0xffffffffu, value, distance);
    return value;
}

// Block (o, slice) sums channel o of images slice, slice + slices, ...: partial (slices, O). One slice: the gradient.
template <class T>
__global__ void sum_channels(const T* upstream, T* partial, Planes planes, int64_t slices) {
    __shared__ T warp_sums[kThreads / kWarp];
    const int64_t o = blockIdx.x % planes.channels, slice = blockIdx.x / planes.channels;
    T sum = 0;
    for (int64_t n = slice; n < planes.batch; n += slices) {
        const T* plane = upstream + (n * planes.channels + o) * planes.pixels;
        for (int64_t pixel = threadIdx.x; pixel < planes.pixels; pixel += kThreads) sum += plane[pixel];
    }
    sum = sum_of_block(sum, warp_sums);
    if (threadIdx.x == 0) partial[slice * planes.channels + o] = sum;
}

Planes planes_of(const NDArray& upstream) {
    return {upstream.shape(0), upstream.shape(1), upstream.shape(2) * upstream.shape(3)};
}

void launch_naive(const NDArray& upstream, NDArray& bias_grad) {
    dispatch_floating_device(upstream.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(bias_grad_naive<T>, blocks_for(bias_grad.size(), kThreads), kThreads, 0, upstream.data<T>(),
               bias_grad.data<T>(), planes_of(upstream));
    });
}

void launch_one_block(const NDArray& upstream, NDArray& bias_grad) {
    dispatch_floating_device(upstream.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(sum_channels<T>, blocks_for(bias_grad.size(), 1), kThreads, 0, upstream.data<T>(), bias_grad.data<T>(),
               planes_of(upstream), int64_t{1});
    });
}

void launch_two_stage(const NDArray& upstream, NDArray& bias_grad) {
    const Planes planes = planes_of(upstream);
    const int64_t slices = planes.batch < kMaxSlices ? planes.batch : kMaxSlices;
    if (slices <= 1) return launch_one_block(upstream, bias_grad);
    dispatch_floating_device(upstream.dtype(), [&](auto zero) {
        using T = decltype(zero);
        Scratch<T> partial(slices * planes.channels);
        launch(sum_channels<T>, blocks_for(slices * planes.channels, 1), kThreads, 0, upstream.data<T>(),
               partial.data(), planes, slices);
        const T* no_bias = nullptr;
        launch(add_slices<T>, blocks_for(planes.channels, kThreads), kThreads, 0, partial.data(), no_bias,
               bias_grad.data<T>(), slices, planes.channels, planes.channels);
    });
}

constexpr Rung<Conv2dBiasGradKernel> kRungs[] = {
    {"two_stage", "A block sums a channel of a slice of the images; a second kernel adds the slices in order.", 75,
     launch_two_stage},
    {"naive", "One thread a channel: few threads, and their reads are far apart.", 75, launch_naive},
    {"one_block", "One block a channel: shuffles within warps, then shared memory.", 75, launch_one_block},
};

}  // namespace

const DeviceLadder conv2d_bias_grad_ladder(kConv2dBiasGradOp, kRungs);

}  // namespace mt
