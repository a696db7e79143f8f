// CPU kernels of the reductions.
//
//   sum, mean, amax, amin   one pass over x in its own order, in blocks whose size depends on the shape alone; the
//   blocks' results are
//                           combined pairwise
//   argmax                  compares row by row, so that neighbouring columns are done at once
#pragma once

#include "../ops/reduction.h"

namespace mt::cpu {

// x: reduction.shape; out: the kept dimensions, with at least one element. amax, amin: x has at least one element a
// result.
void sum(const ReducedDimensions& reduction, const NDArray& x, NDArray& out);
void mean(const ReducedDimensions& reduction, const NDArray& x, NDArray& out);
void amax(const ReducedDimensions& reduction, const NDArray& x, NDArray& out);
void amin(const ReducedDimensions& reduction, const NDArray& x, NDArray& out);

// x: (outer, length, inner) -> out: int64 (outer, inner). length >= 1.
void argmax(const NDArray& x, int64_t outer, int64_t length, int64_t inner, NDArray& out);

}  // namespace mt::cpu
