// How CPU kernels walk a broadcast: run by run along the last dimension, where every input stands still or goes on by
// one.
#pragma once

#include <algorithm>

#include "../ops/broadcast.h"

namespace mt::cpu {

// Calls body(output offset, input offsets, length) for the runs that make up the elements [begin, end) of the output.
template <size_t Inputs, class Body>
void for_each_run(const Broadcast<Inputs>& plan, int64_t begin, int64_t end, const Body& body) {
    const size_t last = plan.ndim - 1;
    std::array<int64_t, kMaxBroadcastDimensions> position;
    std::array<int64_t, Inputs> offsets{};
    int64_t rest = begin;
    for (size_t dim = plan.ndim; dim-- > 0;) {
        position[dim] = rest % plan.shape[dim];
        rest /= plan.shape[dim];
        for (size_t input = 0; input < Inputs; input++) offsets[input] += position[dim] * plan.strides[dim][input];
    }
    while (begin < end) {
        const int64_t length = std::min(end - begin, plan.shape[last] - position[last]);
        body(begin, offsets, length);
        begin += length;
        // On to the next run: the counting of an odometer.
        for (size_t input = 0; input < Inputs; input++) offsets[input] -= position[last] * plan.strides[last][input];
        position[last] = 0;
        for (size_t dim = last; dim-- > 0;) {
            for (size_t input = 0; input < Inputs; input++) offsets[input] += plan.strides[dim][input];
            if (++position[dim] < plan.shape[dim]) break;
            for (size_t input = 0; input < Inputs; input++)
                offsets[input] -= plan.shape[dim] * plan.strides[dim][input];
            position[dim] = 0;
        }
    }
}

}  // namespace mt::cpu
