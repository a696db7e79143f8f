// The bias gradient of a convolution. The kernel:
//
//   plane_sums   each image's channel is summed by vectors, several sums at a time; the images' sums are added in
//                order, in float64
#include "../ops/conv2d.h"
#include "parallel.h"
#include "simd.h"

namespace mt::cpu {
namespace {

// Four independent vector sums: one alone would wait for each addition to finish before the next can start.
template <class T>
T sum_of(const T* values, int64_t count) {
    constexpr int kSums = 4;
    Vector<T> sums[kSums] = {};
    int64_t i = 0;
    for (; i + kSums * kLanes<T> <= count; i += kSums * kLanes<T>) {
#pragma GCC unroll 4
        for (int j = 0; j < kSums; j++) sums[j] += load(values + i + j * kLanes<T>);
    }
    const Vector<T> all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    T total = 0;
    for (int lane = 0; lane < kLanes<T>; lane++) total += all[lane];
    for (; i < count; i++) total += values[i];
    return total;
}

// upstream (N, O, H', W') -> bias_grad (O,). Threads share the images, as in the kernels that wrote upstream: each
// finds its part in its own core's cache.
void conv2d_bias_grad(const NDArray& upstream, NDArray& bias_grad) {
    const int64_t batch = upstream.shape(0), channels = upstream.shape(1),
                  pixels = upstream.shape(2) * upstream.shape(3);
    constexpr int64_t kElementsPerThread = 50'000;
    NDArray plane_sums = NDArray::empty({batch, channels}, DType::float64);
    dispatch_floating(upstream.dtype(), [&](auto zero) {
        using T = decltype(zero);
        double* sums = plane_sums.data<double>();
        const T* planes = upstream.data<T>();
        parallel_for(batch * channels, kElementsPerThread / (pixels + 1) + 1, [=](int64_t begin, int64_t end) {
            for (int64_t plane = begin; plane < end; plane++) sums[plane] = sum_of(planes + plane * pixels, pixels);
        });
        for (int64_t o = 0; o < channels; o++) {
            double total = 0;
            for (int64_t n = 0; n < batch; n++) total += sums[n * channels + o];
            bias_grad.data<T>()[o] = static_cast<T>(total);
        }
    });
}

constexpr Rung<Conv2dBiasGradKernel> kRungs[] = {
    {"plane_sums", "Sums each image's channel by vectors, then the images in order.", conv2d_bias_grad}};

}  // namespace

constexpr Ladder<Conv2dBiasGradKernel> conv2d_bias_grad_ladder(kRungs);

}  // namespace mt::cpu
