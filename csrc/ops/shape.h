// Ops that move elements and compute nothing. Any dtype.
#pragma once

#include "../ndarray/ndarray.h"
#include "ladder.h"

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

// Kernels. permute: out is `shape`, row-major, and its element (i, j, ...) comes from x's element i * strides[0] +
// j * strides[1] + ...; no size is 0, and there is at least one dimension. Slab number i goes to byte out_start +
// i * out_stride of out; narrow_backward's kernels make the rest of out's `outer` rows of out_stride bytes zero.
using PermuteKernel = void(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& out);
using SlabsKernel = void(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride);

constexpr Op<PermuteKernel> kPermuteOp{"permute"};
constexpr Op<SlabsKernel> kCatOp{"cat"}, kNarrowOp{"narrow"}, kNarrowBackwardOp{"narrow_backward"};

namespace cpu {
extern const Ladder<PermuteKernel> permute_ladder;
extern const Ladder<SlabsKernel> cat_ladder, narrow_ladder, narrow_backward_ladder;
}  // namespace cpu

}  // namespace mt
