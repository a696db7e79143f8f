#include "ndarray.h"

#include <limits>

#include "../device/cuda/memory.h"
#include "../device/device_memory.h"
#include "value_range.h"

namespace mt {

const char* name_of(DType dtype) {
    switch (dtype) {
        case DType::float32:
            return "float32";
        case DType::float64:
            return "float64";
        case DType::int64:
            return "int64";
        case DType::int32:
            return "int32";
        case DType::uint8:
            return "uint8";
    }
    return "?";
}

size_t item_size(DType dtype) {
    switch (dtype) {
        case DType::float32:
            return 4;
        case DType::float64:
            return 8;
        case DType::int64:
            return 8;
        case DType::int32:
            return 4;
        case DType::uint8:
            return 1;
    }
    return 0;
}

const char* name_of(Device device) {
    switch (device) {
        case Device::cpu:
            return "cpu";
        case Device::cuda:
            return "cuda";
        case Device::simt:
            return "simt";
    }
    return "?";
}

Device parse_device(const std::string& text) {
    for (Device device : kDevices) {
        if (text == name_of(device)) return device;
    }
    throw ValueError(message("device '", text, "' is not one of 'cpu', 'cuda', 'simt'"));
}

Storage::Storage(size_t bytes, Device device, bool is_pinned)
    : block_(allocate(bytes, device, is_pinned)), device_(device) {}

Storage::Storage(void* data, size_t bytes, Device device, std::function<void()> release_owner)
    : is_written_elsewhere(true), device_(device), release_owner_(std::move(release_owner)) {
    block_.data = data;
    block_.bytes = bytes;
    block_.device = device;
}

Storage::~Storage() {
    if (release_owner_) {
        if (device_ == Device::cuda) wait_for_uses(block_);  // of our other streams, which the owner knows nothing of
        release_owner_();
    } else {
        release(block_);
    }
}

int64_t checked_size(const Shape& shape, size_t bytes_per_item) {
    int64_t bytes = static_cast<int64_t>(bytes_per_item);
    bool is_empty = false;
    for (int64_t length : shape) {
        require<ValueError>(length >= 0, "shape ", to_string(shape), " has a negative size");
        if (length == 0) is_empty = true;
    }
    if (is_empty) return 0;
    for (int64_t length : shape) {
        require<ValueError>(!__builtin_mul_overflow(bytes, length, &bytes), "shape ", to_string(shape),
                            " has more elements than a computer can address");
    }
    return bytes / static_cast<int64_t>(bytes_per_item);
}

NDArray NDArray::empty(Shape shape, DType dtype, Device device, bool is_pinned) {
    const int64_t size = checked_size(shape, item_size(dtype));
    auto storage = std::make_shared<Storage>(static_cast<size_t>(size) * item_size(dtype), device, is_pinned);
    return NDArray(std::move(storage), std::move(shape), dtype);
}

NDArray::NDArray(std::shared_ptr<Storage> storage, Shape shape, DType dtype)
    : storage_(std::move(storage)),
      shape_(std::move(shape)),
      size_(checked_size(shape_, item_size(dtype))),
      dtype_(dtype) {}

NDArray NDArray::reshape(Shape shape) const {
    int64_t known = 1;
    int64_t* unknown = nullptr;
    for (int64_t& length : shape) {
        if (length == -1) {
            require<ValueError>(unknown == nullptr, "reshape to ", to_string(shape), ": only one size can be -1");
            unknown = &length;
        } else {
            require<ValueError>(length >= 0, "reshape to ", to_string(shape), ": a size is negative");
            require<ValueError>(!__builtin_mul_overflow(known, length, &known), "reshape to ", to_string(shape),
                                ": too many elements");
        }
    }
    const Shape asked = shape;
    if (unknown != nullptr && known > 0 && size_ % known == 0) *unknown = size_ / known;
    const bool fits = (unknown == nullptr || *unknown >= 0) && checked_size(shape, item_size(dtype_)) == size_;
    require<ValueError>(fits, "reshape: an array of shape ", to_string(shape_), " has ", size_,
                        " elements; they do not fit shape ", to_string(asked));
    return NDArray(storage_, std::move(shape), dtype_);
}

NDArray NDArray::clone() const {
    NDArray copy = empty(shape_, dtype_, device());
    copy_bytes(device(), copy.raw(), device(), raw(), bytes());
    if (device() == Device::cuda) storage_->note_use(cuda::current_stream());
    return copy;
}

NDArray NDArray::to(Device target, bool non_blocking) const {
    if (target == device()) return *this;
    const bool to_gpu = target == Device::cuda && is_pinned();
    const bool from_gpu = target == Device::cpu && device() == Device::cuda;
    const bool is_queued = non_blocking && (to_gpu || from_gpu);
    NDArray copy = empty(shape_, dtype_, target, is_queued && from_gpu);
    if (is_queued && bytes() > 0) {
        cuda::queue_copy(copy.raw(), raw(), bytes());
        storage_->note_use(cuda::current_stream());
        copy.storage_->note_use(cuda::current_stream());
    } else {
        copy_bytes(target, copy.raw(), device(), raw(), bytes());
    }
    if (device() == Device::cpu) bring_range(copy, *this);
    return copy;
}

NDArray NDArray::pin() const {
    require<ValueError>(device() == Device::cpu, "pin_memory: the array is on device ", name_of(device()),
                        "; only memory of the CPU can be pinned");
    if (is_pinned()) return *this;
    NDArray copy = empty(shape_, dtype_, Device::cpu, true);
    copy_bytes(Device::cpu, copy.raw(), Device::cpu, raw(), bytes());
    return copy;
}

void append_text(std::string& text, ArrayText part) {
    text += message(name_of(part.array.dtype()), " ", to_string(part.array.shape()));
}

void require_floating(const char* op, const char* argument, const NDArray& array) {
    require<TypeError>(is_floating(array.dtype()), op, ": ", argument, " is ", describe(array),
                       "; wanted float32 or float64: convert it with .astype(float32), or .float() on a Tensor");
}

void require_dtype(const char* op, const char* argument, const NDArray& array, DType wanted) {
    require<TypeError>(array.dtype() == wanted, op, ": ", argument, " is ", describe(array), "; wanted ",
                       name_of(wanted), ": convert it with .astype(", name_of(wanted), "), or .to(mt.", name_of(wanted),
                       ") on a Tensor");
}

void require_same_dtype(const char* op, const char* first_name, const NDArray& first, const char* second_name,
                        const NDArray& second) {
    require<TypeError>(first.dtype() == second.dtype(), op, ": ", first_name, " is ", describe(first), " but ",
                       second_name, " is ", describe(second), "; both must have one dtype: convert one of them");
}

void require_same_device(const char* op, const char* first_name, const NDArray& first, const char* second_name,
                         const NDArray& second) {
    require<ValueError>(first.device() == second.device(), op, ": ", first_name, " is on ", name_of(first.device()),
                        " but ", second_name, " is on ", name_of(second.device()),
                        "; move one of them with .to(device)");
}

void require_ndim(const char* op, const char* argument, const NDArray& array, size_t wanted, const char* layout) {
    require<ValueError>(array.ndim() == wanted, op, ": ", argument, " has shape ", to_string(array.shape()),
                        "; wanted ", wanted, " dimensions ", layout);
}

void require_shape(const char* op, const char* argument, const NDArray& array, const Shape& wanted) {
    require<ValueError>(array.shape() == wanted, op, ": ", argument, " has shape ", to_string(array.shape()),
                        "; wanted ", to_string(wanted));
}

size_t normalize_axis(const char* op, int64_t axis, size_t ndim) {
    const int64_t dimensions = static_cast<int64_t>(ndim);
    require<IndexError>(axis >= -dimensions && axis < dimensions, op, ": dimension ", axis,
                        " is out of range for an array of ", ndim, " dimensions");
    return static_cast<size_t>(axis < 0 ? axis + dimensions : axis);
}

}  // namespace mt
