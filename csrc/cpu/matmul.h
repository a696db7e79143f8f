// Matrix products (matmul.cpp).
#pragma once

#include "../ndarray/ndarray.h"
#include "gemm.h"

namespace mt::cpu {

// output (batch, m, n) = op(a) . op(b) + bias: a is (batch, m, k), or (batch, k, m) with transpose_a; b is (batch, k,
// n), or (batch, n, k) with transpose_b; bias is (n,) or null.
void matmul_blocked(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                    NDArray& output);
void matmul_naive(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                  NDArray& output);

}  // namespace mt::cpu
