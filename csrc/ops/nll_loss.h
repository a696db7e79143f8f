// Negative log-likelihood of the target classes.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "ladder.h"
#include "loss_arguments.h"

namespace mt {

// log_probabilities (N, C, ...), target int64 (N, ...), weight (C,): item n's loss is -weight[target[n]] *
// log_probabilities[n, target[n]], or 0 where target is ignore_index. Returns the loss, (N, ...) for reduction "none",
// () for "mean" and "sum", and total_weight (): the sum of the weights of the items that count, by which "mean" divides
// (NaN when there are none, as in torch).
std::pair<NDArray, NDArray> nll_loss(const NDArray& log_probabilities, const NDArray& target,
                                     const std::optional<NDArray>& weight, const std::string& reduction,
                                     int64_t ignore_index);

// upstream: the loss's shape -> gradient of log_probabilities (N, C, ...), which is input_shape.
NDArray nll_loss_backward(const NDArray& upstream, const NDArray& target, const Shape& input_shape,
                          const std::optional<NDArray>& weight, const std::string& reduction, int64_t ignore_index,
                          const NDArray& total_weight);

// Kernels: log_probabilities and input_gradient (N, C, inner); target and item_losses: N * inner items; weight null or
// (C,).
using NllLossKernel = void(const NDArray& log_probabilities, const NDArray& target, const NDArray* weight,
                           int64_t ignore_index, NDArray& item_losses);
using NllLossBackwardKernel = void(const NDArray& upstream, const NDArray& target, const NDArray* weight,
                                   const LossOptions& options, const NDArray& total_weight, NDArray& input_gradient);

constexpr Op<NllLossKernel> kNllLossOp{"nll_loss"};
constexpr Op<NllLossBackwardKernel> kNllLossBackwardOp{"nll_loss_backward"};

namespace cpu {
extern const Ladder<NllLossKernel> nll_loss_ladder;
extern const Ladder<NllLossBackwardKernel> nll_loss_backward_ladder;
}  // namespace cpu

}  // namespace mt
