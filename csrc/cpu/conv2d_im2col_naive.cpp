// Convolution as a matrix product, the plain way: im2col writes the columns of the whole batch to memory, element by
// element, and three loops multiply. In the formulas of conv2d_im2col_gemm.cpp: L = H' * W' columns an image, taps rows
// a group.
#include "conv2d.h"
#include "im2col.h"
#include "parallel.h"

namespace mt::cpu {
namespace {

// (N, groups * taps, L): the columns of all groups, one group after the other.
NDArray empty_columns(const Conv2dGeometry& g, DType dtype) {
    return NDArray::empty({g.batch, g.groups * g.taps(), g.output_pixels()}, dtype);
}

}  // namespace

// output[n][o][l] = bias[o] + sum over k of weight[o][k] * columns[n][k][l], k over the taps of o's group.
void conv2d_im2col_naive(const Conv2dGeometry& g, const NDArray& input, const NDArray& weight, const NDArray* bias,
                         NDArray& output) {
    NDArray columns = empty_columns(g, input.dtype());
    im2col_naive(input, g.window, g.output, columns);
    const int64_t taps = g.taps(), pixels = g.output_pixels();
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(g.batch * g.out_channels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t n_o = begin; n_o < end; n_o++) {
                const int64_t n = n_o / g.out_channels, o = n_o % g.out_channels, group = o / g.group_out();
                const T* weight_row = weight.data<T>() + o * taps;
                const T* column_matrix = columns.data<T>() + (n * g.groups + group) * taps * pixels;
                for (int64_t l = 0; l < pixels; l++) {
                    T sum = bias != nullptr ? bias->data<T>()[o] : T{0};
                    for (int64_t k = 0; k < taps; k++) sum += weight_row[k] * column_matrix[k * pixels + l];
                    output.data<T>()[n_o * pixels + l] = sum;
                }
            }
        });
    });
}

// columns[n][k][l] = sum over o of weight[o][k] * upstream[n][o][l], o over the output channels of k's group; then
// col2im.
void conv2d_im2col_naive_input_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& weight,
                                    NDArray& input_grad) {
    NDArray columns = empty_columns(g, upstream.dtype());
    const int64_t taps = g.taps(), pixels = g.output_pixels();
    dispatch_floating(upstream.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(g.batch * g.groups * taps, 1, [&](int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; row++) {
                const int64_t n = row / (g.groups * taps), group = row / taps % g.groups, k = row % taps;
                const T* group_weight = weight.data<T>() + group * g.group_out() * taps;
                const T* group_upstream = upstream.data<T>() + (n * g.groups + group) * g.group_out() * pixels;
                for (int64_t l = 0; l < pixels; l++) {
                    T sum = 0;
                    for (int64_t o = 0; o < g.group_out(); o++)
                        sum += group_weight[o * taps + k] * group_upstream[o * pixels + l];
                    columns.data<T>()[row * pixels + l] = sum;
                }
            }
        });
    });
    col2im_naive(columns, g.window, g.output, input_grad);
}

// weight_grad[o][k] = sum over n and l of upstream[n][o][l] * columns[n][k][l].
void conv2d_im2col_naive_weight_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& input,
                                     NDArray& weight_grad) {
    NDArray columns = empty_columns(g, input.dtype());
    im2col_naive(input, g.window, g.output, columns);
    const int64_t taps = g.taps(), pixels = g.output_pixels();
    dispatch_floating(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(g.out_channels * taps, 1, [&](int64_t begin, int64_t end) {
            for (int64_t o_k = begin; o_k < end; o_k++) {
                const int64_t o = o_k / taps, k = o_k % taps, group = o / g.group_out();
                T sum = 0;
                for (int64_t n = 0; n < g.batch; n++) {
                    const T* upstream_row = upstream.data<T>() + (n * g.out_channels + o) * pixels;
                    const T* columns_row = columns.data<T>() + ((n * g.groups + group) * taps + k) * pixels;
                    for (int64_t l = 0; l < pixels; l++) sum += upstream_row[l] * columns_row[l];
                }
                weight_grad.data<T>()[o_k] = sum;
            }
        });
    });
}

}  // namespace mt::cpu
