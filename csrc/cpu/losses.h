// What the losses' kernels share.
#pragma once

#include "../ops/loss_arguments.h"

namespace mt::cpu {

// What an item's gradient is multiplied by: upstream[item] for "none", else upstream, and for "mean" divided by
// total_weight.
template <class T>
T upstream_of_item(const T* upstream, const T* total_weight, Reduction reduction, int64_t item) {
    if (reduction == Reduction::none) return upstream[item];
    return reduction == Reduction::mean ? upstream[0] / total_weight[0] : upstream[0];
}

}  // namespace mt::cpu
