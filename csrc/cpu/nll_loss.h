// Negative log-likelihood, and what the losses share.
#pragma once

#include "../ops/loss_arguments.h"

namespace mt::cpu {

// log_probabilities (N, C, inner); target and item_losses: N * inner items; weight null or (C,).
void nll_loss(const NDArray& log_probabilities, const NDArray& target, const NDArray* weight, int64_t ignore_index,
              NDArray& item_losses);

// upstream: () or N * inner items; input_gradient (N, C, inner).
void nll_loss_backward(const NDArray& upstream, const NDArray& target, const NDArray* weight,
                       const LossOptions& options, const NDArray& total_weight, NDArray& input_gradient);

// item_losses, target: as many items -> total_weight (): the sum of the weights of the items that count; loss (): for
// "mean" and "sum"; for "none" it is item_losses and stays.
void reduce_losses(const NDArray& item_losses, const NDArray& target, const NDArray* weight, const LossOptions& options,
                   NDArray& loss, NDArray& total_weight);

// What an item's gradient is multiplied by: upstream[item] for "none", else upstream, and for "mean" divided by
// total_weight.
template <class T>
T upstream_of_item(const T* upstream, const T* total_weight, Reduction reduction, int64_t item) {
    if (reduction == Reduction::none) return upstream[item];
    return reduction == Reduction::mean ? upstream[0] / total_weight[0] : upstream[0];
}

}  // namespace mt::cpu
