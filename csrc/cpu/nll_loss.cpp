// Negative log-likelihood. The kernels:
//
//   nll_loss            reads one log-probability an item, that of its target class
//   nll_loss_backward   zeroes the gradient and writes one element an item
//   reduce_losses       adds up the items' losses, in order and in double precision, so with the same bits for any
//                       number of threads
#include "../ops/nll_loss.h"

#include "losses.h"
#include "parallel.h"

namespace mt::cpu {
namespace {

// A thread is woken for this many elements at least.
constexpr int64_t kElementsPerThread = 8192;

void nll_loss(const NDArray& log_probabilities_array, const NDArray& target_array, const NDArray* weight_array,
              int64_t ignore_index, NDArray& losses_array) {
    const int64_t classes = log_probabilities_array.shape(1), inner = log_probabilities_array.shape(2);
    const int64_t* target = target_array.data<int64_t>();
    dispatch_floating(log_probabilities_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* log_probabilities = log_probabilities_array.data<T>();
        const T* weight = weight_array ? weight_array->data<T>() : nullptr;
        T* losses = losses_array.data<T>();
        parallel_for(target_array.size(), kElementsPerThread, [=](int64_t begin, int64_t end) {
            for (int64_t item = begin; item < end; item++) {
                const int64_t label = target[item];
                if (label == ignore_index) {
                    losses[item] = 0;
                    continue;
                }
                const T log_probability = log_probabilities[(item / inner * classes + label) * inner + item % inner];
                losses[item] = weight ? -weight[label] * log_probability : -log_probability;
            }
        });
    });
}

void nll_loss_backward(const NDArray& upstream_array, const NDArray& target_array, const NDArray* weight_array,
                       const LossOptions& options, const NDArray& total_weight_array, NDArray& gradient_array) {
    const int64_t classes = gradient_array.shape(1), inner = gradient_array.shape(2);
    const int64_t* target = target_array.data<int64_t>();
    dispatch_floating(gradient_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* upstream = upstream_array.data<T>();
        const T* weight = weight_array ? weight_array->data<T>() : nullptr;
        const T* total_weight = total_weight_array.data<T>();
        T* gradient = gradient_array.data<T>();
        const int64_t grain = std::max<int64_t>(1, kElementsPerThread / std::max<int64_t>(1, classes * inner));
        parallel_for(gradient_array.shape(0), grain, [=](int64_t begin, int64_t end) {
            std::fill(gradient + begin * classes * inner, gradient + end * classes * inner, T{0});
            for (int64_t item = begin * inner; item < end * inner; item++) {
                const int64_t label = target[item];
                if (label == options.ignore_index) continue;
                const T share = upstream_of_item(upstream, total_weight, options.reduction, item);
                gradient[(item / inner * classes + label) * inner + item % inner] =
                    weight ? -weight[label] * share : -share;
            }
        });
    });
}

void reduce_losses(const NDArray& losses_array, const NDArray& target_array, const NDArray* weight_array,
                   const LossOptions& options, NDArray& loss_array, NDArray& total_weight_array) {
    const int64_t* target = target_array.data<int64_t>();
    dispatch_floating(losses_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* losses = losses_array.data<T>();
        const T* weight = weight_array ? weight_array->data<T>() : nullptr;
        double sum = 0, total_weight = 0;
        for (int64_t item = 0; item < target_array.size(); item++) {
            if (target[item] == options.ignore_index) continue;
            sum += losses[item];
            total_weight += weight ? weight[target[item]] : 1;
        }
        *total_weight_array.data<T>() = static_cast<T>(total_weight);
        if (options.reduction == Reduction::mean) *loss_array.data<T>() = static_cast<T>(sum / total_weight);
        if (options.reduction == Reduction::sum) *loss_array.data<T>() = static_cast<T>(sum);
    });
}

constexpr Rung<NllLossKernel> kRungs[] = {
    {"gather", "Reads the log-probability of each item's target class.", nll_loss}};
constexpr Rung<NllLossBackwardKernel> kBackwardRungs[] = {
    {"scatter", "Zeroes the gradient, then writes one element an item, at its target class.", nll_loss_backward}};
constexpr Rung<ReduceLossesKernel> kReduceRungs[] = {
    {"in_order", "Adds up the items' losses in order and in double precision.", reduce_losses}};

}  // namespace

constexpr Ladder<NllLossKernel> nll_loss_ladder(kRungs);
constexpr Ladder<NllLossBackwardKernel> nll_loss_backward_ladder(kBackwardRungs);
constexpr Ladder<ReduceLossesKernel> reduce_losses_ladder(kReduceRungs);

}  // namespace mt::cpu
