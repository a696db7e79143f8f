#include "../ops/matmul.h"

#include "bindings.h"

namespace mt {

void bind_matmul(py::module_& m) {
    def_op(m, "matmul", &matmul,
           "op(a) @ op(b): (m, k) @ (k, n) -> (m, n), or of batches (b, m, k) @ (b, k, n) -> (b, m, n). "
           "transpose_a: a is (k, m); transpose_b: b is (n, k).",
           py::arg("a"), py::arg("b"), py::arg("transpose_a") = false, py::arg("transpose_b") = false);
    def_op(m, "linear", &linear, "input @ weight.T + bias: (rows, in), (out, in), (out,) -> (rows, out).",
           py::arg("input"), py::arg("weight"), py::arg("bias") = py::none());
}

}  // namespace mt
