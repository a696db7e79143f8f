// The Python module mytensor_backend.
#include "bindings.h"
#include "cpu_check.h"

namespace mt {
namespace {

// mytensor's function (op, args, kwargs) -> result, or NotImplemented when no argument is a Tensor.
py::object& tensor_handler() {
    static auto* handler = new py::object(py::none());  // never destroyed: the interpreter may be gone by then
    return *handler;
}

std::string name_of_argument(const py::handle& argument) {
    if (py::isinstance<NDArray>(argument)) return message("NDArray ", describe(argument.cast<const NDArray&>()));
    std::string text = py::str(py::type::of(argument).attr("__name__"));
    if (py::isinstance<py::int_>(argument) || py::isinstance<py::float_>(argument) ||
        py::isinstance<py::tuple>(argument)) {
        text += " " + std::string(py::repr(argument));
    }
    return text;
}

std::string names_of_arguments(const py::args& args, const py::kwargs& kwargs) {
    std::string got;
    for (const auto& argument : args) got += (got.empty() ? "" : ", ") + name_of_argument(argument);
    for (const auto& [name, value] : kwargs)
        got += (got.empty() ? "" : ", ") + std::string(py::str(name)) + "=" + name_of_argument(value);
    return got;
}

// Functions that are no ops: arguments that do not fit are a TypeError with what came and what was wanted, the first
// line of the function's doc, where pybind11 would list C++ types.
void explain_what_does_not_fit(py::module_& m) {
    const py::dict members = py::reinterpret_steal<py::dict>(PyDict_Copy(m.attr("__dict__").ptr()));
    for (const auto& [key, member] : members) {
        if (!PyCFunction_Check(member.ptr())) continue;
        const std::string name = py::str(key), doc = py::str(member.attr("__doc__"));
        if (doc.find("(*args, **kwargs)") != std::string::npos) continue;  // an op: def_op has done it
        auto* wanted = new std::string(doc.substr(0, doc.find('\n')));     // never destroyed, like the module
        m.def(name.c_str(), [wanted](const py::args& args, const py::kwargs& kwargs) {
            throw TypeError(
                message("these arguments do not fit: (", names_of_arguments(args, kwargs), "); wanted ", *wanted));
        });
    }
}

void translate_exceptions(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const TypeError& error) {
        PyErr_SetString(PyExc_TypeError, error.what());
    } catch (const NotSupported& error) {
        PyErr_SetString(PyExc_NotImplementedError, error.what());
    } catch (const OutOfMemory& error) {
        PyErr_SetString(PyExc_MemoryError, error.what());
    }
}

// The module keeps Python objects in variables of the process, which interpreters of one process would share.
bool is_main_interpreter() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

constexpr const char* kNotMainInterpreter =
    "mytensor_backend works in a process's main interpreter alone, and this is a sub-interpreter; "
    "import it in the main one (mod_wsgi: WSGIApplicationGroup %{GLOBAL}), or in a process of its own.";

}  // namespace

py::object call_without_ndarrays(const char* op, const py::args& args, const py::kwargs& kwargs) {
    if (!tensor_handler().is_none()) {
        py::object result = tensor_handler()(op, args, kwargs);
        if (!result.is(py::reinterpret_borrow<py::object>(Py_NotImplemented))) return result;
    }
    throw TypeError(message("mytensor_backend.", op, ": these arguments do not fit: (",
                            names_of_arguments(args, kwargs),
                            "). Arrays must be NDArrays, made with mytensor_backend.from_numpy(array), "
                            "or Tensors, made with mytensor.tensor(array); help(mytensor_backend.",
                            op, ") shows what is wanted."));
}

}  // namespace mt

// pybind11's entry point, under another name, behind the one below.
#define PyInit_mytensor_backend init_in_main_interpreter

PYBIND11_MODULE(mytensor_backend, m) {
    if (!mt::is_main_interpreter()) throw pybind11::import_error(mt::kNotMainInterpreter);
    const std::string cpu_problem = mt::cpu_problem();
    if (!cpu_problem.empty()) throw pybind11::import_error(cpu_problem.c_str());

    pybind11::register_exception<mt::SimtError>(m, "SimtError", PyExc_RuntimeError).doc() =
        "What the emulator (device simt) found wrong with a kernel.";
    pybind11::register_exception<mt::CudaError>(m, "CudaError", PyExc_RuntimeError).doc() =
        "What the CUDA runtime reports (device cuda).";
    m.doc() =
        "The compiled backend of mytensor: arrays and the kernels that work on them.\n\n"
        "An op takes NDArrays and returns new ones. "
        "A name that ends in _ writes into its first argument and bumps its storage's version. "
        "A window's size, stride, padding and dilation are ints or pairs (h, w). "
        "All floating arguments of a call share one dtype, float32 or float64. An empty batch works.\n\n"
        "Handed mytensor.Tensors, an op that has a derivative records the graph and returns Tensors.";
    pybind11::register_exception_translator(&mt::translate_exceptions);
    m.def(
        "set_tensor_handler", [](pybind11::object handler) { mt::tensor_handler() = std::move(handler); },
        pybind11::arg("handler"), "mytensor registers here what an op does with Tensors.");
    mt::bind_ndarray(m);
    mt::bind_runtime(m);
    mt::bind_simt(m);
    mt::bind_cuda(m);
    mt::bind_build(m);
    mt::bind_conv(m);
    mt::bind_matmul(m);
    mt::bind_pooling(m);
    mt::bind_activation(m);
    mt::bind_softmax(m);
    mt::bind_arithmetic(m);
    mt::bind_reductions(m);
    mt::bind_shape(m);
    mt::bind_random(m);
    mt::bind_training(m);
    mt::explain_what_does_not_fit(m);
}

#undef PyInit_mytensor_backend

// In a sub-interpreter pybind11's waits for good, before any of the code above, for a lock that its own thread holds.
PyMODINIT_FUNC PyInit_mytensor_backend() {
    if (mt::is_main_interpreter()) return init_in_main_interpreter();
    PyErr_SetString(PyExc_ImportError, mt::kNotMainInterpreter);
    return nullptr;
}
