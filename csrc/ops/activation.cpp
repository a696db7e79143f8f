#include "activation.h"

#include "kernel_table.h"

namespace mt {
namespace {

using UnaryTable = KernelTable<UnaryKernel>;

UnaryTable relu_table(kReluOp, cpu::relu_ladder);
UnaryTable neg_table(kNegOp, cpu::neg_ladder);
UnaryTable abs_table(kAbsOp, cpu::abs_ladder);
UnaryTable exp_table(kExpOp, cpu::exp_ladder);
UnaryTable log_table(kLogOp, cpu::log_ladder);
UnaryTable sqrt_table(kSqrtOp, cpu::sqrt_ladder);
UnaryTable tanh_table(kTanhOp, cpu::tanh_ladder);
UnaryTable sigmoid_table(kSigmoidOp, cpu::sigmoid_ladder);
KernelTable relu_backward_table(kReluBackwardOp, cpu::relu_backward_ladder);

NDArray map_elements(const UnaryTable& table, const NDArray& x) {
    NDArray output = NDArray::empty(x.shape(), x.dtype(), x.device());
    table.pick(x.device())(x, output);
    return output;
}

NDArray map_floating(const UnaryTable& table, const NDArray& x) {
    require_floating(table.op(), "x", x);
    return map_elements(table, x);
}

NDArray map_signed(const UnaryTable& table, const NDArray& x) {
    require<TypeError>(x.dtype() != DType::uint8, table.op(), ": x is ", describe(x),
                       ", which has no negative numbers; convert it with .astype(int64) first");
    return map_elements(table, x);
}

}  // namespace

NDArray relu(const NDArray& x) { return map_floating(relu_table, x); }

NDArray relu_backward(const NDArray& upstream, const NDArray& output) {
    require_floating("relu_backward", "output", output);
    require_same_dtype("relu_backward", "upstream", upstream, "output", output);
    require_same_device("relu_backward", "upstream", upstream, "output", output);
    require_shape("relu_backward", "upstream", upstream, output.shape());
    NDArray gradient = NDArray::empty(output.shape(), output.dtype(), output.device());
    relu_backward_table.pick(output.device())(upstream, output, gradient);
    return gradient;
}

NDArray neg(const NDArray& x) { return map_signed(neg_table, x); }
NDArray abs(const NDArray& x) { return map_signed(abs_table, x); }
NDArray exp(const NDArray& x) { return map_floating(exp_table, x); }
NDArray log(const NDArray& x) { return map_floating(log_table, x); }
NDArray sqrt(const NDArray& x) { return map_floating(sqrt_table, x); }
NDArray tanh(const NDArray& x) { return map_floating(tanh_table, x); }
NDArray sigmoid(const NDArray& x) { return map_floating(sigmoid_table, x); }

}  // namespace mt
