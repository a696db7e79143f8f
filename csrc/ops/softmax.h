// softmax, log_softmax and logsumexp. All take float32 or float64.
#pragma once

#include <vector>

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// exp(x) / sum of exp(x) along dim. Any shape; output has x's.
NDArray softmax(const NDArray& x, int64_t dim);
// upstream and output, which softmax returned: x's shape.
NDArray softmax_backward(const NDArray& upstream, const NDArray& output, int64_t dim);

// x - log(sum of exp(x)) along dim: the logarithm of softmax, without its underflow.
NDArray log_softmax(const NDArray& x, int64_t dim);
NDArray log_softmax_backward(const NDArray& upstream, const NDArray& output, int64_t dim);

// log(sum of exp(x)) over dims, which become 1 with keepdim and vanish without. Minus infinity where there is nothing
// to add.
NDArray logsumexp(const NDArray& x, const std::vector<int64_t>& dims, bool keepdim);

// Kernels. All arrays are seen as (outer, length, inner), where length runs along dim; logsumexp's output is
// (outer, inner).
using AlongDimKernel = void(const NDArray& x, NDArray& output);
using AlongDimBackwardKernel = void(const NDArray& upstream, const NDArray& output, NDArray& input_gradient);

constexpr Op<AlongDimKernel> kSoftmaxOp{"softmax"}, kLogSoftmaxOp{"log_softmax"}, kLogsumexpOp{"logsumexp"};
constexpr Op<AlongDimBackwardKernel> kSoftmaxBackwardOp{"softmax_backward"},
    kLogSoftmaxBackwardOp{"log_softmax_backward"};

namespace cpu {
extern const Ladder<AlongDimKernel> softmax_ladder, log_softmax_ladder, logsumexp_ladder;
extern const Ladder<AlongDimBackwardKernel> softmax_backward_ladder, log_softmax_backward_ladder;
}  // namespace cpu

}  // namespace mt
