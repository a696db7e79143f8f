// Average pooling.
#pragma once

#include "../ops/avg_pool2d.h"

namespace mt::cpu {

// input (N, C, H, W) -> output (N, C, OH, OW).
void avg_pool2d(const NDArray& input, const Window& window, const AverageDivisor& divisor, NDArray& output);

// upstream (N, C, OH, OW) -> input_gradient (N, C, H, W).
void avg_pool2d_backward(const NDArray& upstream, const Window& window, const AverageDivisor& divisor,
                         NDArray& input_gradient);

}  // namespace mt::cpu
