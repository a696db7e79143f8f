// Reductions: many elements become one.
#pragma once

#include <optional>

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// The dimensions to reduce; nothing or an empty list: all. Negative ones count from the last. Throws IndexError when
// one is out of range, ValueError when one is named twice.
using Dims = std::optional<std::vector<int64_t>>;

// keepdim: the reduced dimensions stay, with size 1.
NDArray sum(const NDArray& x, const Dims& dims,
            bool keepdim);  // integers are summed as int64, wrapping around; nothing sums to 0
NDArray mean(const NDArray& x, const Dims& dims, bool keepdim);  // float32 or float64; of nothing: NaN
NDArray amax(const NDArray& x, const Dims& dims,
             bool keepdim);  // NaN where there is a NaN; ValueError for the largest of nothing
NDArray amin(const NDArray& x, const Dims& dims, bool keepdim);

// int64: where the first largest element stands along `dim`; the first NaN counts as the largest.
NDArray argmax(const NDArray& x, int64_t dim, bool keepdim);

// The adjoint of broadcast_to: sums float32 or float64 x over the dimensions along which an array of `shape` was
// repeated to x's shape.
NDArray sum_to_shape(const NDArray& x, const Shape& shape);

// What is reduced, dimension by dimension. Dimensions of size 1 are left out, and neighbours that are both kept or both
// reduced are joined: kept and reduced alternate. At least one dimension.
struct ReducedDimensions {
    Shape shape;
    std::vector<bool> is_reduced;
};

// Kernels. x: reduction.shape; out: the kept dimensions, with at least one element. amax, amin: x has at least one
// element a result. argmax: x is (outer, length, inner), out int64 (outer, inner), length >= 1.
using ReductionKernel = void(const ReducedDimensions& reduction, const NDArray& x, NDArray& out);
using ArgmaxKernel = void(const NDArray& x, int64_t outer, int64_t length, int64_t inner, NDArray& out);

constexpr Op<ReductionKernel> kSumOp{"sum"}, kMeanOp{"mean"}, kAmaxOp{"amax"}, kAminOp{"amin"};
constexpr Op<ArgmaxKernel> kArgmaxOp{"argmax"};

namespace cpu {
extern const Ladder<ReductionKernel> sum_ladder, mean_ladder, amax_ladder, amin_ladder;
extern const Ladder<ArgmaxKernel> argmax_ladder;
}  // namespace cpu

}  // namespace mt
