// NDArray in Python, and the ways in from numpy and back. No way copies where memory can be shared.
#include <pybind11/numpy.h>

#include <algorithm>

#include "../ops/fill_cast.h"
#include "number_caster.h"

namespace mt {
namespace {

py::dtype numpy_dtype(DType dtype) { return py::dtype(name_of(dtype)); }

DType dtype_from_numpy(const py::dtype& dtype) {
    const std::string name = py::str(dtype.attr("newbyteorder")("=").attr("name"));
    for (DType candidate : {DType::float32, DType::float64, DType::int64, DType::int32, DType::uint8}) {
        if (name == name_of(candidate)) return candidate;
    }
    if (name == "bool") return DType::uint8;
    throw TypeError(message("a numpy array of dtype ", name,
                            " has no NDArray type; the types are float32, float64, int64, int32, uint8: "
                            "convert it with array.astype(numpy.float32), say"));
}

// The owner is a Python object, so letting go of it needs the GIL, which a kernel may have released.
std::function<void()> keep_alive(py::object owner) {
    return [owner = owner.release().ptr()] {
        py::gil_scoped_acquire gil;
        Py_DECREF(owner);
    };
}

NDArray from_numpy(const py::array& source) {
    const DType dtype = dtype_from_numpy(source.dtype());
    py::array array = source;
    const bool shareable = py::bool_(source.attr("flags").attr("c_contiguous")) &&
                           py::bool_(source.attr("flags").attr("writeable")) &&
                           py::bool_(source.attr("flags").attr("aligned")) && source.dtype().equal(numpy_dtype(dtype));
    if (!shareable) {
        array = py::module_::import("numpy").attr("array")(source, py::arg("dtype") = numpy_dtype(dtype),
                                                           py::arg("order") = "C");
    }
    Shape shape(array.shape(), array.shape() + array.ndim());
    auto storage = std::make_shared<Storage>(array.mutable_data(), static_cast<size_t>(array.nbytes()), Device::cpu,
                                             keep_alive(array));
    return NDArray(std::move(storage), std::move(shape), dtype);
}

// A numpy array over the same memory; the storage lives as long as the view does.
py::array to_numpy(const NDArray& array) {
    require<TypeError>(array.device() == Device::cpu, "numpy: the array is on device ", name_of(array.device()),
                       "; copy it to the CPU first: .cpu().numpy()");
    auto* owner = new std::shared_ptr<Storage>(array.storage());
    py::capsule base(owner, [](void* pointer) { delete static_cast<std::shared_ptr<Storage>*>(pointer); });
    return py::array(numpy_dtype(array.dtype()), array.shape(), array.raw(), base);
}

py::tuple shape_tuple(const NDArray& array) {
    py::tuple shape(array.ndim());
    for (size_t i = 0; i < array.ndim(); i++) shape[i] = array.shape(i);
    return shape;
}

py::object item(const NDArray& array) {
    require<ValueError>(array.size() == 1, "item() wants an array of one element, got shape ",
                        to_string(array.shape()));
    const NDArray on_cpu = [&array] {
        const py::gil_scoped_release release;  // a GPU's work may have to be waited for
        return array.to(Device::cpu);
    }();
    py::object value;
    dispatch_all(array.dtype(), [&](auto zero) { value = py::cast(*on_cpu.data<decltype(zero)>()); });
    return value;
}

}  // namespace

void bind_ndarray(py::module_& m) {
    py::enum_<DType> dtype(m, "DType", "The type of an NDArray's elements.");
    std::vector<py::object> dtypes;  // one Python object each, so that Python can compare by identity
    for (DType value : {DType::float32, DType::float64, DType::int64, DType::int32, DType::uint8}) {
        dtype.value(name_of(value), value);
        dtypes.push_back(dtype.attr(name_of(value)));
        m.attr(name_of(value)) = dtypes.back();
    }
    dtype.def_property_readonly("itemsize", &item_size, "Bytes an element takes.");
    dtype.def_property_readonly("is_floating", &is_floating);

    py::class_<NDArray>(m, "NDArray", "A contiguous, row-major array: a shape over a storage.")
        .def_property_readonly("shape", &shape_tuple)
        .def_property_readonly("dtype", [dtypes](const NDArray& a) { return dtypes[static_cast<size_t>(a.dtype())]; })
        .def_property_readonly("device", [](const NDArray& a) { return name_of(a.device()); })
        .def_property_readonly(
            "size", [](const NDArray& a) { return a.size(); }, "Number of elements.")
        .def_property_readonly("ndim", &NDArray::ndim)
        .def_property_readonly("nbytes", &NDArray::bytes)
        .def_property_readonly(
            "version", [](const NDArray& a) { return a.storage()->version.load(); },
            "How often an in-place op has written to the storage.")
        .def_property_readonly(
            "data_ptr", [](const NDArray& a) { return reinterpret_cast<uintptr_t>(a.raw()); }, "Address of element 0.")
        .def("numpy", &to_numpy, "A numpy array over the same memory: a change of one is seen in the other.")
        .def("reshape", &NDArray::reshape, py::arg("shape"),
             "The same storage under another shape; one size may be -1.")
        .def(
            "to",
            [](const NDArray& a, const std::string& device, bool non_blocking) {
                return a.to(parse_device(device), non_blocking);
            },
            py::arg("device"), py::arg("non_blocking") = false, py::call_guard<py::gil_scoped_release>(),
            "A copy on another device; itself if it is there already. "
            "non_blocking: a copy between a GPU and pinned memory is queued on the current stream and not waited for.")
        .def("pin_memory", &NDArray::pin, py::call_guard<py::gil_scoped_release>(),
             "A copy in pinned memory of the CPU; itself if it is pinned.")
        .def_property_readonly("is_pinned", &NDArray::is_pinned, "Whether it lies in pinned memory of the CPU.")
        .def(
            "cpu", [](const NDArray& a) { return a.to(Device::cpu); }, py::call_guard<py::gil_scoped_release>(),
            "A copy on the CPU; itself if it is there already.")
        .def("clone", &NDArray::clone, py::call_guard<py::gil_scoped_release>(), "A copy with a storage of its own.")
        .def(
            "astype",
            [](const NDArray& a, DType type) {
                static const OpSignature signature{"astype", {"x"}};
                const OpScope scope(signature, a);
                return astype(a, type);
            },
            py::arg("dtype"), py::call_guard<py::gil_scoped_release>(), "A copy with elements of another type.")
        .def("item", &item, "The one element, as a Python number.")
        .def(
            "shares_storage",
            [](const NDArray& a, const py::args& others) {
                return std::any_of(others.begin(), others.end(), [&](const py::handle other) {
                    return py::isinstance<NDArray>(other) && a.storage() == other.cast<const NDArray&>().storage();
                });
            },
            "Whether one of the others lies in the same memory. What is no NDArray does not.")
        .def("__dlpack__", &to_dlpack, py::kw_only(), py::arg("stream") = py::none(),
             py::arg("max_version") = py::none(), py::arg("dl_device") = py::none(), py::arg("copy") = py::none(),
             "A capsule for another library: of the array itself, or of a copy where it must be one.")
        .def(
            "__dlpack_device__", [](const NDArray& a) { return py::make_tuple(dlpack_device_type(a), 0); },
            "(1, 0): host memory; (2, 0): a GPU's.")
        .def("__len__",
             [](const NDArray& a) {
                 require<TypeError>(a.ndim() > 0, "len() of an array without dimensions");
                 return a.shape(0);
             })
        .def(
            "__array__",
            [](const NDArray& a, const py::object& dtype, const py::object& copy) {
                py::array view = to_numpy(a);
                if (!dtype.is_none()) return view.attr("astype")(dtype);
                return copy.is_none() || !copy.cast<bool>() ? py::object(view) : view.attr("copy")();
            },
            py::arg("dtype") = py::none(), py::arg("copy") = py::none())
        .def("__repr__",
             [](const NDArray& a) { return message("NDArray(", describe(a), " on ", name_of(a.device()), ")"); });

    m.def(
        "empty",
        [](const Shape& shape, DType type, const std::string& device) {
            return NDArray::empty(shape, type, parse_device(device));
        },
        py::arg("shape"), py::arg("dtype") = DType::float32, py::arg("device") = "cpu",
        py::call_guard<py::gil_scoped_release>(), "An uninitialised array (NaN in memory mode 'debug').");
    m.def(
        "full",
        [](const Shape& shape, const Number& value, DType type, const std::string& device) {
            static const OpSignature signature{"full", {"shape"}};
            const OpScope scope(signature, shape);
            return full(shape, value, type, parse_device(device));
        },
        py::arg("shape"), py::arg("value"), py::arg("dtype") = DType::float32, py::arg("device") = "cpu",
        py::call_guard<py::gil_scoped_release>(), "An array of one value.");
    m.def(
        "from_numpy", &from_numpy, py::arg("array").noconvert(),
        "Shares the memory of a C-contiguous, writable, aligned array in this machine's byte order; copies any other.");
    m.def(
        "versions",
        [](const py::args& values) {
            py::tuple versions(values.size());
            for (size_t i = 0; i < values.size(); i++) {
                const bool is_array = py::isinstance<NDArray>(values[i]);
                versions[i] = is_array ? values[i].cast<const NDArray&>().storage()->version.load() : 0;
            }
            return versions;
        },
        "The version of each array: how often an in-place op has written to its storage. 0 for what is no array.");
    m.def("from_dlpack", &from_dlpack, py::arg("source"),
          "Shares the memory of any object with __dlpack__: a torch tensor, a numpy array.");
}

}  // namespace mt
