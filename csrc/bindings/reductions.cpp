// Reductions, and the pair that autograd needs of broadcasting: broadcast_to and its adjoint sum_to_shape.
#include <variant>

#include "../ops/elementwise.h"
#include "../ops/reduction.h"
#include "bindings.h"

namespace mt {
namespace {

// One dimension or several.
using PythonDims = std::optional<std::variant<int64_t, std::vector<int64_t>>>;

Dims to_dims(const PythonDims& dims) {
    if (!dims) return std::nullopt;
    if (const int64_t* dim = std::get_if<int64_t>(&*dims)) return std::vector<int64_t>{*dim};
    return std::get<std::vector<int64_t>>(*dims);
}

template <NDArray (*Function)(const NDArray&, const Dims&, bool)>
void def_reduction(py::module_& m, const char* op, const char* doc) {
    def_op(
        m, op,
        [](const NDArray& x, const PythonDims& dims, bool keepdim) { return Function(x, to_dims(dims), keepdim); }, doc,
        py::arg("x"), py::arg("dims") = py::none(), py::arg("keepdim") = false);
}

}  // namespace

void bind_reductions(py::module_& m) {
    def_reduction<&sum>(m, "sum",
                        "The sum over dims (all when left out). float32, float64; integers are summed as int64.");
    def_reduction<&mean>(m, "mean", "The mean over dims (all when left out). float32 or float64.");
    def_reduction<&amax>(m, "amax", "The largest element over dims (all when left out); NaN where there is a NaN.");
    def_reduction<&amin>(m, "amin", "The smallest element over dims (all when left out); NaN where there is a NaN.");
    def_op(m, "argmax", &argmax,
           "Where the first largest element stands along dim: int64. The first NaN counts as the largest.",
           py::arg("x"), py::arg("dim"), py::arg("keepdim") = false);
    def_op(m, "sum_to_shape", &sum_to_shape,
           "Sums x over the dimensions along which an array of `shape` was repeated: broadcast_to's adjoint.",
           py::arg("x"), py::arg("shape"));
    def_op(m, "broadcast_to", &broadcast_to, "x repeated to `shape`.", py::arg("x"), py::arg("shape"));
}

}  // namespace mt
