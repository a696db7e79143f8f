// NDArray: a shape over a storage. Contiguous, row-major: element (n, c, h, w) of an (N, C, H, W) array is number
// ((n * C + c) * H + h) * W + w of its storage, always. There are no hidden strides, so the index arithmetic a kernel
// shows is all there is.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "../base/dtype.h"
#include "../device/allocator.h"
#include "../device/device.h"

namespace mt {

// Between which values the elements of a storage lie (value_range.h), as of its version.
struct ValueRange {
    double lowest, highest;
    uint64_t version;
};

// The bytes. Shared by an NDArray, its reshapes, the numpy views of it, and whoever holds it by DLPack.
class Storage {
 public:
    Storage(size_t bytes, Device device, bool is_pinned = false);
    // Memory that somebody else owns (numpy, torch); `release_owner` runs when the last user is gone.
    Storage(void* data, size_t bytes, Device device, std::function<void()> release_owner);
    ~Storage();
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    void* data() const { return block_.data; }
    size_t bytes() const { return block_.bytes; }
    Device device() const { return device_; }
    bool is_pinned() const { return block_.is_pinned; }

    // A kernel or copy on `stream` uses the memory: it must not be anybody else's before that is over. Ops that Python
    // calls say so by themselves (bindings/op_scope.h).
    void note_use(cuda::Stream stream) const { mt::note_use(block_, stream); }

    // How often an in-place op has written here. Autograd compares it with the value it saw when it saved an array for
    // backward.
    std::atomic<uint64_t> version{0};

    // value_range.h. Memory that numpy or torch sees too may be written without a new version: then nothing is known.
    std::optional<ValueRange> range;
    bool is_written_elsewhere = false;

 private:
    Block block_;
    Device device_;
    std::function<void()> release_owner_;  // empty: the block is the allocator's
};

class NDArray {
 public:
    // Uninitialised. Throws ValueError for a negative or overflowing shape, OutOfMemory.
    static NDArray empty(Shape shape, DType dtype, Device device = Device::cpu, bool is_pinned = false);
    NDArray(std::shared_ptr<Storage> storage, Shape shape, DType dtype);

    const Shape& shape() const { return shape_; }
    int64_t shape(size_t axis) const { return shape_[axis]; }
    size_t ndim() const { return shape_.size(); }
    int64_t size() const { return size_; }
    size_t bytes() const { return static_cast<size_t>(size_) * item_size(dtype_); }
    DType dtype() const { return dtype_; }
    Device device() const { return storage_->device(); }
    const std::shared_ptr<Storage>& storage() const { return storage_; }

    // The elements as C++ numbers. T must be the dtype's type: the op has checked it.
    template <class T>
    T* data() {
        return static_cast<T*>(storage_->data());
    }
    template <class T>
    const T* data() const {
        return static_cast<const T*>(storage_->data());
    }
    void* raw() const { return storage_->data(); }

    // The same storage under another shape; one -1 is worked out. Throws ValueError when the sizes differ.
    NDArray reshape(Shape shape) const;
    NDArray clone() const;
    // A copy in the memory of another device; itself if it is there already. With non_blocking, a copy between a GPU
    // and pinned memory is queued on the current stream, and nobody waits for it: from a GPU to the CPU into a pinned
    // array, which must not be read before the stream has come so far.
    NDArray to(Device target, bool non_blocking = false) const;
    NDArray pin() const;  // a copy in pinned memory of the CPU; itself if it is pinned. NotSupported without a GPU
    bool is_pinned() const { return storage_->is_pinned(); }
    void bump_version() { storage_->version++; }

 private:
    std::shared_ptr<Storage> storage_;
    Shape shape_;
    int64_t size_;
    DType dtype_;
};

// Product of the sizes. Throws ValueError when one is negative or the product, in bytes, does not fit 63 bits.
int64_t checked_size(const Shape& shape, size_t bytes_per_item);

// "float32 (2, 3, 5)": how an error names an array. Text only when it is written, as to_string(shape).
struct ArrayText {
    const NDArray& array;
};
inline ArrayText describe(const NDArray& array) { return {array}; }
void append_text(std::string& text, ArrayText part);

// Checks that every op makes; each throws with `op` and `argument` named.
void require_floating(const char* op, const char* argument, const NDArray& array);
void require_dtype(const char* op, const char* argument, const NDArray& array, DType wanted);
void require_same_dtype(const char* op, const char* first_name, const NDArray& first, const char* second_name,
                        const NDArray& second);
void require_same_device(const char* op, const char* first_name, const NDArray& first, const char* second_name,
                         const NDArray& second);
void require_ndim(const char* op, const char* argument, const NDArray& array, size_t wanted, const char* layout);
void require_shape(const char* op, const char* argument, const NDArray& array, const Shape& wanted);

// -1 -> ndim - 1. Throws IndexError when out of range.
size_t normalize_axis(const char* op, int64_t axis, size_t ndim);

}  // namespace mt
