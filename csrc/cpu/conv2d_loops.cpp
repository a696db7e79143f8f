// The definition of convolution, and of its gradients: seven loops around one line. With
// h = y * stride - padding + r * dilation and w likewise,
//
//   output[n][o][y][x]       += weight[o][c][r][s]    * input[n][c][h][w]
//   input_grad[n][c][h][w]   += weight[o][c][r][s]    * upstream[n][o][y][x]
//   weight_grad[o][c][r][s]  += upstream[n][o][y][x]  * input[n][c][h][w]
//
// over all n, o, c, y, x, r, s: one product has three factors' places, and each gradient puts the other two factors'
// product in the third's.
#include <algorithm>

#include "conv2d.h"
#include "parallel.h"

namespace mt::cpu {
namespace {

// Where the three factors of one product lie in their arrays.
struct Place {
    int64_t output, weight, input;
};

// Calls body(Place) for every product of image n and output channel o whose input lies inside the image.
template <class Body>
void for_each_product(const Conv2dGeometry& g, int64_t n, int64_t o, const Body& body) {
    const auto [kernel, stride, padding, dilation] = g.window;
    const int64_t first_channel = o / g.group_out() * g.group_in();  // of the input channels that o's group sees
    for (int64_t c = 0; c < g.group_in(); c++) {
        for (int64_t y = 0; y < g.output.h; y++) {
            for (int64_t x = 0; x < g.output.w; x++) {
                for (int64_t r = 0; r < kernel.h; r++) {
                    for (int64_t s = 0; s < kernel.w; s++) {
                        const int64_t h = y * stride.h - padding.h + r * dilation.h;
                        const int64_t w = x * stride.w - padding.w + s * dilation.w;
                        if (h < 0 || h >= g.input.h || w < 0 || w >= g.input.w) continue;
                        body(Place{((n * g.out_channels + o) * g.output.h + y) * g.output.w + x,
                                   ((o * g.group_in() + c) * kernel.h + r) * kernel.w + s,
                                   ((n * g.in_channels + first_channel + c) * g.input.h + h) * g.input.w + w});
                    }
                }
            }
        }
    }
}

}  // namespace

void conv2d_loops(const Conv2dGeometry& g, const NDArray& input, const NDArray& weight, const NDArray* bias,
                  NDArray& output) {
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* out = output.data<T>();
        parallel_for(g.batch, 1, [&](int64_t begin, int64_t end) {
            for (int64_t n = begin; n < end; n++) {
                for (int64_t o = 0; o < g.out_channels; o++) {
                    const T start = bias != nullptr ? bias->data<T>()[o] : T{0};
                    std::fill_n(out + (n * g.out_channels + o) * g.output_pixels(), g.output_pixels(), start);
                    for_each_product(g, n, o, [&](Place at) {
                        out[at.output] += weight.data<T>()[at.weight] * input.data<T>()[at.input];
                    });
                }
            }
        });
    });
}

void conv2d_loops_input_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& weight,
                             NDArray& input_grad) {
    dispatch_floating(input_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* grad = input_grad.data<T>();
        parallel_for(g.batch, 1, [&](int64_t begin, int64_t end) {
            for (int64_t n = begin; n < end; n++) {
                std::fill_n(grad + n * g.in_channels * g.input_pixels(), g.in_channels * g.input_pixels(), T{0});
                for (int64_t o = 0; o < g.out_channels; o++) {
                    for_each_product(g, n, o, [&](Place at) {
                        grad[at.input] += weight.data<T>()[at.weight] * upstream.data<T>()[at.output];
                    });
                }
            }
        });
    });
}

void conv2d_loops_weight_grad(const Conv2dGeometry& g, const NDArray& upstream, const NDArray& input,
                              NDArray& weight_grad) {
    dispatch_floating(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        T* grad = weight_grad.data<T>();
        parallel_for(g.out_channels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t o = begin; o < end; o++) {
                std::fill_n(grad + o * g.taps(), g.taps(), T{0});
                for (int64_t n = 0; n < g.batch; n++) {
                    for_each_product(g, n, o, [&](Place at) {
                        grad[at.weight] += upstream.data<T>()[at.output] * input.data<T>()[at.input];
                    });
                }
            }
        });
    });
}

}  // namespace mt::cpu
