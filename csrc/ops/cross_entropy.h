// Cross entropy of logits and target classes: log_softmax and nll_loss in one.
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "ladder.h"
#include "loss_arguments.h"

namespace mt {

// logits (N, C, ...), target int64 (N, ...), weight (C,) or all 1. With s = label_smoothing and
// lse = log(sum over c of exp(logits[n, c])), item n's loss is
//     (1 - s) * weight[target[n]] * (lse - logits[n, target[n]])
//     + s / C * sum over c of weight[c] * (lse - logits[n, c]),
// or 0 where target is ignore_index. Returns the loss, (N, ...) for reduction "none", () for "mean" and "sum";
// log_sum_exp (N, ...); and total_weight (): the sum of weight[target[n]] over the items that count, by which "mean"
// divides (NaN when there are none, as in torch).
std::tuple<NDArray, NDArray, NDArray> cross_entropy(const NDArray& logits, const NDArray& target,
                                                    const std::optional<NDArray>& weight, const std::string& reduction,
                                                    int64_t ignore_index, double label_smoothing);

// upstream: the loss's shape -> gradient of the logits (N, C, ...): with p = softmax(logits[n]), upstream times
//     (1 - s) * weight[target[n]] * (p[c] - [c == target[n]]) + s / C * (p[c] * (sum of weight) - weight[c]).
NDArray cross_entropy_backward(const NDArray& upstream, const NDArray& logits, const NDArray& target,
                               const NDArray& log_sum_exp, const NDArray& total_weight,
                               const std::optional<NDArray>& weight, const std::string& reduction, int64_t ignore_index,
                               double label_smoothing);

// Kernels: logits and gradient (N, C, inner); target, item_losses and log_sum_exp: N * inner items; weight null or
// (C,).
using CrossEntropyKernel = void(const NDArray& logits, const NDArray& target, const NDArray* weight,
                                const LossOptions& options, NDArray& item_losses, NDArray& log_sum_exp);
using CrossEntropyBackwardKernel = void(const NDArray& upstream, const NDArray& logits, const NDArray& target,
                                        const NDArray& log_sum_exp, const NDArray& total_weight, const NDArray* weight,
                                        const LossOptions& options, NDArray& gradient);

constexpr Op<CrossEntropyKernel> kCrossEntropyOp{"cross_entropy"};
constexpr Op<CrossEntropyBackwardKernel> kCrossEntropyBackwardOp{"cross_entropy_backward"};

namespace cpu {
extern const Ladder<CrossEntropyKernel> cross_entropy_ladder;
extern const Ladder<CrossEntropyBackwardKernel> cross_entropy_backward_ladder;
}  // namespace cpu

}  // namespace mt
