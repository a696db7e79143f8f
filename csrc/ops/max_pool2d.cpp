#include "max_pool2d.h"

#include <limits>

#include "../ndarray/value_range.h"
#include "kernel_table.h"
#include "pooling_checks.h"

namespace mt {
namespace {

KernelTable table(kMaxPool2dOp, cpu::max_pool2d_ladder);
KernelTable backward_table(kMaxPool2dBackwardOp, cpu::max_pool2d_backward_ladder);

// With dilation a window can step over a small input: every element of it then is padding, and there is no maximum to
// point at.
void check_reaches_input(const char* side, int64_t outputs, int64_t input, int64_t kernel, int64_t stride,
                         int64_t padding, int64_t dilation) {
    for (int64_t i = 0; i < outputs; i++) {
        const int64_t start = i * stride - padding;
        const int64_t first_inside = start >= 0 ? start : start + (-start + dilation - 1) / dilation * dilation;
        require<ValueError>(first_inside < input && first_inside <= start + (kernel - 1) * dilation,
                            "max_pool2d: along the ", side, ", the window of output ", i,
                            " holds nothing but padding (input ", input, ", kernel_size ", kernel, ", padding ",
                            padding, ", dilation ", dilation, "); use less padding or dilation");
    }
}

// The window of the forward pass, or one without a kernel where the caller did not say.
Window known_window(const char* op, std::optional<Pair> kernel_size, std::optional<Pair> stride, Pair padding,
                    Pair dilation) {
    if (!kernel_size) return Window{{0, 0}};
    const Window window{*kernel_size, stride.value_or(*kernel_size), padding, dilation};
    check_window(op, window);
    return window;
}

}  // namespace

std::pair<NDArray, NDArray> max_pool2d(const NDArray& input, Pair kernel_size, std::optional<Pair> stride, Pair padding,
                                       Pair dilation, bool ceil_mode, bool short_indices) {
    const Window window{kernel_size, stride.value_or(kernel_size), padding, dilation};
    check_pooling("max_pool2d", input, window);
    const int64_t height = input.shape(2), width = input.shape(3);
    const Pair outputs = window_counts("max_pool2d", {height, width}, window, ceil_mode);
    check_reaches_input("height", outputs.h, height, kernel_size.h, window.stride.h, padding.h, dilation.h);
    check_reaches_input("width", outputs.w, width, kernel_size.w, window.stride.w, padding.w, dilation.w);

    const Shape output_shape{input.shape(0), input.shape(1), outputs.h, outputs.w};
    NDArray output = NDArray::empty(output_shape, input.dtype(), input.device());
    const bool is_short = short_indices && height * width <= std::numeric_limits<int32_t>::max();
    NDArray indices = NDArray::empty(output_shape, is_short ? DType::int32 : DType::int64, input.device());
    table.pick(input.device())(input, window, output, indices);
    note_range(indices, 0, static_cast<double>(height * width - 1));
    return {output, indices};
}

NDArray max_pool2d_backward(const NDArray& upstream, const NDArray& indices, const Shape& input_shape,
                            std::optional<Pair> kernel_size, std::optional<Pair> stride, Pair padding, Pair dilation) {
    const char* op = "max_pool2d_backward";
    check_pooling_upstream(op, upstream, input_shape);
    if (indices.dtype() != DType::int32) require_dtype(op, "indices", indices, DType::int64);
    require_same_device(op, "upstream", upstream, "indices", indices);
    require_shape(op, "indices", indices, upstream.shape());

    NDArray input_gradient = NDArray::empty(input_shape, upstream.dtype(), upstream.device());
    const Window window = known_window(op, kernel_size, stride, padding, dilation);
    const double plane_size = static_cast<double>(input_shape[2]) * static_cast<double>(input_shape[3]);
    bool all_inside = upstream.device() == Device::cpu || known_to_lie_in(indices, 0, plane_size);
    if (all_inside) all_inside = backward_table.pick(upstream.device())(upstream, indices, window, input_gradient);
    require<IndexError>(all_inside, op, ": an index is negative or not below ", input_shape[2] * input_shape[3],
                        ", the size of one (", input_shape[2], ", ", input_shape[3], ") plane of input_shape ",
                        to_string(input_shape), "; give the indices and input shape of the forward pass");
    return input_gradient;
}

}  // namespace mt
