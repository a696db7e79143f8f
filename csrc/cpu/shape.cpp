// CPU kernels that move elements.
//
//   permute      walks the output; where its last dimension is not x's, rows become columns tile by tile, so that reads
//                and writes both stay within a few cache lines
//   copy_slabs   copies one contiguous slab from each of `outer` places
//   pad_slabs    the same into an array that is zero elsewhere
#include "../ops/shape.h"

#include <algorithm>
#include <cstring>

#include "parallel.h"

namespace mt::cpu {
namespace {

constexpr int64_t kGrain = 32768;            // elements a thread
constexpr int64_t kGrainBytes = 128 * 1024;  // bytes a thread
constexpr int64_t kTile = 16;                // a row of it is one cache line of float32

// Where a walk over the dimensions of `shape` before `ndim` begins its row number `row`.
int64_t row_offset(const Shape& shape, const Shape& strides, size_t ndim, int64_t row) {
    int64_t offset = 0;
    for (size_t dim = ndim; dim-- > 0;) {
        offset += row % shape[dim] * strides[dim];
        row /= shape[dim];
    }
    return offset;
}

// x's and out's last dimensions are the same: whole runs are copied.
template <class T>
void copy_runs(const T* x, const Shape& shape, const Shape& strides, T* out, int64_t size) {
    const int64_t run = shape.back();
    parallel_for(size / run, std::max<int64_t>(kGrain / run, 1), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
            std::copy_n(x + row_offset(shape, strides, shape.size() - 1, row), run, out + row * run);
        }
    });
}

// out[r * out_stride + c] = x[r + c * x_stride] for a tile of rows x columns.
template <class T>
void transpose_tile(const T* x, int64_t x_stride, T* out, int64_t out_stride, int64_t rows, int64_t columns) {
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) out[r * out_stride + c] = x[r + c * x_stride];
    }
}

// out's last dimension is strided in x; `along` is the output dimension that goes on by one element in x. For every
// place of the other dimensions, that is the transposition of a matrix.
template <class T>
void transpose_matrices(const T* x, const Shape& shape, const Shape& strides, size_t along, T* out, int64_t size) {
    const size_t last = shape.size() - 1;
    const int64_t rows = shape[along], columns = shape[last];
    Shape out_strides(shape.size(), 1);
    for (size_t dim = last; dim > 0; dim--) out_strides[dim - 1] = out_strides[dim] * shape[dim];
    Shape other_shape, other_from, other_to;
    for (size_t dim = 0; dim < last; dim++) {
        if (dim == along) continue;
        other_shape.push_back(shape[dim]);
        other_from.push_back(strides[dim]);
        other_to.push_back(out_strides[dim]);
    }
    const int64_t tiles_down = (rows + kTile - 1) / kTile, tiles_across = (columns + kTile - 1) / kTile;
    const int64_t tiles = tiles_down * tiles_across;
    const int64_t matrices = size / (rows * columns);
    const int64_t tile_cost = std::min(rows, kTile) * std::min(columns, kTile);
    parallel_for(matrices * tiles, std::max<int64_t>(kGrain / tile_cost, 1), [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; item++) {
            const int64_t matrix = item / tiles;
            const int64_t row = item % tiles / tiles_across * kTile, column = item % tiles_across * kTile;
            const T* from =
                x + row_offset(other_shape, other_from, other_shape.size(), matrix) + row + column * strides[last];
            T* to =
                out + row_offset(other_shape, other_to, other_shape.size(), matrix) + row * out_strides[along] + column;
            transpose_tile(from, strides[last], to, out_strides[along], std::min(rows - row, kTile),
                           std::min(columns - column, kTile));
        }
    });
}

void permute(const NDArray& x, const Shape& shape, const Shape& strides, NDArray& out) {
    dispatch_all(x.dtype(), [&](auto zero) {
        using T = decltype(zero);
        if (strides.back() == 1) return copy_runs(x.data<T>(), shape, strides, out.data<T>(), x.size());
        const size_t along = static_cast<size_t>(std::find(strides.begin(), strides.end(), 1) - strides.begin());
        transpose_matrices(x.data<T>(), shape, strides, along, out.data<T>(), x.size());
    });
}

void copy_slabs(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride) {
    const char* from = static_cast<const char*>(x.raw()) + slabs.start;
    char* to = static_cast<char*>(out.raw()) + out_start;
    if (slabs.length == 0) return;
    parallel_for(slabs.outer, std::max<int64_t>(kGrainBytes / slabs.length, 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) std::memcpy(to + i * out_stride, from + i * slabs.stride, slabs.length);
    });
}

void pad_slabs(const NDArray& x, const Slabs& slabs, NDArray& out, int64_t out_start, int64_t out_stride) {
    const char* from = static_cast<const char*>(x.raw()) + slabs.start;
    char* to = static_cast<char*>(out.raw());
    if (out_stride == 0) return;
    parallel_for(slabs.outer, std::max<int64_t>(kGrainBytes / out_stride, 1), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            char* row = to + i * out_stride;
            const int64_t after = out_start + slabs.length;
            std::memset(row, 0, out_start);
            std::memcpy(row + out_start, from + i * slabs.stride, slabs.length);
            std::memset(row + after, 0, out_stride - after);
        }
    });
}

constexpr Rung<PermuteKernel> kPermuteRungs[] = {
    {"tiled", "square tiles where rows become columns, runs elsewhere", permute}};
constexpr Rung<SlabsKernel> kCopyRungs[] = {{"slabs", "copies contiguous slabs", copy_slabs}};
constexpr Rung<SlabsKernel> kPadRungs[] = {{"slabs", "copies contiguous slabs, zeros around them", pad_slabs}};

}  // namespace

constexpr Ladder<PermuteKernel> permute_ladder(kPermuteRungs);
constexpr Ladder<SlabsKernel> cat_ladder(kCopyRungs);
constexpr Ladder<SlabsKernel> narrow_ladder(kCopyRungs);
constexpr Ladder<SlabsKernel> narrow_backward_ladder(kPadRungs);

}  // namespace mt::cpu
