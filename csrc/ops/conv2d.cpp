#include "conv2d.h"

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable table(kConv2dOp, cpu::conv2d_ladder);
KernelTable bias_grad_table(kConv2dBiasGradOp, cpu::conv2d_bias_grad_ladder);

// The CUDA kernels count rows and columns of an image in 32 bits, the padding included, and also images, channels and a
// kernel's elements.
void require_narrow(const char* op, const Conv2dGeometry& geometry) {
    constexpr int64_t kMost = int64_t{1} << 29;
    const Window& window = geometry.window;
    for (const auto& [name, size] : {std::pair{"images are", geometry.input},
                                     {"padding is", window.padding},
                                     {"stride is", window.stride},
                                     {"dilation is", window.dilation}}) {
        require<NotSupported>(size.h <= kMost && size.w <= kMost, op, ": the ", name, " (", size.h, ", ", size.w,
                              "); on a GPU, ", kMost, " is the most. device=\"cpu\" takes more");
    }
    constexpr int64_t kMostCounted = (int64_t{1} << 31) - 1;
    for (const auto& [name, count] : {std::pair{"images", geometry.batch},
                                      {"input channels", geometry.groups * geometry.group_in()},
                                      {"output channels", geometry.out_channels},
                                      {"elements in a channel's kernel", window.kernel.h * window.kernel.w}}) {
        require<NotSupported>(count <= kMostCounted, op, ": ", count, " ", name, "; on a GPU, ", kMostCounted,
                              " is the most. device=\"cpu\" takes more");
    }
}

// Checks the shapes of input and weight against each other and works out the rest.
Conv2dGeometry make_geometry(const char* op, Device device, const Shape& input, const Shape& weight, Pair stride,
                             std::optional<Pair> padding, Pair dilation, int64_t groups) {
    require<ValueError>(input.size() == 4, op, ": the input has shape ", to_string(input),
                        "; wanted 4 dimensions (N, C, H, W)");
    require<ValueError>(weight.size() == 4, op, ": the weight has shape ", to_string(weight),
                        "; wanted 4 dimensions (out_channels, in_channels / groups, kernel height, kernel width)");
    for (size_t axis = 0; axis < 4; axis++) {
        require<ValueError>(weight[axis] >= 1, op, ": the weight has shape ", to_string(weight),
                            "; every size must be at least 1");
        require<ValueError>(input[axis] >= (axis == 0 ? 0 : 1), op, ": the input has shape ", to_string(input),
                            "; only the batch may be empty");
    }
    require<ValueError>(groups >= 1, op, ": groups is ", groups, "; it must be at least 1");
    require<ValueError>(weight[0] % groups == 0, op, ": the weight has ", weight[0], " output channels, which ", groups,
                        " groups cannot share equally");
    require<ValueError>(input[1] % groups == 0 && input[1] / groups == weight[1], op, ": the input has ", input[1],
                        " channels (shape ", to_string(input), "), but a weight of shape ", to_string(weight),
                        " with groups ", groups, " wants ", weight[1], " * ", groups, " = ", weight[1] * groups);

    const Pair kernel{weight[2], weight[3]};
    const Window window{kernel, stride, padding.value_or(Pair{kernel.h / 2, kernel.w / 2}), dilation};
    check_window(op, window);
    const Pair size{input[2], input[3]};
    const Conv2dGeometry geometry{input[0], input[1], weight[0], groups, size, window_counts(op, size, window), window};
    if (device != Device::cpu) require_narrow(op, geometry);
    return geometry;
}

Shape output_shape(const Conv2dGeometry& geometry) {
    return {geometry.batch, geometry.out_channels, geometry.output.h, geometry.output.w};
}

// Both arrays of an op: floating, of one dtype, on one device.
void require_alike(const char* op, const char* first_name, const NDArray& first, const char* second_name,
                   const NDArray& second) {
    require_floating(op, first_name, first);
    require_same_dtype(op, first_name, first, second_name, second);
    require_same_device(op, first_name, first, second_name, second);
}

}  // namespace

NDArray conv2d(const NDArray& input, const NDArray& weight, const std::optional<NDArray>& bias, Pair stride,
               std::optional<Pair> padding, Pair dilation, int64_t groups) {
    require_alike("conv2d", "input", input, "weight", weight);
    const Conv2dGeometry geometry =
        make_geometry("conv2d", input.device(), input.shape(), weight.shape(), stride, padding, dilation, groups);
    if (bias) {
        require_alike("conv2d", "input", input, "bias", *bias);
        require_shape("conv2d", "bias", *bias, {geometry.out_channels});
    }
    NDArray output = NDArray::empty(output_shape(geometry), input.dtype(), input.device());
    table.pick(input.device()).forward(geometry, input, weight, bias ? &*bias : nullptr, output);
    return output;
}

NDArray conv2d_input_grad(const NDArray& upstream, const NDArray& weight, const Shape& input_shape, Pair stride,
                          std::optional<Pair> padding, Pair dilation, int64_t groups) {
    require_alike("conv2d_input_grad", "upstream", upstream, "weight", weight);
    const Conv2dGeometry geometry = make_geometry("conv2d_input_grad", upstream.device(), input_shape, weight.shape(),
                                                  stride, padding, dilation, groups);
    require_shape("conv2d_input_grad", "upstream", upstream, output_shape(geometry));
    NDArray input_grad = NDArray::empty(input_shape, upstream.dtype(), upstream.device());
    table.pick(upstream.device()).input_grad(geometry, upstream, weight, input_grad);
    return input_grad;
}

NDArray conv2d_weight_grad(const NDArray& upstream, const NDArray& input, const Shape& weight_shape, Pair stride,
                           std::optional<Pair> padding, Pair dilation, int64_t groups) {
    require_alike("conv2d_weight_grad", "upstream", upstream, "input", input);
    const Conv2dGeometry geometry = make_geometry("conv2d_weight_grad", upstream.device(), input.shape(), weight_shape,
                                                  stride, padding, dilation, groups);
    require_shape("conv2d_weight_grad", "upstream", upstream, output_shape(geometry));
    NDArray weight_grad = NDArray::empty(weight_shape, upstream.dtype(), upstream.device());
    table.pick(upstream.device()).weight_grad(geometry, upstream, input, weight_grad);
    return weight_grad;
}

NDArray conv2d_bias_grad(const NDArray& upstream) {
    require_floating("conv2d_bias_grad", "upstream", upstream);
    require_ndim("conv2d_bias_grad", "upstream", upstream, 4, "(N, out_channels, height, width)");
    NDArray bias_grad = NDArray::empty({upstream.shape(1)}, upstream.dtype(), upstream.device());
    bias_grad_table.pick(upstream.device())(upstream, bias_grad);
    return bias_grad;
}

}  // namespace mt
