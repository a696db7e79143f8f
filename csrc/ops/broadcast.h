// Broadcasting, numpy's and torch's rule: shapes are aligned at their last dimension; a size of 1, or a missing
// dimension, is repeated to meet the other's.
#pragma once

#include <array>

#include "../ndarray/ndarray.h"

namespace mt {

// Throws ValueError with both shapes and the first dimension, from the last one backwards, where they disagree.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

// Throws ValueError unless `source` can be repeated to exactly `destination`.
void require_broadcasts_to(const char* op, const Shape& source, const Shape& destination);

constexpr size_t kMaxBroadcastDimensions = 32;

// How a kernel walks the output and its inputs. Dimensions that all inputs walk alike are joined, so that two arrays of
// one shape are one long run, and (N, C, H, W) + (1, C, 1, 1) is a walk over (N, C, H * W).
template <size_t Inputs>
struct Broadcast {
    size_t ndim = 1;                                     // at least 1
    std::array<int64_t, kMaxBroadcastDimensions> shape;  // of the output, joined
    std::array<std::array<int64_t, Inputs>, kMaxBroadcastDimensions>
        strides;       // [dimension][input], in elements; 0: repeated. The last
                       // dimension's are 0 or 1.
    int64_t size = 0;  // of the output
};

// `inputs` broadcast to `output` (checked before). Throws NotSupported beyond kMaxBroadcastDimensions joined
// dimensions.
template <size_t Inputs>
Broadcast<Inputs> plan_broadcast(const char* op, const Shape& output, const std::array<const NDArray*, Inputs>& inputs);

}  // namespace mt
