// General matrix multiplication (GEMM), C = A . B or C += A . B, at the speed of the CPU. Three ideas:
//
//   tiles      a tile of C is kept in registers while its sum runs (tile.h)
//   packing    A and B are first copied into panels, in the order in which the inner loop reads them: one contiguous
//              stream each. A transposed matrix is just another way to read while packing
//   blocking   the sum is cut into pieces of kInnerBlock, and tiles are visited so that the panels in use stay in the
//              caches
//
// The parts are separate functions, so that the caller decides what runs in parallel: matmul.cpp shares out panels and
// tiles of one product, conv2d_im2col_gemm.cpp gives each thread images of its own.
#pragma once

#include "tile.h"

namespace mt::cpu {

// Element (i, j) is data[i * row_stride + j * column_stride]; swapping the strides transposes.
template <class T>
struct MatrixView {
    const T* data;
    int64_t row_stride;
    int64_t column_stride;
};

template <class T>
MatrixView<T> row_major(const T* data, int64_t columns) {
    return {data, columns, 1};
}

template <class T>
MatrixView<T> transposed(MatrixView<T> matrix) {
    return {matrix.data, matrix.column_stride, matrix.row_stride};
}

// How C (rows, columns) = A (rows, inner) . B (inner, columns) is cut up.
template <class T>
struct GemmPlan {
    GemmPlan(int64_t rows, int64_t columns, int64_t inner);

    int64_t rows, columns, inner;
    int64_t tile_rows;      // rows of C in a tile
    int64_t tile_columns;   // columns of C in a tile: a few vectors
    int64_t row_panels;     // tiles from top to bottom
    int64_t column_panels;  // tiles from left to right
    int64_t left_stride;    // tile_rows, rounded up to whole vectors

    int64_t tiles() const { return row_panels * column_panels; }
    int64_t packed_a_size() const { return row_panels * inner * left_stride; }  // elements
    int64_t packed_b_size() const { return column_panels * inner * tile_columns; }
};

// Copies row panels [begin, end) of A: packed_a is (row_panels, inner, left_stride). Rows beyond the last are zero.
template <class T>
void pack_a(const GemmPlan<T>& plan, MatrixView<T> a, int64_t begin, int64_t end, T* packed_a);

// Copies column panels [begin, end) of B: packed_b is (column_panels, inner, tile_columns). Columns beyond the last are
// zero.
template <class T>
void pack_b(const GemmPlan<T>& plan, MatrixView<T> b, int64_t begin, int64_t end, T* packed_b);

// Computes tiles [begin, end) of C, whose rows are `row_stride` elements apart; `accumulate`: C += A . B.
template <class T>
void multiply_tiles(const GemmPlan<T>& plan, const T* packed_a, const T* packed_b, int64_t begin, int64_t end,
                    bool accumulate, T* c, int64_t row_stride);

}  // namespace mt::cpu
