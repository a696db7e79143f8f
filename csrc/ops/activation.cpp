#include "activation.h"

#include "../cpu/activation.h"
#include "kernel_table.h"

namespace mt {
namespace {

using UnaryTable = KernelTable<UnaryKernel>;

UnaryTable relu_table("relu",
                      {{Device::cpu, "vectorised", "Compares a register full of elements with 0 at once.", cpu::relu}},
                      &DeviceKernels::relu);
KernelTable<ReluBackwardKernel> relu_backward_table(
    "relu_backward",
    {{Device::cpu, "vectorised", "Compares a register full of outputs with 0 and keeps the gradients of those above.",
      cpu::relu_backward}},
    &DeviceKernels::relu_backward);
UnaryTable neg_table("neg", {{Device::cpu, "elementwise", "Changes the sign of each element.", cpu::neg}},
                     &DeviceKernels::neg);
UnaryTable abs_table("abs", {{Device::cpu, "elementwise", "Drops the sign of each element.", cpu::abs}},
                     &DeviceKernels::abs);
UnaryTable exp_table("exp",
                     {{Device::cpu, "vectorised", "2^n times a polynomial, for a register full of elements at once.",
                       cpu::exp}},
                     &DeviceKernels::exp);
UnaryTable log_table("log", {{Device::cpu, "elementwise", "The C++ library's logarithm of each element.", cpu::log}},
                     &DeviceKernels::log);
UnaryTable sqrt_table("sqrt", {{Device::cpu, "elementwise", "The processor's square root of each element.", cpu::sqrt}},
                      &DeviceKernels::sqrt);
UnaryTable tanh_table("tanh",
                      {{Device::cpu, "elementwise", "The C++ library's hyperbolic tangent of each element.",
                        cpu::tanh}},
                      &DeviceKernels::tanh);
UnaryTable sigmoid_table("sigmoid",
                         {{Device::cpu, "vectorised", "1 / (1 + exp(-x)) for a register full of elements at once.",
                           cpu::sigmoid}},
                         &DeviceKernels::sigmoid);

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
