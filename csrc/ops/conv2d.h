// 2-D convolution (cross-correlation, as every framework calls convolution) and its gradients.
#pragma once

#include <optional>

#include "geometry.h"
#include "ladder.h"

namespace mt {

// What a convolution's kernels need to know of its shapes.
struct Conv2dGeometry {
    int64_t batch;
    int64_t in_channels;   // of all groups
    int64_t out_channels;  // of all groups
    int64_t groups;        // group g computes its share of the output channels from its share of the input channels
    Pair input;            // height and width of an input image
    Pair output;           // height and width of an output image
    Window window;

    int64_t group_in() const { return in_channels / groups; }
    int64_t group_out() const { return out_channels / groups; }
    int64_t taps() const {
        return group_in() * window.kernel.h * window.kernel.w;
    }  // products in the sum of one output element
    int64_t input_pixels() const { return input.h * input.w; }
    int64_t output_pixels() const { return output.h * output.w; }
};

// (N, C, H, W), weight (O, C / groups, kh, kw), bias (O,) -> (N, O, H', W'). No padding given: kernel / 2 on each side,
// rounded down, which keeps H and W when the kernel is odd and the stride 1.
NDArray conv2d(const NDArray& input, const NDArray& weight, const std::optional<NDArray>& bias, Pair stride,
               std::optional<Pair> padding, Pair dilation, int64_t groups);

// Gradients of a loss, given its gradient `upstream` (N, O, H', W') with respect to the output.
NDArray conv2d_input_grad(const NDArray& upstream, const NDArray& weight, const Shape& input_shape, Pair stride,
                          std::optional<Pair> padding, Pair dilation, int64_t groups);
NDArray conv2d_weight_grad(const NDArray& upstream, const NDArray& input, const Shape& weight_shape, Pair stride,
                           std::optional<Pair> padding, Pair dilation, int64_t groups);
NDArray conv2d_bias_grad(const NDArray& upstream);

// What the kernels of this op compute. bias may be null.
struct Conv2dKernels {
    void (*forward)(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias,
                    NDArray& output);
    void (*input_grad)(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                       NDArray& input_grad);
    void (*weight_grad)(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                        NDArray& weight_grad);
};
using Conv2dBiasGradKernel = void(const NDArray& upstream, NDArray& bias_grad);

constexpr Op<Conv2dKernels> kConv2dOp{"conv2d"};
constexpr Op<Conv2dBiasGradKernel> kConv2dBiasGradOp{"conv2d_bias_grad"};

namespace cpu {
extern const Ladder<Conv2dKernels> conv2d_ladder;
extern const Ladder<Conv2dBiasGradKernel> conv2d_bias_grad_ladder;
}  // namespace cpu

}  // namespace mt
