// CPU kernels of the reductions.
//
//   sum, mean, amax, amin   one pass over x in its own order, in blocks whose size depends on the shape alone; the
//   blocks' results are
//                           combined pairwise
//   argmax                  compares row by row, so that neighbouring columns are done at once
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// What is reduced, dimension by dimension. Dimensions of size 1 are left out, and neighbours that are both kept or both
// reduced are joined: kept and reduced alternate. At least one dimension.
struct Reduction {
    Shape shape;
    std::vector<bool> is_reduced;
};

// x: reduction.shape; out: the kept dimensions, with at least one element. amax, amin: x has at least one element a
// result.
using ReductionKernel = void (*)(const Reduction& reduction, const NDArray& x, NDArray& out);
void sum(const Reduction& reduction, const NDArray& x, NDArray& out);
void mean(const Reduction& reduction, const NDArray& x, NDArray& out);
void amax(const Reduction& reduction, const NDArray& x, NDArray& out);
void amin(const Reduction& reduction, const NDArray& x, NDArray& out);

// x: (outer, length, inner) -> out: int64 (outer, inner). length >= 1.
using ArgmaxKernel = void (*)(const NDArray& x, int64_t outer, int64_t length, int64_t inner, NDArray& out);
void argmax(const NDArray& x, int64_t outer, int64_t length, int64_t inner, NDArray& out);

}  // namespace mt::cpu
