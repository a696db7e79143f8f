// CPU kernels that move elements.
//
//   permute      walks the output; where its last dimension is not x's, rows become columns tile by tile, so that reads
//   and writes both
//                stay within a few cache lines
//   copy_slabs   copies one contiguous slab from each of `outer` places
//   pad_slabs    the same into an array that is zero elsewhere
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// out: `shape`, row-major; element (i, j, ...) comes from x's element i * strides[0] + j * strides[1] + ... No size is
// 0; at least one dimension.
using PermuteKernel = void (*)(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& out);
void permute(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& out);

// `outer` slabs of `length` bytes; the first begins at byte `start`, the next ones `stride` bytes apart.
struct Slabs {
    int64_t outer, length, start, stride;
};

// Slab number i goes to byte out_start + i * out_stride of out.
using CopySlabsKernel = void (*)(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start,
                                 int64_t out_stride);
void copy_slabs(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride);

// The same, and the rest of out's `outer` rows of out_stride bytes becomes zero.
using PadSlabsKernel = void (*)(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start,
                                int64_t out_stride);
void pad_slabs(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride);

}  // namespace mt::cpu
