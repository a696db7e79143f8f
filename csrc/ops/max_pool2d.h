// The largest element of each window.
#pragma once

#include <optional>
#include <utility>

#include "geometry.h"
#include "ladder.h"

namespace mt {

// (N, C, H, W) of any dtype -> output (N, C, OH, OW) and, of the same shape, where in its (H, W) plane each maximum
// stood: row * W + column. Padding counts as minus infinity. Of several equal maxima the first counts, row by row; NaN
// wins over every number. stride: kernel_size when not given. padding: at most half of kernel_size, as in torch. The
// indices are int64, as in torch; with short_indices they are int32 where H * W allows: half the memory to write here
// and to read in the backward pass.
std::pair<NDArray, NDArray> max_pool2d(const NDArray& input, Pair kernel_size, std::optional<Pair> stride, Pair padding,
                                       Pair dilation, bool ceil_mode, bool short_indices);

// upstream and indices (int64 or int32) (N, C, OH, OW) -> gradient of the input (N, C, H, W): each upstream element is
// added where its maximum stood. Throws IndexError for an index outside its plane. The window (kernel_size and what
// follows, with the values of the forward pass) may be left out; kernels that gather need not look at every window
// then, and every index must lie in its own window.
NDArray max_pool2d_backward(const NDArray& upstream, const NDArray& indices, const Shape& input_shape,
                            std::optional<Pair> kernel_size, std::optional<Pair> stride, Pair padding, Pair dilation);

// Calls function with a zero of the indices' type.
template <class Function>
void dispatch_index(const NDArray& indices, const Function& function) {
    indices.dtype() == DType::int32 ? function(int32_t{0}) : function(int64_t{0});
}

// Kernels. Every window has an element inside the input. The indices are int64 or int32.
using MaxPoolKernel = void(const NDArray& input, const Window& window, NDArray& output, NDArray& indices);
// window: the forward pass's, or one whose kernel is 0 where it is not known. Leaves out an index that lies outside its
// plane; returns whether there was none. (Checked in the kernel and not in the op, as it would be for other arguments:
// the CPU has a plane of indices at hand in the cache. On other devices the op looks before, and the kernel returns
// true.)
using MaxPoolBackwardKernel = bool(const NDArray& upstream, const NDArray& indices, const Window& window,
                                   NDArray& input_gradient);

constexpr Op<MaxPoolKernel> kMaxPool2dOp{"max_pool2d"};
constexpr Op<MaxPoolBackwardKernel> kMaxPool2dBackwardOp{"max_pool2d_backward"};

namespace cpu {
extern const Ladder<MaxPoolKernel> max_pool2d_ladder;
extern const Ladder<MaxPoolBackwardKernel> max_pool2d_backward_ladder;
}  // namespace cpu

}  // namespace mt
