// Ops that move elements and compute nothing. Any dtype.
#pragma once

#include "../ndarray/ndarray.h"

namespace mt {

// Output dimension i is x's dimension dims[i]; a copy, since arrays are contiguous. dims: a permutation, negative ones
// count from the last.
NDArray permute(const NDArray& x, const std::vector<int64_t>& dims);

// The arrays one after the other along dim; their other dimensions agree, and so do their dtypes. Arrays of shape (0,)
// may stand beside any others, as in torch.
NDArray cat(const std::vector<NDArray>& arrays, int64_t dim);

// Elements start to start + length - 1 of dimension dim. Throws IndexError when they are not all there.
NDArray narrow(const NDArray& x, int64_t dim, int64_t start, int64_t length);

// The adjoint: upstream in its place in an array of zeros of `shape`.
NDArray narrow_backward(const NDArray& upstream, const Shape& shape, int64_t dim, int64_t start);

// `outer` slabs of `length` bytes; the first begins at byte `start`, the next ones `stride` bytes apart.
struct Slabs {
    int64_t outer, length, start, stride;
};

// Kernels; cpu/shape.h says more.
using PermuteKernel = void (*)(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& out);
using SlabsKernel = void (*)(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride);

}  // namespace mt
