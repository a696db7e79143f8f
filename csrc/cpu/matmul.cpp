// Matrix products. The kernels:
//
//   blocked   packs the matrices into panels and computes the output tile by tile in registers (gemm.h)
//   naive     three loops: each output element is the dot product of a row and a column
#include "matmul.h"

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

}  // namespace

void matmul_blocked(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                    NDArray& output) {
    dispatch_floating(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const GemmPlan<T> plan(output.shape(1), output.shape(2), a.shape(transpose_a ? 1 : 2));
        NDArray packed = NDArray::empty({plan.packed_a_size() + plan.packed_b_size()}, output.dtype());
        T* packed_a = packed.data<T>();
        T* packed_b = packed_a + plan.packed_a_size();

        for_each_product<T>(a, b, transpose_a, transpose_b, output, [&](const Product<T>& product) {
            // A thread packs the columns of B that it will multiply: what another core has written is slow to read.
            parallel_for(plan.row_panels, divide_up(kCopiesPerThread, plan.inner * plan.left_stride + 1),
                         [&](int64_t begin, int64_t end) { pack_a(plan, product.a, begin, end, packed_a); });
            parallel_for(plan.column_panels, divide_up(kCopiesPerThread, plan.inner * plan.tile_columns + 1),
                         [&](int64_t begin, int64_t end) { pack_b(plan, product.b, begin, end, packed_b); });
            if (bias != nullptr) {
                for (int64_t row = 0; row < plan.rows; row++)
                    std::memcpy(product.output + row * plan.columns, bias->raw(), bias->bytes());
            }
            const int64_t work_in_tile = plan.tile_rows * plan.tile_columns * plan.inner;
            parallel_for(
                plan.tiles(), divide_up(kMultiplyAddsPerThread, work_in_tile + 1), [&](int64_t begin, int64_t end) {
                    multiply_tiles(plan, packed_a, packed_b, begin, end, bias != nullptr, product.output, plan.columns);
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

}  // namespace mt::cpu
