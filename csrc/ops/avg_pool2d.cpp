#include "avg_pool2d.h"

#include "kernel_table.h"
#include "pooling_checks.h"

namespace mt {
namespace {

KernelTable table(kAvgPool2dOp, cpu::avg_pool2d_ladder);
KernelTable backward_table(kAvgPool2dBackwardOp, cpu::avg_pool2d_backward_ladder);

AverageDivisor make_divisor(const char* op, bool count_include_pad, std::optional<int64_t> divisor_override) {
    require<ValueError>(divisor_override != 0, op,
                        ": divisor_override is 0; the sum of a window cannot be divided by 0");
    return {count_include_pad, divisor_override.value_or(0)};
}

}  // namespace

NDArray avg_pool2d(const NDArray& input, Pair kernel_size, std::optional<Pair> stride, Pair padding, bool ceil_mode,
                   bool count_include_pad, std::optional<int64_t> divisor_override) {
    const Window window{kernel_size, stride.value_or(kernel_size), padding, {1, 1}};
    require<TypeError>(is_floating(input.dtype()) || input.dtype() == DType::int64, "avg_pool2d: input has dtype ",
                       name_of(input.dtype()),
                       "; wanted float32, float64 or int64: convert it with .astype(float32), .float() on a Tensor");
    check_pooling("avg_pool2d", input, window);
    const auto divisor = make_divisor("avg_pool2d", count_include_pad, divisor_override);
    const Pair outputs = window_counts("avg_pool2d", {input.shape(2), input.shape(3)}, window, ceil_mode);
    NDArray output =
        NDArray::empty({input.shape(0), input.shape(1), outputs.h, outputs.w}, input.dtype(), input.device());
    table.pick(input.device())(input, window, divisor, output);
    return output;
}

NDArray avg_pool2d_backward(const NDArray& upstream, const Shape& input_shape, Pair kernel_size,
                            std::optional<Pair> stride, Pair padding, bool ceil_mode, bool count_include_pad,
                            std::optional<int64_t> divisor_override) {
    const char* op = "avg_pool2d_backward";
    check_pooling_upstream(op, upstream, input_shape);
    const Window window{kernel_size, stride.value_or(kernel_size), padding, {1, 1}};
    NDArray input_gradient = NDArray::empty(input_shape, upstream.dtype(), upstream.device());
    check_pooling(op, input_gradient, window);
    const auto divisor = make_divisor(op, count_include_pad, divisor_override);
    const Pair outputs = window_counts(op, {input_shape[2], input_shape[3]}, window, ceil_mode);
    require_shape(op, "upstream", upstream, {input_shape[0], input_shape[1], outputs.h, outputs.w});
    backward_table.pick(upstream.device())(upstream, window, divisor, input_gradient);
    return input_gradient;
}

}  // namespace mt
