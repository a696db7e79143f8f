// Max pooling.
#pragma once

#include "../ops/geometry.h"

namespace mt::cpu {

// input (N, C, H, W) -> output and indices (int64 or int32) (N, C, OH, OW). Every window has an element inside the
// input.
void max_pool2d_naive(const NDArray& input, const Window& window, NDArray& output, NDArray& indices);
void max_pool2d_vectorised(const NDArray& input, const Window& window, NDArray& output, NDArray& indices);

// upstream and indices (N, C, OH, OW) -> input_gradient (N, C, H, W). Indices outside their plane are left out; returns
// whether there were none. The window is not looked at. (Checked here and not in the op, as it would be for other
// arguments: a plane of indices is at hand in the cache.)
bool max_pool2d_backward(const NDArray& upstream, const NDArray& indices, const Window& window,
                         NDArray& input_gradient);

}  // namespace mt::cpu
