// Ops that move elements: dimensions, pieces, rows.
#include "../ops/shape.h"

#include "../ops/rows.h"
#include "bindings.h"

namespace mt {

void bind_shape(py::module_& m) {
    def_op(m, "permute", &permute, "Output dimension i is x's dimension dims[i]; a copy.", py::arg("x"),
           py::arg("dims"));
    def_op(m, "cat", &cat, "The arrays one after the other along dim; their other dimensions and dtypes agree.",
           py::arg("arrays"), py::arg("dim") = 0);
    def_op(m, "narrow", &narrow, "Elements start to start + length - 1 of dimension dim; a copy.", py::arg("x"),
           py::arg("dim"), py::arg("start"), py::arg("length"));
    def_op(m, "narrow_backward", &narrow_backward,
           "narrow's adjoint: upstream in its place in an array of zeros of `shape`.", py::arg("upstream"),
           py::arg("shape"), py::arg("dim"), py::arg("start"));
    def_op(m, "index_select", &index_select, "x (N, ...), index int64 (B,) -> (B, ...): row i is x's row index[i].",
           py::arg("x"), py::arg("index"));
    def_op(m, "index_select_backward", &index_select_backward,
           "upstream (B, ...), index int64 (B,) -> shape (N, ...): "
           "row r is the sum of the upstream rows whose index is r.",
           py::arg("upstream"), py::arg("index"), py::arg("shape"));
}

}  // namespace mt
