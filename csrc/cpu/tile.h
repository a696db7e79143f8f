// The inner loop that matrix multiplication, convolution and its input gradient share: a small tile of the output is
// kept in registers while the sum runs.
//
// A sum of products reads two numbers for one multiplication. A CPU core can do 32 or more float32 multiply-adds a
// cycle, but load only a few vectors. So a tile of Rows x (Columns vectors) outputs is computed together: each step
// loads Rows numbers and Columns vectors and does Rows * Columns vector multiply-adds, and the tile's sums stay in
// registers until the sum is complete.
#pragma once

#include <type_traits>

#include "simd.h"

namespace mt::cpu {

// Rows of a tile: with kTileColumns vectors each they fill the registers, but for the few that hold what is being
// multiplied.
constexpr int kMaxTileRows = kVectorRegisters == 32 ? 14 : 6;

// A tile with few rows takes more columns, so that there are always enough independent sums: a multiply-add takes four
// cycles, and two can start each cycle, so fewer than eight sums would leave the core waiting.
template <int Rows>
constexpr int kTileColumns = 2 * Rows <= kMaxTileRows ? 4 : 2;

// sums[i][j] += left[k][i] * (the vector at right[j] + offset(k)), for k in [0, count).
// left: (count, LeftStride), of which the first Rows of each k are used.
template <class T, int Rows, int Columns, int LeftStride, class Offset>
inline __attribute__((always_inline)) void accumulate_tile(int64_t count, const T* left,
                                                           const T* const (&right)[Columns], Offset offset,
                                                           Vector<T> (&sums)[Rows][Columns]) {
    for (int64_t k = 0; k < count; k++) {
        Vector<T> vectors[Columns];
#pragma GCC unroll 4
        for (int j = 0; j < Columns; j++) vectors[j] = load(right[j] + offset(k));
#pragma GCC unroll 16
        for (int i = 0; i < Rows; i++) {
#pragma GCC unroll 4
            for (int j = 0; j < Columns; j++) sums[i][j] += left[k * LeftStride + i] * vectors[j];
        }
    }
}

// How many rows each tile of a matrix of `rows` rows gets: as few tiles as possible, all of about the same height.
inline int64_t tile_rows_for(int64_t rows) { return rows <= 0 ? 1 : divide_up(rows, divide_up(rows, kMaxTileRows)); }

// Calls body(std::integral_constant<int, rows>{}): the number of rows of a tile must be known at compile time, for its
// sums to be registers.
template <int Rows = kMaxTileRows, class Body>
void dispatch_tile_rows(int64_t rows, const Body& body) {
    if constexpr (Rows == 1) {
        body(std::integral_constant<int, 1>{});
    } else if (rows == Rows) {
        body(std::integral_constant<int, Rows>{});
    } else {
        dispatch_tile_rows<Rows - 1>(rows, body);
    }
}

}  // namespace mt::cpu
