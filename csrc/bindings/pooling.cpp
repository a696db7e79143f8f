// Max and average pooling.
#include "../ops/avg_pool2d.h"
#include "../ops/max_pool2d.h"
#include "bindings.h"

namespace mt {

void bind_pooling(py::module_& m) {
    def_op(
        m, "max_pool2d", &max_pool2d,
        "The largest element of each window.\n\n"
        "input: (N, C, H, W), any dtype. "
        "Returns output (N, C, OH, OW) and indices of the same shape: where in its (H, W) plane each maximum stood,\n"
        "row * W + column; int64, or with short_indices int32, where H * W allows. stride None: kernel_size. "
        "Padding, at most kernel_size / 2, counts as minus infinity; of equal maxima the first counts,\n"
        "row by row; NaN wins. "
        "ceil_mode: a last window that reaches beyond the padding counts too, if it starts inside the input.",
        py::arg("input"), py::arg("kernel_size"), py::arg("stride") = py::none(), py::arg("padding") = Pair{0, 0},
        py::arg("dilation") = Pair{1, 1}, py::arg("ceil_mode") = false, py::arg("short_indices") = false);
    def_op(m, "max_pool2d_backward", &max_pool2d_backward,
           "The gradient of max_pool2d's input: each upstream element is added where its maximum stood.\n\n"
           "upstream, indices: (N, C, OH, OW). "
           "Returns (N, C, H, W), which is input_shape. IndexError for an index outside its plane.\n"
           "kernel_size and what follows: the forward pass's. "
           "They may be left out; with them, a GPU's thread looks at a few windows only.",
           py::arg("upstream"), py::arg("indices"), py::arg("input_shape"), py::arg("kernel_size") = py::none(),
           py::arg("stride") = py::none(), py::arg("padding") = Pair{0, 0}, py::arg("dilation") = Pair{1, 1});
    def_op(m, "avg_pool2d", &avg_pool2d,
           "The mean of each window.\n\n"
           "input: (N, C, H, W), floating or int64. Returns (N, C, OH, OW): "
           "each window's sum, divided by divisor_override if given, else by the number of its elements\n"
           "inside the input and, with count_include_pad, the padding. "
           "stride None: kernel_size. padding: zeros, at most kernel_size / 2.",
           py::arg("input"), py::arg("kernel_size"), py::arg("stride") = py::none(), py::arg("padding") = Pair{0, 0},
           py::arg("ceil_mode") = false, py::arg("count_include_pad") = true, py::arg("divisor_override") = py::none());
    def_op(m, "avg_pool2d_backward", &avg_pool2d_backward,
           "The gradient of avg_pool2d's input: "
           "each upstream element, divided as in avg_pool2d, is added to all elements of its window.\n\n"
           "upstream: (N, C, OH, OW). Returns (N, C, H, W), which is input_shape. "
           "The other arguments: those of the forward pass.",
           py::arg("upstream"), py::arg("input_shape"), py::arg("kernel_size"), py::arg("stride") = py::none(),
           py::arg("padding") = Pair{0, 0}, py::arg("ceil_mode") = false, py::arg("count_include_pad") = true,
           py::arg("divisor_override") = py::none());
}

}  // namespace mt
