// softmax, log_softmax and logsumexp along the middle dimension.
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// x and output: (outer, length, inner).
void softmax(const NDArray& x, NDArray& output);
void log_softmax(const NDArray& x, NDArray& output);

// upstream, output (of the forward pass) and input_gradient: (outer, length, inner).
void softmax_backward(const NDArray& upstream, const NDArray& output, NDArray& input_gradient);
void log_softmax_backward(const NDArray& upstream, const NDArray& output, NDArray& input_gradient);

// x (outer, length, inner) -> output (outer, inner).
void logsumexp(const NDArray& x, NDArray& output);

}  // namespace mt::cpu
