#include "../ops/conv2d.h"
#include "../ops/im2col.h"
#include "bindings.h"

namespace mt {

void bind_conv(py::module_& m) {
    const Pair one{1, 1}, none{0, 0};
    def_op(m, "conv2d", &conv2d,
           "2-D convolution (cross-correlation): "
           "input (N, C, H, W), weight (O, C / groups, kh, kw), bias (O,) -> (N, O, H', W'), where "
           "H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1. "
           "padding None: kernel // 2, which keeps H and W when the kernel is odd and the stride 1.",
           py::arg("input"), py::arg("weight"), py::arg("bias") = py::none(), py::arg("stride") = one,
           py::arg("padding") = py::none(), py::arg("dilation") = one, py::arg("groups") = 1);
    def_op(m, "conv2d_input_grad", &conv2d_input_grad,
           "Gradient of conv2d with respect to its input: "
           "upstream (N, O, H', W'), weight (O, C / groups, kh, kw) -> input_shape (N, C, H, W).",
           py::arg("upstream"), py::arg("weight"), py::arg("input_shape"), py::arg("stride") = one,
           py::arg("padding") = py::none(), py::arg("dilation") = one, py::arg("groups") = 1);
    def_op(m, "conv2d_weight_grad", &conv2d_weight_grad,
           "Gradient of conv2d with respect to its weight: "
           "upstream (N, O, H', W'), input (N, C, H, W) -> weight_shape (O, C / groups, kh, kw).",
           py::arg("upstream"), py::arg("input"), py::arg("weight_shape"), py::arg("stride") = one,
           py::arg("padding") = py::none(), py::arg("dilation") = one, py::arg("groups") = 1);
    def_op(m, "conv2d_bias_grad", &conv2d_bias_grad,
           "Gradient of conv2d with respect to its bias: upstream (N, O, H', W') summed over N, H' and W' -> (O,).",
           py::arg("upstream"));
    def_op(m, "im2col", &im2col,
           "The windows of each image as columns (torch's unfold): "
           "(N, C, H, W) -> (N, C * kh * kw, L), L windows from left to right, top to bottom.",
           py::arg("input"), py::arg("kernel_size"), py::arg("dilation") = one, py::arg("padding") = none,
           py::arg("stride") = one);
    def_op(m, "col2im", &col2im,
           "The windows' elements added at their places (torch's fold): "
           "(N, C * kh * kw, L) -> (N, C, H, W), (H, W) being output_size.",
           py::arg("columns"), py::arg("output_size"), py::arg("kernel_size"), py::arg("dilation") = one,
           py::arg("padding") = none, py::arg("stride") = one);
}

}  // namespace mt
