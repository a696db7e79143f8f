// What all bindings share: the parts of the module, argument conversions, and the way an op becomes a Python function.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "../ndarray/ndarray.h"
#include "../ops/geometry.h"
#include "op_scope.h"

namespace mt {

namespace py = pybind11;

void bind_ndarray(py::module_& m);     // ndarray.cpp
void bind_runtime(py::module_& m);     // runtime.cpp: memory, threads, kernel tables
void bind_simt(py::module_& m);        // simt.cpp: the emulator's settings and traces
void bind_cuda(py::module_& m);        // cuda.cpp: streams, events, ranges for a profiler
void bind_build(py::module_& m);       // build_info.cpp: what was built, which GPUs there are
void bind_conv(py::module_& m);        // conv.cpp: conv2d and its gradients, im2col, col2im
void bind_matmul(py::module_& m);      // matmul.cpp
void bind_pooling(py::module_& m);     // pooling.cpp
void bind_activation(py::module_& m);  // activation.cpp: relu and unary functions
void bind_softmax(py::module_& m);     // softmax.cpp: softmax family and losses
void bind_arithmetic(py::module_& m);  // arithmetic.cpp: broadcasting, comparisons, in-place
void bind_reductions(py::module_& m);  // reductions.cpp
void bind_shape(py::module_& m);       // shape.cpp: permute, cat, narrow, rows
void bind_random(py::module_& m);      // random.cpp
void bind_training(py::module_& m);    // training.cpp: SGD, batches

// The zero-copy ways in and out of Python (dlpack.cpp).
py::capsule to_dlpack(const NDArray& array, const py::object& stream, const py::object& max_version,
                      const py::object& dl_device, const py::object& copy);
int32_t dlpack_device_type(const NDArray& array);  // DLPack's number for the array's device
NDArray from_dlpack(const py::object& source);

// What an op does when its arguments are not NDArrays. A mytensor.Tensor goes to the handler that mytensor registered,
// which records the graph; anything else is a TypeError that says what came.
py::object call_without_ndarrays(const char* op, const py::args& args, const py::kwargs& kwargs);

// Notes an argument's name where `extra` is one.
template <class Extra>
void note_argument(OpSignature& signature, const Extra& extra) {
    if constexpr (std::is_base_of_v<py::arg, Extra>) signature.arguments.push_back(extra.name);
}

template <class Function, class Result, class... Arguments>
auto in_scope(const OpSignature& signature, Function function, Result (*)(Arguments...)) {
    return [&signature, function](Arguments... arguments) -> Result {
        const OpScope scope(signature, arguments...);
        return function(std::forward<Arguments>(arguments)...);
    };
}

// Makes `function` the Python function `mytensor_backend.op`, or one of its overloads. The GIL is released while it
// runs, so `function` must not touch Python objects.
template <class Function, class... Extra>
void def_overload(py::module_& m, const char* op, Function function, const char* doc, const Extra&... extra) {
    auto* signature = new OpSignature{op, {}};  // never destroyed, like the module
    (note_argument(*signature, extra), ...);
    auto* type = static_cast<py::detail::function_signature_t<Function>*>(nullptr);
    m.def(op, in_scope(*signature, function, type), doc, extra..., py::call_guard<py::gil_scoped_release>());
}

// The same, as the last overload: arguments that fit none go to call_without_ndarrays.
template <class Function, class... Extra>
void def_op(py::module_& m, const char* op, Function function, const char* doc, const Extra&... extra) {
    def_overload(m, op, function, doc, extra...);
    m.def(op, [op](const py::args& args, const py::kwargs& kwargs) { return call_without_ndarrays(op, args, kwargs); });
}

}  // namespace mt

namespace pybind11::detail {

// 3 -> {3, 3}; (3, 5) -> {3, 5}: a spatial parameter, as torch takes it.
template <>
struct type_caster<mt::Pair> {
    PYBIND11_TYPE_CASTER(mt::Pair, const_name("int | tuple[int, int]"));

    bool load(handle source, bool convert) {
        make_caster<int64_t> number;
        if (number.load(source, convert)) {
            value = {cast_op<int64_t>(number), cast_op<int64_t>(number)};
            return true;
        }
        if (!isinstance<sequence>(source) || isinstance<str>(source)) return false;
        const auto items = reinterpret_borrow<sequence>(source);
        if (items.size() != 2) return false;
        make_caster<int64_t> height, width;
        if (!height.load(object(items[0]), convert) || !width.load(object(items[1]), convert)) return false;
        value = {cast_op<int64_t>(height), cast_op<int64_t>(width)};
        return true;
    }

    static handle cast(mt::Pair pair, return_value_policy, handle) { return make_tuple(pair.h, pair.w).release(); }
};

}  // namespace pybind11::detail
