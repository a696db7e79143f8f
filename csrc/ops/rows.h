// Rows of an array, chosen by an index.
#pragma once

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// x: (N, ...), index: int64 (B,) -> (B, ...): row i is x's row index[i]. Throws IndexError, which names the place, for
// an index that is not 0 to N - 1.
NDArray index_select(const NDArray& x, const NDArray& index);

// The adjoint. upstream: float32 or float64 (B, ...) -> `shape` (N, ...): row r is the sum of the upstream rows whose
// index is r, in their order.
NDArray index_select_backward(const NDArray& upstream, const NDArray& index, const Shape& shape);

// index: int64 (B,), every element 0 to rows - 1.
void require_rows(const char* op, const NDArray& index, int64_t rows);

// Kernel of either. index: all in range; out is not empty, rows may be.
using RowsKernel = void(const NDArray& rows, const NDArray& index, NDArray& out);

constexpr Op<RowsKernel> kIndexSelectOp{"index_select"}, kIndexSelectBackwardOp{"index_select_backward"};

namespace cpu {
extern const Ladder<RowsKernel> index_select_ladder, index_select_backward_ladder;
}  // namespace cpu

}  // namespace mt
