// CPU kernels that move elements.
//
//   permute      walks the output; where its last dimension is not x's, rows become columns tile by tile, so that reads
//   and writes both
//                stay within a few cache lines
//   copy_slabs   copies one contiguous slab from each of `outer` places
//   pad_slabs    the same into an array that is zero elsewhere
#pragma once

#include "../ops/shape.h"

namespace mt::cpu {

// out: `shape`, row-major; element (i, j, ...) comes from x's element i * strides[0] + j * strides[1] + ... No size is
// 0; at least one dimension.
void permute(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& out);

// Slab number i goes to byte out_start + i * out_stride of out.
void copy_slabs(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride);

// The same, and the rest of out's `outer` rows of out_stride bytes becomes zero.
void pad_slabs(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride);

}  // namespace mt::cpu
