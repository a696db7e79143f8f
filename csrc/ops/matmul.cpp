#include "matmul.h"

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable table(kMatmulOp, cpu::matmul_ladder);

NDArray as_batch(const NDArray& matrix) {
    return matrix.ndim() == 3 ? matrix : matrix.reshape({1, matrix.shape(0), matrix.shape(1)});
}

}  // namespace

NDArray matmul(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b) {
    require_floating("matmul", "a", a);
    require_same_dtype("matmul", "a", a, "b", b);
    require_same_device("matmul", "a", a, "b", b);
    require<ValueError>((a.ndim() == 2 || a.ndim() == 3) && a.ndim() == b.ndim(), "matmul: a has shape ",
                        to_string(a.shape()), " and b ", to_string(b.shape()),
                        "; wanted two matrices, (m, k) and (k, n), or two batches of as many, (b, m, k) and (b, k, n)");
    const NDArray left = as_batch(a), right = as_batch(b);
    require<ValueError>(left.shape(0) == right.shape(0), "matmul: a is a batch of ", left.shape(0),
                        " matrices and b of ", right.shape(0), "; wanted as many in both");
    const int64_t rows = left.shape(transpose_a ? 2 : 1), inner = left.shape(transpose_a ? 1 : 2);
    const int64_t columns = right.shape(transpose_b ? 1 : 2), right_inner = right.shape(transpose_b ? 2 : 1);
    require<ValueError>(inner == right_inner, "matmul: a", transpose_a ? " (transposed)" : "", " has ", inner,
                        " columns but b", transpose_b ? " (transposed)" : "", " has ", right_inner,
                        " rows; they must be equal. a has shape ", to_string(a.shape()), ", b ", to_string(b.shape()));

    NDArray output = NDArray::empty({left.shape(0), rows, columns}, a.dtype(), a.device());
    table.pick(a.device())(left, right, transpose_a, transpose_b, nullptr, output);
    return a.ndim() == 2 ? output.reshape({rows, columns}) : output;
}

NDArray linear(const NDArray& input, const NDArray& weight, const std::optional<NDArray>& bias) {
    require_floating("linear", "input", input);
    require_same_dtype("linear", "input", input, "weight", weight);
    require_same_device("linear", "input", input, "weight", weight);
    require_ndim("linear", "input", input, 2, "(rows, in_features)");
    require_ndim("linear", "weight", weight, 2, "(out_features, in_features)");
    require<ValueError>(input.shape(1) == weight.shape(1), "linear: input has shape ", to_string(input.shape()),
                        ", that is ", input.shape(1), " features in a row, but weight has shape ",
                        to_string(weight.shape()), ", that is, takes ", weight.shape(1));
    const int64_t rows = input.shape(0), out_features = weight.shape(0);
    if (bias) {
        require_same_dtype("linear", "input", input, "bias", *bias);
        require_same_device("linear", "input", input, "bias", *bias);
        require_shape("linear", "bias", *bias, {out_features});
    }

    NDArray output = NDArray::empty({1, rows, out_features}, input.dtype(), input.device());
    table.pick(input.device())(as_batch(input), as_batch(weight), false, true, bias ? &*bias : nullptr, output);
    return output.reshape({rows, out_features});
}

}  // namespace mt
