// DLPack: how array libraries hand each other memory without a copy. A producer fills the structure below and wraps it
// in a capsule named "dltensor"; the consumer renames the capsule to "used_dltensor" and calls `deleter` when it is
// done. Source of the layout: the DLPack specification, C API, version 0.8 (dmlc.github.io/dlpack).
#include "../ndarray/device_memory.h"
#include "bindings.h"

namespace mt {
namespace {

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
    DLTensor tensor;
    void* context;
    void (*deleter)(DLManagedTensor*);
};

constexpr int32_t kHost = 1, kCuda = 2;  // device types
constexpr uint8_t kSignedInteger = 0, kUnsignedInteger = 1, kFloat = 2, kBool = 6;

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
struct Export {
    DLManagedTensor managed;
    std::shared_ptr<Storage> storage;
    Shape shape;
    Shape strides;
};

Shape row_major_strides(const Shape& shape) {
    Shape strides(shape.size(), 1);
    for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
    return strides;
}

DType dtype_from(const DLTensor& tensor) {
    for (const TypeCode& type : kTypes) {
        if (type.code == tensor.type_code && item_size(type.dtype) * 8 == tensor.type_bits && tensor.type_lanes == 1)
            return type.dtype;
    }
    if (tensor.type_code == kBool && tensor.type_bits == 8) return DType::uint8;
    throw TypeError(message("from_dlpack: an element type of ", int{tensor.type_bits}, " bits (DLPack code ",
                            int{tensor.type_code},
                            ") has no NDArray type; the types are float32, float64, int64, int32, uint8"));
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

}  // namespace

int32_t dlpack_device_type(const NDArray& array) {
    require<TypeError>(array.device() != Device::simt,
                       "__dlpack__: other libraries do not know device simt; copy the array to the CPU first: .cpu()");
    return array.device() == Device::cuda ? kCuda : kHost;
}

py::capsule to_dlpack(const NDArray& array) {
    const int32_t device_type = dlpack_device_type(array);
    synchronize(array.device());  // the consumer may use another stream
    array.storage()->is_written_elsewhere = true;
    auto* exported = new Export{{}, array.storage(), array.shape(), row_major_strides(array.shape())};
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
    exported->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Export*>(self->context); };

    // Nobody took it: the capsule still has its first name, and the memory is ours to free.
    return py::capsule(&exported->managed, "dltensor", [](PyObject* capsule) {
        if (!PyCapsule_IsValid(capsule, "dltensor")) return;
        auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, "dltensor"));
        managed->deleter(managed);
    });
}

NDArray from_dlpack(const py::object& source) {
    require<TypeError>(py::hasattr(source, "__dlpack__"), "from_dlpack: got ",
                       std::string(py::str(py::type::of(source))),
                       "; wanted an object with __dlpack__, such as a torch tensor or a numpy array");
    const int32_t device_type = py::hasattr(source, "__dlpack_device__")
                                    ? source.attr("__dlpack_device__")().cast<py::tuple>()[0].cast<int32_t>()
                                    : kHost;
    // The stream on which our kernels will run: the producer's work is to be done before them. DLPack calls CUDA's
    // default stream 1.
    const auto stream = reinterpret_cast<uintptr_t>(cuda::current_stream());
    const py::capsule capsule = device_type == kCuda
                                    ? source.attr("__dlpack__")(py::arg("stream") = stream == 0 ? 1 : stream)
                                    : source.attr("__dlpack__")();
    require<TypeError>(PyCapsule_IsValid(capsule.ptr(), "dltensor"),
                       "from_dlpack: the object's __dlpack__ gave a capsule that was already used");
    auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
    const DLTensor& tensor = managed->tensor;
    require<ValueError>(tensor.device_type == kHost || tensor.device_type == kCuda,
                        "from_dlpack: the array is on a device of another kind (DLPack device ", tensor.device_type,
                        "); move it to the host first, in torch with .cpu()");
    const Device device = tensor.device_type == kCuda ? Device::cuda : Device::cpu;
    const DType dtype = dtype_from(tensor);
    const Shape shape(tensor.shape, tensor.shape + tensor.ndim);
    require_contiguous(tensor, shape);

    PyCapsule_SetName(capsule.ptr(), "used_dltensor");
    auto storage = std::make_shared<Storage>(
        static_cast<char*>(tensor.data) + tensor.byte_offset,
        static_cast<size_t>(checked_size(shape, item_size(dtype))) * item_size(dtype), device, [managed] {
            py::gil_scoped_acquire gil;  // the producer's deleter may be Python's
            if (managed->deleter != nullptr) managed->deleter(managed);
        });
    return NDArray(std::move(storage), shape, dtype);
}

}  // namespace mt
