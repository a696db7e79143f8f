// The mean of each window.
#pragma once

#include <optional>

#include "geometry.h"
#include "ladder.h"

namespace mt {

// (N, C, H, W) -> (N, C, OH, OW): the sum of each window's elements, divided by
//   divisor_override, when given,
//   the number of its elements inside the input or its padding, with count_include_pad,
//   the number of its elements inside the input, without.
// stride: kernel_size when not given. padding: zeros, at most half of kernel_size. float32 and float64, and int64 as in
// torch: there the division is cut toward zero.
NDArray avg_pool2d(const NDArray& input, Pair kernel_size, std::optional<Pair> stride, Pair padding, bool ceil_mode,
                   bool count_include_pad, std::optional<int64_t> divisor_override);

// upstream (N, C, OH, OW) -> gradient of the input (N, C, H, W): each upstream element, divided as in the forward pass,
// is added to all elements of its window.
NDArray avg_pool2d_backward(const NDArray& upstream, const Shape& input_shape, Pair kernel_size,
                            std::optional<Pair> stride, Pair padding, bool ceil_mode, bool count_include_pad,
                            std::optional<int64_t> divisor_override);

// By what the sum of a window is divided.
struct AverageDivisor {
    bool count_include_pad;
    int64_t override_;  // 0: the window's elements are counted
};

// Kernels: (N, C, H, W) -> (N, C, OH, OW), and back. window.dilation is 1.
using AvgPoolKernel = void(const NDArray& input, const Window& window, const AverageDivisor& divisor, NDArray& output);
using AvgPoolBackwardKernel = void(const NDArray& upstream, const Window& window, const AverageDivisor& divisor,
                                   NDArray& input_gradient);

constexpr Op<AvgPoolKernel> kAvgPool2dOp{"avg_pool2d"};
constexpr Op<AvgPoolBackwardKernel> kAvgPool2dBackwardOp{"avg_pool2d_backward"};

namespace cpu {
extern const Ladder<AvgPoolKernel> avg_pool2d_ladder;
extern const Ladder<AvgPoolBackwardKernel> avg_pool2d_backward_ladder;
}  // namespace cpu

}  // namespace mt
