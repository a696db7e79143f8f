// Cross entropy.
#pragma once

#include "../ops/loss_arguments.h"

namespace mt::cpu {

// logits (N, C, inner); target, item_losses and log_sum_exp: N * inner items; weight null or (C,).
void cross_entropy_log_sum_exp(const NDArray& logits, const NDArray& target, const NDArray* weight,
                               const LossOptions& options, NDArray& item_losses, NDArray& log_sum_exp);
void cross_entropy_naive(const NDArray& logits, const NDArray& target, const NDArray* weight,
                         const LossOptions& options, NDArray& item_losses, NDArray& log_sum_exp);

// upstream: () or N * inner items; gradient (N, C, inner).
void cross_entropy_backward(const NDArray& upstream, const NDArray& logits, const NDArray& target,
                            const NDArray& log_sum_exp, const NDArray& total_weight, const NDArray* weight,
                            const LossOptions& options, NDArray& gradient);

}  // namespace mt::cpu
