// What the convolution kernels of conv2d*.cu share: the sizes, and which elements of the three arrays meet in a
// product.
//
// Every rung takes every geometry: any kernel, stride, padding, dilation and groups. One product is
//
//   output[n][o][y][x] += weight[o][c][r][s] * input[n][c'][h][w]
//
// where o lies in group g and c' is its input channel c; h = y * stride.h - padding.h + r * dilation.h, and w likewise.
// Each gradient has another of the three arrays on the left.
#pragma once

#include "../ops/conv2d.h"
#include "launch.h"

namespace mt {

// Height and width. 32 bits: the op refuses images, strides and dilations that do not fit; only places in arrays
// have 64.
struct Extent {
    int h, w;
    __host__ __device__ int64_t size() const { return int64_t{h} * w; }
};

// The geometry as kernels take it, by value.
struct ConvSizes {
    int batch, groups, group_in, group_out;  // channels of one group
    Extent kernel, stride, padding, dilation, input, output;

    __host__ __device__ int in_channels() const { return groups * group_in; }
    __host__ __device__ int out_channels() const { return groups * group_out; }
    __host__ __device__ int taps() const { return kernel.h * kernel.w; }  // of one channel
    __host__ __device__ int64_t input_size() const { return int64_t{batch} * in_channels() * input.size(); }
    __host__ __device__ int64_t output_size() const { return int64_t{batch} * out_channels() * output.size(); }
    __host__ __device__ int64_t weight_size() const { return int64_t{out_channels()} * group_in * taps(); }

    // Where elements stand. c counts the channels of all groups in the input, those of a group in the weight.
    __device__ int64_t input_place(int64_t n, int64_t c, int h, int w) const {
        return (n * in_channels() + c) * input.size() + int64_t{h} * input.w + w;
    }
    __device__ int64_t output_place(int64_t n, int64_t o, int y, int x) const {
        return (n * out_channels() + o) * output.size() + int64_t{y} * output.w + x;
    }
    __device__ int64_t weight_place(int64_t o, int64_t c, int r, int s) const {
        return (o * group_in + c) * taps() + r * kernel.w + s;
    }

    // The input pixel under tap (r, s) of output pixel (y, x). False in the padding.
    __device__ bool input_pixel(int y, int x, int r, int s, int& h, int& w) const {
        h = y * stride.h - padding.h + r * dilation.h;
        w = x * stride.w - padding.w + s * dilation.w;
        return h >= 0 && h < input.h && w >= 0 && w < input.w;
    }
    // The output pixel whose tap (r, s) lies on input pixel (h, w). False where there is none.
    __device__ bool output_pixel(int h, int w, int r, int s, int& y, int& x) const {
        y = h + padding.h - r * dilation.h;
        x = w + padding.w - s * dilation.w;
        if (y < 0 || x < 0 || y % stride.h != 0 || x % stride.w != 0) return false;
        y /= stride.h;
        x /= stride.w;
        return y < output.h && x < output.w;
    }
};

inline ConvSizes sizes_of(const Conv2dGeometry& geometry) {
    const auto narrow = [](int64_t value) { return static_cast<int>(value); };
    const auto extent = [=](Pair pair) { return Extent{narrow(pair.h), narrow(pair.w)}; };
    const Window& window = geometry.window;
    return {narrow(geometry.batch), narrow(geometry.groups), narrow(geometry.group_in()), narrow(geometry.group_out()),
            extent(window.kernel),  extent(window.stride),   extent(window.padding),      extent(window.dilation),
            extent(geometry.input), extent(geometry.output)};
}

// A flat index taken apart: index = (first * second's extent + second) * third's extent + third.
struct Triple {
    int64_t first;
    int second, third;
};

// GPUs have no instruction for division, and that of 64 bits takes several times as long: 32 where they suffice.
__device__ inline Triple split(int64_t index, int second_extent, int third_extent) {
    if (index >> 32 == 0) {
        const auto low = static_cast<unsigned int>(index), second = static_cast<unsigned int>(second_extent),
                   third = static_cast<unsigned int>(third_extent);
        return {low / third / second, static_cast<int>(low / third % second), static_cast<int>(low % third)};
    }
    return {index / third_extent / second_extent, static_cast<int>(index / third_extent % second_extent),
            static_cast<int>(index % third_extent)};
}

// The rungs: conv2d.cu, which lists them all, conv2d_direct.cu, conv2d_implicit_gemm.cu.
void conv2d_naive(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias,
                  NDArray& output);
void conv2d_naive_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                             NDArray& input_grad);
void conv2d_naive_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                              NDArray& weight_grad);

void conv2d_direct(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias,
                   NDArray& output);
void conv2d_direct_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                              NDArray& input_grad);
void conv2d_direct_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                               NDArray& weight_grad);

void conv2d_implicit_gemm(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                          const NDArray* bias, NDArray& output);
void conv2d_implicit_gemm_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                                     NDArray& input_grad);
void conv2d_implicit_gemm_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                                      NDArray& weight_grad);

void conv2d_tensor_core(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                        const NDArray* bias, NDArray& output);
void conv2d_tensor_core_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                                   NDArray& input_grad);
void conv2d_tensor_core_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                                    NDArray& weight_grad);

}  // namespace mt
