// Matrix products.
#pragma once

#include <optional>

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// op(a) . op(b): (m, k) . (k, n) -> (m, n), or a batch of them, (b, m, k) . (b, k, n) -> (b, m, n). With transpose_a, a
// is (k, m); with transpose_b, b is (n, k).
NDArray matmul(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b);

// input . weight^T + bias: (rows, in), (out, in), (out,) -> (rows, out).
NDArray linear(const NDArray& input, const NDArray& weight, const std::optional<NDArray>& bias);

// What a kernel of this op computes: a, b and the output are batches of matrices; bias is null or is added to each row.
using MatmulKernel = void(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                          NDArray& output);

constexpr Op<MatmulKernel> kMatmulOp{"matmul"};

namespace cpu {
extern const Ladder<MatmulKernel> matmul_ladder;
}  // namespace cpu

}  // namespace mt
