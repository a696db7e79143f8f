#include "gemm.h"

#include <algorithm>

namespace mt::cpu {
namespace {

// Length of one piece of the sum: a panel of B of this length (256 x 32 numbers) fits the first-level cache.
constexpr int64_t kInnerBlock = 256;
// Row panels visited for one panel of B: together they fit the second-level cache.
constexpr int64_t kRowPanelsInBlock = 16;

// A panel is up to `width` lines of a matrix side by side: packed (inner, width), where packed[k][i] = source[i *
// line_stride + k * inner_stride]. Lines from `lines` on are zero. One of the strides is 1, and `width` is a whole
// number of vectors.
template <class T>
void pack_panel(const T* source, int64_t line_stride, int64_t inner_stride, int64_t lines, int64_t width, int64_t inner,
                T* packed) {
    for (int64_t first = 0; first < width; first += kLanes<T>) {
        const int64_t count = std::clamp<int64_t>(lines - first, 0, kLanes<T>);
        const T* from = source + first * line_stride;
        T* to = packed + first;
        int64_t k = 0;
        if (line_stride == 1) {
            for (; k < inner; k++)
                store(to + k * width,
                      count == kLanes<T> ? load(from + k * inner_stride) : load_first(from + k * inner_stride, count));
            continue;
        }
        for (; k + kLanes<T> <= inner; k += kLanes<T>) {
            Vector<T> square[kLanes<T>];
            for (int i = 0; i < kLanes<T>; i++) square[i] = i < count ? load(from + i * line_stride + k) : Vector<T>{};
            transpose_square<T>(square);
            for (int i = 0; i < kLanes<T>; i++) store(to + (k + i) * width, square[i]);
        }
        for (; k < inner; k++) {
            for (int64_t i = 0; i < kLanes<T>; i++) to[k * width + i] = i < count ? from[i * line_stride + k] : T{0};
        }
    }
}

// One piece of the sum for one tile of C: the tile is read (or starts at zero), `inner` products are added, the tile is
// written. `rows` and `columns` of the tile lie inside C; the rest of it is computed and dropped.
template <class T, int Rows>
void multiply_tile(int64_t inner, const T* a, const T* b, bool accumulate, int64_t rows, int64_t columns, T* c,
                   int64_t row_stride) {
    constexpr int kColumns = kTileColumns<Rows>;
    constexpr int kLeftStride = (Rows + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
    constexpr int kWidth = kColumns * kLanes<T>;
    const T* vectors[kColumns];
    for (int j = 0; j < kColumns; j++) vectors[j] = b + j * kLanes<T>;

    Vector<T> sums[Rows][kColumns] = {};
    accumulate_tile<T, Rows, kColumns, kLeftStride>(inner, a, vectors, [](int64_t k) { return k * kWidth; }, sums);

    if (rows == Rows && columns >= kWidth) {
#pragma GCC unroll 16
        for (int i = 0; i < Rows; i++) {
#pragma GCC unroll 4
            for (int j = 0; j < kColumns; j++) {
                T* to = c + i * row_stride + j * kLanes<T>;
                store(to, accumulate ? load(to) + sums[i][j] : sums[i][j]);
            }
        }
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < Rows; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < kColumns; j++) {
            T* to = c + i * row_stride + j * kLanes<T>;
            const int64_t count = i < rows ? std::clamp<int64_t>(columns - j * kLanes<T>, 0, kLanes<T>) : 0;
            if (count == kLanes<T>) {
                store(to, accumulate ? load(to) + sums[i][j] : sums[i][j]);
            } else if (count > 0) {
                store_first(to, accumulate ? load_first(to, count) + sums[i][j] : sums[i][j], count);
            }
        }
    }
}

}  // namespace

template <class T>
GemmPlan<T>::GemmPlan(int64_t rows, int64_t columns, int64_t inner)
    : rows(rows), columns(columns), inner(inner), tile_rows(tile_rows_for(rows)) {
    dispatch_tile_rows(tile_rows,
                       [&](auto tile_rows_constant) { tile_columns = kTileColumns<tile_rows_constant()> * kLanes<T>; });
    row_panels = divide_up(rows, tile_rows);
    column_panels = divide_up(columns, tile_columns);
    left_stride = round_up(tile_rows, kLanes<T>);
}

template <class T>
void pack_a(const GemmPlan<T>& plan, MatrixView<T> a, int64_t begin, int64_t end, T* packed_a) {
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t row = panel * plan.tile_rows;
        pack_panel(a.data + row * a.row_stride, a.row_stride, a.column_stride,
                   std::min(plan.tile_rows, plan.rows - row), plan.left_stride, plan.inner,
                   packed_a + panel * plan.inner * plan.left_stride);
    }
}

template <class T>
void pack_b(const GemmPlan<T>& plan, MatrixView<T> b, int64_t begin, int64_t end, T* packed_b) {
    for (int64_t panel = begin; panel < end; panel++) {
        const int64_t column = panel * plan.tile_columns;
        pack_panel(b.data + column * b.column_stride, b.column_stride, b.row_stride,
                   std::min(plan.tile_columns, plan.columns - column), plan.tile_columns, plan.inner,
                   packed_b + panel * plan.inner * plan.tile_columns);
    }
}

template <class T>
void multiply_tiles(const GemmPlan<T>& plan, const T* packed_a, const T* packed_b, int64_t begin, int64_t end,
                    bool accumulate, T* c, int64_t row_stride) {
    const auto run = [&](auto rows_constant, int64_t k, int64_t tile) {
        constexpr int kRows = rows_constant();
        // Tiles are numbered block of row panels by block, in it column by column, in a column from top to bottom.
        const int64_t block = tile / (kRowPanelsInBlock * plan.column_panels);
        const int64_t in_block = tile % (kRowPanelsInBlock * plan.column_panels);
        const int64_t panels_in_block = std::min(kRowPanelsInBlock, plan.row_panels - block * kRowPanelsInBlock);
        const int64_t row_panel = block * kRowPanelsInBlock + in_block % panels_in_block;
        const int64_t column_panel = in_block / panels_in_block;
        const int64_t row = row_panel * plan.tile_rows;
        const int64_t column = column_panel * plan.tile_columns;
        multiply_tile<T, kRows>(
            std::min(kInnerBlock, plan.inner - k), packed_a + (row_panel * plan.inner + k) * plan.left_stride,
            packed_b + (column_panel * plan.inner + k) * plan.tile_columns, accumulate || k > 0,
            std::min(plan.tile_rows, plan.rows - row), std::min(plan.tile_columns, plan.columns - column),
            c + row * row_stride + column, row_stride);
    };
    dispatch_tile_rows(plan.tile_rows, [&](auto rows_constant) {
        int64_t k = 0;
        do {  // at least once, so that a sum without terms gives zero
            for (int64_t tile = begin; tile < end; tile++) run(rows_constant, k, tile);
            k += kInnerBlock;
        } while (k < plan.inner);
    });
}

#define INSTANTIATE(T)                                                                \
    template struct GemmPlan<T>;                                                      \
    template void pack_a<T>(const GemmPlan<T>&, MatrixView<T>, int64_t, int64_t, T*); \
    template void pack_b<T>(const GemmPlan<T>&, MatrixView<T>, int64_t, int64_t, T*); \
    template void multiply_tiles<T>(const GemmPlan<T>&, const T*, const T*, int64_t, int64_t, bool, T*, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace mt::cpu
