// Matrix products. The kernels:
//
//   blocked   packs the matrices into panels and computes the output tile by tile in registers (gemm.h). Where A is
//             small, B is packed panel by panel, where it is multiplied; a small product whose sums run along the rows
//             of both matrices, such as a linear layer's, is computed without packing
//   naive     three loops: each output element is the dot product of a row and a column
#include "../ops/matmul.h"

#include "gemm.h"
#include "parallel.h"

namespace mt::cpu {
namespace {

// A thread is worth waking for this many multiply-adds, or this many numbers copied.
constexpr int64_t kMultiplyAddsPerThread = 500'000;
constexpr int64_t kCopiesPerThread = 20'000;

template <class T>
struct Product {
    MatrixView<T> a, b;  // (m, k), (k, n)
    T* output;           // (m, n)
};

// Calls body(Product) for each matrix of the batch.
template <class T, class Body>
void for_each_product(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, NDArray& output,
                      const Body& body) {
    const int64_t a_size = a.shape(1) * a.shape(2), b_size = b.shape(1) * b.shape(2),
                  output_size = output.shape(1) * output.shape(2);
    for (int64_t i = 0; i < output.shape(0); i++) {
        const MatrixView<T> left = row_major(a.data<T>() + i * a_size, a.shape(2));
        const MatrixView<T> right = row_major(b.data<T>() + i * b_size, b.shape(2));
        body(Product<T>{transpose_a ? transposed(left) : left, transpose_b ? transposed(right) : right,
                        output.data<T>() + i * output_size});
    }
}

// ------------------------------------------------------------------------------------ products without packing

// Rows of A and of B^T whose dot products are computed together: as many sums as registers allow.
constexpr int kDotRows = kVectorRegisters == 32 ? 4 : 3;
constexpr int kDotColumns = kVectorRegisters == 32 ? 6 : 4;
// Without panels, each dot product reads its factors where they are. That pays as long as they are in the second-level
// cache.
constexpr int64_t kBytesWithoutPacking = 1024 * 1024;

// Whether the sums run along the rows of both matrices, in which the numbers lie side by side, and both are small.
template <class T>
bool runs_along_rows(const Product<T>& product, int64_t rows, int64_t columns, int64_t inner) {
    return product.a.column_stride == 1 && product.b.row_stride == 1 &&
           (rows + columns) * inner * static_cast<int64_t>(sizeof(T)) <= kBytesWithoutPacking;
}

// sums[i][j] += a[i][k] * b[j][k], lane by lane, for the lanes `keep` lets through.
template <class T, class Keep>
inline __attribute__((always_inline)) void add_products(const T* const (&a)[kDotRows], const T* const (&b)[kDotColumns],
                                                        int64_t k, Keep keep,
                                                        Vector<T> (&sums)[kDotRows * kDotColumns]) {
    // The fewer factors stay in registers, the others come one at a time: with 16 registers there is none to spare.
    Vector<T> left[kDotRows];
#pragma GCC unroll 8
    for (int i = 0; i < kDotRows; i++) left[i] = in_register<T>(keep(a[i] + k));
#pragma GCC unroll 8
    for (int j = 0; j < kDotColumns; j++) {
        const Vector<T> right = in_register<T>(keep(b[j] + k));
#pragma GCC unroll 8
        for (int i = 0; i < kDotRows; i++) sums[i * kDotColumns + j] += left[i] * right;
    }
}

// totals[i][j] = the dot product of a[i] and b[j], rows of `inner` numbers. A lane of a sum adds up every 16th product
// (float32, AVX-512); the lanes are added at the end.
template <class T>
void dot_tile(const T* const (&a)[kDotRows], const T* const (&b)[kDotColumns], int64_t inner,
              T (&totals)[kDotRows * kDotColumns]) {
    Vector<T> sums[kDotRows * kDotColumns] = {};
    int64_t k = 0;
    for (; k + kLanes<T> <= inner; k += kLanes<T>)
        add_products<T>(a, b, k, [](const T* from) { return load(from); }, sums);
    const int64_t rest = inner - k;
    if (rest > 0 && inner < kLanes<T>) {
        add_products<T>(a, b, 0, [=](const T* from) { return load_first(from, rest); }, sums);
    } else if (rest > 0) {  // the row's last vector, without the lanes that are in the sum already
        add_products<T>(a, b, inner - kLanes<T>, [=](const T* from) { return keep_last<T>(load(from), rest); }, sums);
    }
    add_lanes<T>(sums, totals);
}

// Columns [begin, end) of the product, in groups of kDotColumns from the first column on.
template <class T>
void multiply_rows(const Product<T>& product, int64_t rows, int64_t columns, int64_t inner, int64_t begin, int64_t end,
                   bool accumulate) {
    for (int64_t group = begin; group < end; group++) {
        const int64_t column = group * kDotColumns;
        const T* b[kDotColumns];  // beyond the last row the last one is used again, and its dot products are dropped
        for (int j = 0; j < kDotColumns; j++)
            b[j] = product.b.data + std::min(column + j, columns - 1) * product.b.column_stride;
        for (int64_t row = 0; row < rows; row += kDotRows) {
            const T* a[kDotRows];
            for (int i = 0; i < kDotRows; i++)
                a[i] = product.a.data + std::min(row + i, rows - 1) * product.a.row_stride;
            T totals[kDotRows * kDotColumns];
            dot_tile<T>(a, b, inner, totals);
            for (int64_t i = 0; i < std::min<int64_t>(kDotRows, rows - row); i++) {
                for (int64_t j = 0; j < std::min<int64_t>(kDotColumns, columns - column); j++) {
                    T& to = product.output[(row + i) * columns + column + j];
                    to = accumulate ? to + totals[i * kDotColumns + j] : totals[i * kDotColumns + j];
                }
            }
        }
    }
}

// ---------------------------------------------------------------------------------------- products with packing

// The packed matrix A may stay in the second-level cache while all of B passes by.
constexpr int64_t kBytesOfSmallMatrix = 128 * 1024;
// So many panels of B, at least, give every thread some.
constexpr int64_t kPanelsToShare = 8;

template <class T>
void pack_whole_a(const Product<T>& product, const GemmPlan<T>& plan, T* packed_a) {
    parallel_for(plan.row_panels, divide_up(kCopiesPerThread, plan.inner * plan.left_stride + 1),
                 [&](int64_t begin, int64_t end) { pack_a(plan, product.a, begin, end, packed_a); });
}

// All of A is packed, then all of B, and the tiles are visited in the order that suits the caches (gemm.h).
template <class T>
void multiply_packed(const Product<T>& product, const GemmPlan<T>& plan, bool accumulate) {
    NDArray packed = NDArray::empty({plan.packed_a_size() + plan.packed_b_size()}, dtype_of<T>());
    T* packed_a = packed.data<T>();
    T* packed_b = packed_a + plan.packed_a_size();
    pack_whole_a(product, plan, packed_a);
    // A thread packs the columns of B that it will multiply: what another core has written is slow to read.
    parallel_for(plan.column_panels, divide_up(kCopiesPerThread, plan.inner * plan.tile_columns + 1),
                 [&](int64_t begin, int64_t end) { pack_b(plan, product.b, begin, end, packed_b); });
    const int64_t work_in_tile = plan.tile_rows * plan.tile_columns * plan.inner;
    parallel_for(plan.tiles(), divide_up(kMultiplyAddsPerThread, work_in_tile + 1), [&](int64_t begin, int64_t end) {
        multiply_tiles(plan, packed_a, packed_b, begin, end, accumulate, product.output, plan.columns);
    });
}

// A is packed, and B panel by panel: each is multiplied by all of A at once, while it is in the first-level cache.
template <class T>
void multiply_panel_by_panel(const Product<T>& product, const GemmPlan<T>& plan, bool accumulate) {
    const int64_t panel_size = plan.inner * plan.tile_columns;
    const int64_t work_in_panel = plan.row_panels * plan.tile_rows * panel_size;
    const int64_t workers = worker_count(plan.column_panels, divide_up(kMultiplyAddsPerThread, work_in_panel + 1));
    NDArray packed = NDArray::empty({plan.packed_a_size() + workers * panel_size}, dtype_of<T>());
    T* packed_a = packed.data<T>();
    pack_whole_a(product, plan, packed_a);
    parallel_for_workers(plan.column_panels, workers, [&](int64_t worker, int64_t begin, int64_t end) {
        T* packed_panel = packed_a + plan.packed_a_size() + worker * panel_size;
        for (int64_t panel = begin; panel < end; panel++) {
            const int64_t column = panel * plan.tile_columns;
            const GemmPlan<T> part(plan.rows, std::min(plan.tile_columns, plan.columns - column), plan.inner);
            const MatrixView<T> b{product.b.data + column * product.b.column_stride, product.b.row_stride,
                                  product.b.column_stride};
            pack_b(part, b, 0, 1, packed_panel);
            multiply_tiles(part, packed_a, packed_panel, 0, part.tiles(), accumulate, product.output + column,
                           plan.columns);
        }
    });
}

// Columns enough to share, and a matrix A so small that it is worth keeping.
template <class T>
bool has_small_left_matrix(const GemmPlan<T>& plan) {
    return plan.packed_a_size() * static_cast<int64_t>(sizeof(T)) <= kBytesOfSmallMatrix &&
           plan.column_panels >= kPanelsToShare;
}

void matmul_blocked(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                    NDArray& output) {
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const int64_t rows = output.shape(1), columns = output.shape(2), inner = a.shape(transpose_a ? 1 : 2);
        const GemmPlan<T> plan(rows, columns, inner);
        for_each_product<T>(a, b, transpose_a, transpose_b, output, [&](const Product<T>& product) {
            const bool accumulate = bias != nullptr;
            if (bias != nullptr) {
                for (int64_t row = 0; row < rows; row++)
                    std::memcpy(product.output + row * columns, bias->raw(), bias->bytes());
            }
            if (!runs_along_rows(product, rows, columns, inner)) {
                return has_small_left_matrix(plan) ? multiply_panel_by_panel(product, plan, accumulate)
                                                   : multiply_packed(product, plan, accumulate);
            }
            // Each thread reads its own columns of B, that is rows of a linear layer's weight.
            parallel_for(divide_up(columns, kDotColumns),
                         divide_up(kMultiplyAddsPerThread, rows * kDotColumns * inner + 1),
                         [&](int64_t begin, int64_t end) {
                             multiply_rows(product, rows, columns, inner, begin, end, accumulate);
                         });
        });
    });
}

void matmul_naive(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                  NDArray& output) {
    const int64_t rows = output.shape(1), columns = output.shape(2), inner = a.shape(transpose_a ? 1 : 2);
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* bias_data = bias != nullptr ? bias->data<T>() : nullptr;
        for_each_product<T>(a, b, transpose_a, transpose_b, output, [&](const Product<T>& product) {
            const auto [left, right, out] = product;
            parallel_for(rows, divide_up(kMultiplyAddsPerThread, columns * inner + 1), [=](int64_t begin, int64_t end) {
                for (int64_t row = begin; row < end; row++) {
                    for (int64_t column = 0; column < columns; column++) {
                        T sum = bias_data != nullptr ? bias_data[column] : T{0};
                        for (int64_t k = 0; k < inner; k++) {
                            sum += left.data[row * left.row_stride + k * left.column_stride] *
                                   right.data[k * right.row_stride + column * right.column_stride];
                        }
                        out[row * columns + column] = sum;
                    }
                }
            });
        });
    });
}

constexpr Rung<MatmulKernel> kRungs[] = {
    {"blocked", "Copies both matrices into panels and keeps a tile of the output in registers while its sum runs.",
     matmul_blocked},
    {"naive", "Three loops: each output element is the dot product of a row and a column.", matmul_naive},
};

}  // namespace

constexpr Ladder<MatmulKernel> matmul_ladder(kRungs);

}  // namespace mt::cpu
