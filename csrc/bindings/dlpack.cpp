// DLPack: how array libraries hand each other memory without a copy. A producer fills one of the structures below and
// wraps it in a capsule; the consumer renames the capsule, so that nobody takes it twice, and calls `deleter` when it
// is done. Consumers since version 1.0 ask for the structure with version and flags, older ones for that without.
// Source of the layout: the DLPack specification, C API, version 1.0 (dmlc.github.io/dlpack).
#include "../device/device_memory.h"
#include "bindings.h"

namespace mt {
namespace {

using BufferError = py::buffer_error;  // what DLPack has a producer raise that cannot do as it is asked

struct DLTensor {
    void* data;
    int32_t device_type;
    int32_t device_id;
    int32_t ndim;
    uint8_t type_code;
    uint8_t type_bits;
    uint16_t type_lanes;
    int64_t* shape;
    int64_t* strides;
    uint64_t byte_offset;
};

struct DLManagedTensor {
    static constexpr const char* kName = "dltensor";
    static constexpr const char* kUsedName = "used_dltensor";

    DLTensor tensor;
    void* context;
    void (*deleter)(DLManagedTensor*);
};

struct DLManagedTensorVersioned {
    static constexpr const char* kName = "dltensor_versioned";
    static constexpr const char* kUsedName = "used_dltensor_versioned";

    uint32_t major, minor;
    void* context;
    void (*deleter)(DLManagedTensorVersioned*);
    uint64_t flags;
    DLTensor tensor;
};

constexpr uint32_t kMajorVersion = 1;
constexpr uint64_t kReadOnly = 1, kCopied = 2;  // flags
constexpr int32_t kHost = 1, kCuda = 2;         // device types
constexpr uint8_t kSignedInteger = 0, kUnsignedInteger = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6;

struct TypeCode {
    DType dtype;
    uint8_t code;
};
constexpr TypeCode kTypes[] = {{DType::float32, kFloat},
                               {DType::float64, kFloat},
                               {DType::int64, kSignedInteger},
                               {DType::int32, kSignedInteger},
                               {DType::uint8, kUnsignedInteger}};

// What an exported tensor keeps alive.
template <class Managed>
struct Export {
    Managed managed;
    std::shared_ptr<Storage> storage;
    Shape shape;
    Shape strides;
};

template <class Managed>
void free_export(Managed* managed) {
    delete static_cast<Export<Managed>*>(managed->context);
}

Shape row_major_strides(const Shape& shape) {
    Shape strides(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
    return strides;
}

std::string name_of_type(const DLTensor& tensor) {
    const char* kind = tensor.type_code == kSignedInteger     ? "int"
                       : tensor.type_code == kUnsignedInteger ? "uint"
                       : tensor.type_code == kFloat           ? "float"
                       : tensor.type_code == kBfloat          ? "bfloat"
                       : tensor.type_code == kComplex         ? "complex"
                       : tensor.type_code == kBool            ? "bool"
                                                              : "";
    const std::string lanes = tensor.type_lanes == 1 ? "" : message(" in groups of ", int{tensor.type_lanes});
    if (*kind != '\0') return message(kind, int{tensor.type_bits}, lanes);
    return message("DLPack's type ", int{tensor.type_code}, " of ", int{tensor.type_bits}, " bits", lanes);
}

DType dtype_from(const DLTensor& tensor) {
    for (const TypeCode& type : kTypes) {
        if (type.code == tensor.type_code && item_size(type.dtype) * 8 == tensor.type_bits && tensor.type_lanes == 1)
            return type.dtype;
    }
    if (tensor.type_code == kBool && tensor.type_bits == 8 && tensor.type_lanes == 1) return DType::uint8;
    throw TypeError(message("from_dlpack: the elements are ", name_of_type(tensor),
                            ", which has no NDArray type; the types are float32, float64, int64, int32, uint8: "
                            "convert the array first, in torch with .float()"));
}

void require_contiguous(const DLTensor& tensor, const Shape& shape) {
    if (tensor.strides == nullptr) return;
    const Shape wanted = row_major_strides(shape);
    for (size_t i = 0; i < shape.size(); i++) {
        if (shape[i] == 0) return;
    }
    for (size_t i = 0; i < shape.size(); i++) {
        require<ValueError>(
            shape[i] == 1 || tensor.strides[i] == wanted[i], "from_dlpack: the array of shape ", to_string(shape),
            " is not contiguous; hand over its .contiguous() copy (torch) or numpy.ascontiguousarray of it");
    }
}

int64_t whole_number(PyObject* value) {
    const int64_t number = PyLong_AsLongLong(value);
    if (number == -1 && PyErr_Occurred()) throw py::error_already_set();
    return number;
}

// A version, or a device and its number, as Python hands them over.
std::pair<int64_t, int64_t> two_numbers(const char* what, const py::object& value) {
    const bool is_pair = PyTuple_Check(value.ptr()) && PyTuple_GET_SIZE(value.ptr()) == 2 &&
                         PyIndex_Check(PyTuple_GET_ITEM(value.ptr(), 0)) &&
                         PyIndex_Check(PyTuple_GET_ITEM(value.ptr(), 1));
    require<TypeError>(is_pair, what, std::string(py::repr(value)), "; wanted a tuple of two whole numbers");
    return {whole_number(PyTuple_GET_ITEM(value.ptr(), 0)), whole_number(PyTuple_GET_ITEM(value.ptr(), 1))};
}

// Whether the consumer wants what was queued for the array to be done before it uses the array.
bool wants_order(const NDArray& array, const py::object& stream) {
    if (stream.is_none()) return true;
    require<TypeError>(PyLong_CheckExact(stream.ptr()), "__dlpack__: stream=", std::string(py::repr(stream)),
                       "; wanted the number of a GPU's stream, or None");
    const int64_t number = whole_number(stream.ptr());
    require<ValueError>(array.device() == Device::cuda ? number != 0 && number >= -1 : number == -1,
                        "__dlpack__: stream=", number,
                        array.device() == Device::cuda
                            ? "; wanted -1 (do not wait), 1 (CUDA's default stream) or another stream's number"
                            : "; only a GPU's memory has streams: wanted None");
    return number != -1;
}

// The array where the consumer wants it: itself, or a copy.
NDArray placed(const NDArray& array, const py::object& dl_device, const py::object& copy) {
    require<TypeError>(copy.is_none() || PyBool_Check(copy.ptr()), "__dlpack__: copy=", std::string(py::repr(copy)),
                       "; wanted True, False or None");
    const bool must_copy = copy.is(py::bool_(true)), must_share = copy.is(py::bool_(false));
    if (!dl_device.is_none()) {
        const std::pair<int64_t, int64_t> wanted = two_numbers("__dlpack__: dl_device=", dl_device), host{kHost, 0};
        const bool is_there =
            array.device() != Device::simt && wanted == std::pair<int64_t, int64_t>{dlpack_device_type(array), 0};
        if (!is_there) {
            require<BufferError>(wanted == host, "__dlpack__: dl_device=", std::string(py::repr(dl_device)),
                                 ", but an array on device ", name_of(array.device()),
                                 " stays there or goes to the CPU's memory, (1, 0); move it first: .to(device)");
            require<BufferError>(!must_share, "__dlpack__: copy=False, but the array is on device ",
                                 name_of(array.device()), " and reaches the CPU's memory only by a copy");
            const py::gil_scoped_release release;
            return array.to(Device::cpu);
        }
    }
    if (!must_copy) return array;
    const py::gil_scoped_release release;
    return array.clone();
}

template <class Managed>
py::capsule export_as(Managed managed, const NDArray& array, int32_t device_type) {
    auto* exported = new Export<Managed>{managed, array.storage(), array.shape(), row_major_strides(array.shape())};
    DLTensor& tensor = exported->managed.tensor;
    tensor.data = array.raw();
    tensor.device_type = device_type;
    tensor.ndim = static_cast<int32_t>(array.ndim());
    for (const TypeCode& type : kTypes) {
        if (type.dtype == array.dtype()) tensor.type_code = type.code;
    }
    tensor.type_bits = static_cast<uint8_t>(item_size(array.dtype()) * 8);
    tensor.type_lanes = 1;
    tensor.shape = exported->shape.data();
    tensor.strides = exported->strides.data();
    exported->managed.context = exported;
    exported->managed.deleter = &free_export<Managed>;

    // Nobody took it: the capsule still has its first name, and the memory is ours to free.
    return py::capsule(&exported->managed, Managed::kName, [](PyObject* capsule) {
        if (!PyCapsule_IsValid(capsule, Managed::kName)) return;
        auto* unused = static_cast<Managed*>(PyCapsule_GetPointer(capsule, Managed::kName));
        unused->deleter(unused);
    });
}

// The array in a capsule, which is used up; a capsule that is refused stays its producer's.
template <class Managed>
NDArray take(const py::object& capsule) {
    auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), Managed::kName));
    if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
        require<BufferError>(managed->major == kMajorVersion, "from_dlpack: got DLPack of version ", managed->major,
                             ".", managed->minor, "; wanted version ", kMajorVersion);
        require<BufferError>((managed->flags & kReadOnly) == 0,
                             "from_dlpack: the array is read-only, and ours can always be written to; "
                             "mytensor.tensor copies it");
    }
    const DLTensor& tensor = managed->tensor;
    require<ValueError>(tensor.device_type == kHost || tensor.device_type == kCuda,
                        "from_dlpack: the array is on a device of another kind (DLPack device ", tensor.device_type,
                        "); move it to the host first, in torch with .cpu()");
    require<ValueError>(tensor.device_id == 0, "from_dlpack: the array is on device number ", tensor.device_id,
                        "; wanted number 0, the one that is used here");
    const Device device = tensor.device_type == kCuda ? Device::cuda : Device::cpu;
    const DType dtype = dtype_from(tensor);
    const Shape shape(tensor.shape, tensor.shape + tensor.ndim);
    require_contiguous(tensor, shape);
    const size_t bytes = static_cast<size_t>(checked_size(shape, item_size(dtype))) * item_size(dtype);
    char* data = static_cast<char*>(tensor.data) + tensor.byte_offset;
    require<ValueError>(bytes == 0 || reinterpret_cast<uintptr_t>(data) % item_size(dtype) == 0,
                        "from_dlpack: the array's elements do not begin at multiples of their size in memory; "
                        "hand over a copy of it");

    const auto release = [managed] {
        if (managed->deleter != nullptr) managed->deleter(managed);
    };
    PyCapsule_SetName(capsule.ptr(), Managed::kUsedName);
    if (managed->deleter == &free_export<Managed>) {  // one of ours comes back: its storage, and so its version
        std::shared_ptr<Storage> storage = static_cast<Export<Managed>*>(managed->context)->storage;
        release();
        return NDArray(std::move(storage), shape, dtype);
    }
    auto storage = std::make_shared<Storage>(data, bytes, device, [release] {
        py::gil_scoped_acquire gil;  // the producer's deleter may be Python's
        release();
    });
    return NDArray(std::move(storage), shape, dtype);
}

// What `source` hands over. Producers older than version 1.0 do not know max_version.
py::object capsule_of(const py::object& source) {
    const int64_t device_type =
        py::hasattr(source, "__dlpack_device__")
            ? two_numbers("from_dlpack: __dlpack_device__() is ", source.attr("__dlpack_device__")()).first
            : kHost;
    py::dict options;
    if (device_type == kCuda) {
        // The stream on which our kernels will run: the producer's work is to be done before them. DLPack calls CUDA's
        // default stream 1.
        const auto stream = reinterpret_cast<uintptr_t>(cuda::current_stream());
        options["stream"] = stream == 0 ? 1 : stream;
    }
    try {
        return source.attr("__dlpack__")(py::arg("max_version") = py::make_tuple(kMajorVersion, 0), **options);
    } catch (const py::error_already_set& error) {
        if (!error.matches(PyExc_TypeError)) throw;
    }
    return source.attr("__dlpack__")(**options);
}

}  // namespace

int32_t dlpack_device_type(const NDArray& array) {
    require<TypeError>(array.device() != Device::simt,
                       "__dlpack__: other libraries do not know device simt; copy the array to the CPU first: .cpu()");
    return array.device() == Device::cuda ? kCuda : kHost;
}

py::capsule to_dlpack(const NDArray& array, const py::object& stream, const py::object& max_version,
                      const py::object& dl_device, const py::object& copy) {
    const bool is_ordered = wants_order(array, stream);
    const bool is_versioned =
        !max_version.is_none() && two_numbers("__dlpack__: max_version=", max_version).first >= kMajorVersion;
    const NDArray handed = placed(array, dl_device, copy);
    const int32_t device_type = dlpack_device_type(handed);
    if (is_ordered) {
        const py::gil_scoped_release release;
        synchronize(handed.device());  // the consumer may use another stream
    }
    const bool is_copy = handed.storage() != array.storage();
    handed.storage()->is_written_elsewhere = true;
    if (!is_versioned) return export_as(DLManagedTensor{}, handed, device_type);
    DLManagedTensorVersioned managed{};
    managed.major = kMajorVersion;
    managed.flags = is_copy ? kCopied : 0;
    return export_as(managed, handed, device_type);
}

NDArray from_dlpack(const py::object& source) {
    require<TypeError>(py::hasattr(source, "__dlpack__"), "from_dlpack: got ",
                       std::string(py::str(py::type::of(source))),
                       "; wanted an object with __dlpack__, such as a torch tensor or a numpy array");
    const py::object capsule = capsule_of(source);
    if (PyCapsule_IsValid(capsule.ptr(), DLManagedTensorVersioned::kName))
        return take<DLManagedTensorVersioned>(capsule);
    require<TypeError>(PyCapsule_CheckExact(capsule.ptr()), "from_dlpack: the object's __dlpack__ gave ",
                       std::string(py::str(py::type::of(capsule))), "; wanted a capsule");
    require<TypeError>(PyCapsule_IsValid(capsule.ptr(), DLManagedTensor::kName),
                       "from_dlpack: the object's __dlpack__ gave a capsule that was already used");
    return take<DLManagedTensor>(capsule);
}

}  // namespace mt
