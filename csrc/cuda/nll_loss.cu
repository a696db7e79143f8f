// Negative log-likelihood, and the sum of the items' losses that cross entropy needs too.
//
//   nll_loss            one thread an item reads the log-probability of its target
//   nll_loss_backward   one thread an element of the gradient: the target's, or 0
//   reduce_losses       naive: one thread adds all items; one_block: 256 threads every 256th item, then each other's
//                       sums
#include "../ops/nll_loss.h"
#include "losses.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

template <class T>
__global__ void nll_items(const T* log_probabilities, const int64_t* target, const T* weight, T* item_losses,
                          int64_t items, int64_t classes, int64_t inner, int64_t ignore_index) {
    const int64_t item = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (item >= items) return;
    const int64_t label = target[item];
    T loss = 0;
    if (label != ignore_index) {
        loss = -log_probabilities[(item / inner * classes + label) * inner + item % inner];
        if (weight != nullptr) loss *= weight[label];
    }
    item_losses[item] = loss;
}

template <class T>
__global__ void nll_gradient(const T* upstream, const int64_t* target, const T* weight, const T* total_weight,
                             T* gradient, int64_t count, int64_t classes, int64_t inner, int64_t ignore_index,
                             Reduction reduction) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int64_t c = i / inner % classes;
    const int64_t item = i / inner / classes * inner + i % inner;
    const int64_t label = target[item];
    T value = 0;
    if (c == label && label != ignore_index) {
        value = -upstream_of_item(upstream, total_weight, reduction, item);
        if (weight != nullptr) value *= weight[label];
    }
    gradient[i] = value;
}

// ---------------------------------------------------------------------------------------------------------- the sum

// Sums are kept in double precision: a batch may have many items (one a pixel), and all of them meet here.
struct Sums {
    double loss = 0, weight = 0;

    template <class T>
    __device__ void add(const T* item_losses, const int64_t* target, const T* weights, int64_t item,
                        int64_t ignore_index) {
        if (target[item] == ignore_index) return;
        loss += item_losses[item];
        weight += weights != nullptr ? weights[target[item]] : 1;
    }
    template <class T>
    __device__ void finish(T* loss_out, T* total_weight, Reduction reduction) const {
        *total_weight = static_cast<T>(weight);
        if (reduction == Reduction::mean) *loss_out = static_cast<T>(loss / weight);
        if (reduction == Reduction::sum) *loss_out = static_cast<T>(loss);
    }
};

template <class T>
__global__ void reduce_naive(const T* item_losses, const int64_t* target, const T* weight, T* loss, T* total_weight,
                             int64_t items, int64_t ignore_index, Reduction reduction) {
    Sums sums;
    for (int64_t item = 0; item < items; item++) sums.add(item_losses, target, weight, item, ignore_index);
    sums.finish(loss, total_weight, reduction);
}

template <class T>
__global__ void reduce_one_block(const T* item_losses, const int64_t* target, const T* weight, T* loss, T* total_weight,
                                 int64_t items, int64_t ignore_index, Reduction reduction) {
    __shared__ double losses[kThreads], weights[kThreads];
    Sums sums;
    for (int64_t item = threadIdx.x; item < items; item += kThreads)
        sums.add(item_losses, target, weight, item, ignore_index);
    losses[threadIdx.x] = sums.loss;
    weights[threadIdx.x] = sums.weight;
    // Halves first, in a fixed order: the same bits every time.
    for (unsigned int half = kThreads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) {
            losses[threadIdx.x] += losses[threadIdx.x + half];
            weights[threadIdx.x] += weights[threadIdx.x + half];
        }
    }
    if (threadIdx.x == 0) {
        sums.loss = losses[0];
        sums.weight = weights[0];
        sums.finish(loss, total_weight, reduction);
    }
}

// ---------------------------------------------------------------------------------------------------------- launchers

void launch_items(const NDArray& log_probabilities, const NDArray& target, const NDArray* weight, int64_t ignore_index,
                  NDArray& item_losses) {
    dispatch_floating_device(log_probabilities.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(nll_items<T>, blocks_for(target.size(), kThreads), kThreads, 0, log_probabilities.data<T>(),
               target.data<int64_t>(), data_or_null<T>(weight), item_losses.data<T>(), target.size(),
               log_probabilities.shape(1), log_probabilities.shape(2), ignore_index);
    });
}

void launch_gradient(const NDArray& upstream, const NDArray& target, const NDArray* weight, const LossOptions& options,
                     const NDArray& total_weight, NDArray& gradient) {
    dispatch_floating_device(gradient.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(nll_gradient<T>, blocks_for(gradient.size(), kThreads), kThreads, 0, upstream.data<T>(),
               target.data<int64_t>(), data_or_null<T>(weight), total_weight.data<T>(), gradient.data<T>(),
               gradient.size(), gradient.shape(1), gradient.shape(2), options.ignore_index, options.reduction);
    });
}

void launch_reduce_naive(const NDArray& item_losses, const NDArray& target, const NDArray* weight,
                         const LossOptions& options, NDArray& loss, NDArray& total_weight) {
    dispatch_floating_device(item_losses.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(reduce_naive<T>, 1, 1, 0, item_losses.data<T>(), target.data<int64_t>(), data_or_null<T>(weight),
               loss.data<T>(), total_weight.data<T>(), target.size(), options.ignore_index, options.reduction);
    });
}

void launch_reduce_one_block(const NDArray& item_losses, const NDArray& target, const NDArray* weight,
                             const LossOptions& options, NDArray& loss, NDArray& total_weight) {
    dispatch_floating_device(item_losses.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(reduce_one_block<T>, 1, kThreads, 0, item_losses.data<T>(), target.data<int64_t>(),
               data_or_null<T>(weight), loss.data<T>(), total_weight.data<T>(), target.size(), options.ignore_index,
               options.reduction);
    });
}

constexpr Rung<NllLossKernel> kRungs[] = {
    {"gather", "One thread an item reads the log-probability of its target class.", 75, launch_items},
};

constexpr Rung<NllLossBackwardKernel> kBackwardRungs[] = {
    {"elements", "One thread an element of the gradient: the target's share, or 0.", 75, launch_gradient},
};

constexpr Rung<ReduceLossesKernel> kReduceRungs[] = {
    {"one_block", "256 threads add every 256th item, then each other's sums, halves first, in shared memory.", 75,
     launch_reduce_one_block},
    {"naive", "One thread adds up all items.", 75, launch_reduce_naive},
};

}  // namespace

const DeviceLadder nll_loss_ladder(kNllLossOp, kRungs);
const DeviceLadder nll_loss_backward_ladder(kNllLossBackwardOp, kBackwardRungs);
const DeviceLadder reduce_losses_ladder(kReduceLossesOp, kReduceRungs);

}  // namespace mt
