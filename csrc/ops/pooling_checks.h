// Checks that max and average pooling share.
#pragma once

#include "geometry.h"

namespace mt {

// input: (N, C, H, W), N may be 0, H and W not. window: valid, padding at most half of the kernel.
void check_pooling(const char* op, const NDArray& input, const Window& window);

// upstream: floating (N, C, OH, OW) with the N and C of input_shape, which is (N, C, H, W).
void check_pooling_upstream(const char* op, const NDArray& upstream, const Shape& input_shape);

}  // namespace mt
