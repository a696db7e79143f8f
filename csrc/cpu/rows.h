// CPU kernels for rows chosen by an index.
//
//   index_select            copies row by row
//   index_select_backward   each thread owns a range of output rows, reads the whole index, and adds the rows that
//   belong to it: no two threads
//                           write one row, and the order of the additions is the index's
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// x: (N, ...), index: int64 (B,), all in range -> out: (B, ...). Not empty.
void index_select(const NDArray& x, const NDArray& index, NDArray& out);

// upstream: (B, ...), index: int64 (B,), all in range -> out: (N, ...). out is not empty; B may be 0.
void index_select_backward(const NDArray& upstream, const NDArray& index, NDArray& out);

}  // namespace mt::cpu
