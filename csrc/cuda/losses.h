// What the kernels of nll_loss and cross_entropy share.
#pragma once

#include "../ops/loss_arguments.h"
#include "launch.h"

namespace mt {

// An array that may be missing (the class weights).
template <class T>
const T* data_or_null(const NDArray* array) {
    return array != nullptr ? array->data<T>() : nullptr;
}

// What an item's gradient is multiplied by: upstream[item] for "none", else upstream, and for "mean" divided by
// total_weight.
template <class T>
__device__ T upstream_of_item(const T* upstream, const T* total_weight, Reduction reduction, int64_t item) {
    if (reduction == Reduction::none) return upstream[item];
    return reduction == Reduction::mean ? upstream[0] / total_weight[0] : upstream[0];
}

}  // namespace mt
