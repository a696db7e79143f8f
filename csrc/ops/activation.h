// Functions of one element. Each takes an array of any shape and returns one of the same shape and dtype.
#pragma once

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// max(x, 0); NaN stays NaN. float32 or float64.
NDArray relu(const NDArray& x);

// What relu sends back: upstream where relu's output was positive or NaN, else 0.
NDArray relu_backward(const NDArray& upstream, const NDArray& output);

// Numbers of any dtype but uint8, which has no negatives.
NDArray neg(const NDArray& x);
NDArray abs(const NDArray& x);

// float32 or float64. As in torch, log of a negative number or sqrt of one is NaN and log(0) is -infinity.
NDArray exp(const NDArray& x);
NDArray log(const NDArray& x);
NDArray sqrt(const NDArray& x);
NDArray tanh(const NDArray& x);
NDArray sigmoid(const NDArray& x);  // 1 / (1 + exp(-x))

// Kernels. All arrays of a call have one shape and one dtype.
using UnaryKernel = void(const NDArray& x, NDArray& output);
using ReluBackwardKernel = void(const NDArray& upstream, const NDArray& output, NDArray& gradient);

constexpr Op<UnaryKernel> kReluOp{"relu"}, kNegOp{"neg"}, kAbsOp{"abs"}, kExpOp{"exp"}, kLogOp{"log"}, kSqrtOp{"sqrt"},
    kTanhOp{"tanh"}, kSigmoidOp{"sigmoid"};
constexpr Op<ReluBackwardKernel> kReluBackwardOp{"relu_backward"};

namespace cpu {
extern const Ladder<UnaryKernel> relu_ladder, neg_ladder, abs_ladder, exp_ladder, log_ladder, sqrt_ladder, tanh_ladder,
    sigmoid_ladder;
extern const Ladder<ReluBackwardKernel> relu_backward_ladder;
}  // namespace cpu

}  // namespace mt
