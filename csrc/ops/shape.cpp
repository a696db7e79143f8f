#include "shape.h"

#include "../ndarray/value_range.h"
#include "kernel_table.h"

namespace mt {
namespace {

KernelTable permute_table(kPermuteOp, cpu::permute_ladder);
KernelTable cat_table(kCatOp, cpu::cat_ladder);
KernelTable narrow_table(kNarrowOp, cpu::narrow_ladder);
KernelTable narrow_backward_table(kNarrowBackwardOp, cpu::narrow_backward_ladder);

int64_t product(const Shape& shape, size_t begin, size_t end) {
    int64_t out = 1;
    for (size_t dim = begin; dim < end; dim++) out *= shape[dim];
    return out;
}

void require_range(const char* op, const Shape& shape, size_t axis, int64_t start, int64_t length) {
    require<ValueError>(length >= 0, op, ": length is ", length, "; wanted 0 or more");
    require<IndexError>(start >= 0 && start <= shape[axis] && length <= shape[axis] - start, op, ": elements ", start,
                        " to ", start, " + ", length, " - 1 of dimension ", axis, " do not all exist: shape ",
                        to_string(shape), " has ", shape[axis], " there");
}

}  // namespace

NDArray permute(const NDArray& x, const std::vector<int64_t>& dims) {
    const char* op = "permute";
    require<ValueError>(dims.size() == x.ndim(), op, ": dims ", to_string(dims), " names ", dims.size(),
                        " dimensions; x of shape ", to_string(x.shape()), " has ", x.ndim());
    std::vector<size_t> order;
    std::vector<bool> is_used(x.ndim(), false);
    Shape shape;
    for (int64_t dim : dims) {
        const size_t axis = normalize_axis(op, dim, x.ndim());
        require<ValueError>(!is_used[axis], op, ": dims ", to_string(dims), " names dimension ", dim, " twice");
        is_used[axis] = true;
        order.push_back(axis);
        shape.push_back(x.shape(axis));
    }
    NDArray out = NDArray::empty(shape, x.dtype(), x.device());
    if (out.size() == 0) return out;

    // The walk over the output, dimensions that stay neighbours joined.
    Shape strides(x.ndim(), 1);
    for (size_t dim = x.ndim(); dim-- > 1;) strides[dim - 1] = strides[dim] * x.shape(dim);
    Shape joined_shape, joined_strides;
    for (size_t axis : order) {
        if (x.shape(axis) == 1) continue;
        if (!joined_shape.empty() && joined_strides.back() == strides[axis] * x.shape(axis)) {
            joined_shape.back() *= x.shape(axis);
            joined_strides.back() = strides[axis];
        } else {
            joined_shape.push_back(x.shape(axis));
            joined_strides.push_back(strides[axis]);
        }
    }
    if (joined_shape.empty()) {
        joined_shape = {1};
        joined_strides = {1};
    }
    permute_table.pick(x.device())(x, joined_shape, joined_strides, out);
    return out;
}

NDArray cat(const std::vector<NDArray>& arrays, int64_t dim) {
    const char* op = "cat";
    require<ValueError>(!arrays.empty(), op, ": got an empty list; wanted at least one array");
    // Arrays of shape (0,) are passed over, however many dimensions the others have.
    const Shape nothing{0};
    size_t leader = 0;  // the array whose shape counts
    while (leader + 1 < arrays.size() && arrays[leader].shape() == nothing) leader++;
    const NDArray& first = arrays[leader];
    const size_t axis = first.shape() == nothing || first.ndim() == 0 ? 0 : normalize_axis(op, dim, first.ndim());
    Shape shape = first.shape();
    for (size_t i = 0; i < arrays.size(); i++) {
        const std::string name = message("array ", i);
        require<ValueError>(arrays[i].ndim() > 0, op, ": array ", i,
                            " has shape (), without a dimension to join along; reshape it to (1,)");
        require_same_dtype(op, "array 0", arrays[0], name.c_str(), arrays[i]);
        require_same_device(op, "array 0", arrays[0], name.c_str(), arrays[i]);
        if (i == leader || arrays[i].shape() == nothing) continue;
        Shape wanted = first.shape();
        if (arrays[i].ndim() == wanted.size()) wanted[axis] = arrays[i].shape(axis);
        require<ValueError>(arrays[i].shape() == wanted, op, ": array ", leader, " has shape ",
                            to_string(first.shape()), " but array ", i, " has ", to_string(arrays[i].shape()),
                            "; they may differ in dimension ", axis, " only");
        shape[axis] += arrays[i].shape(axis);
    }
    NDArray out = NDArray::empty(shape, first.dtype(), first.device());
    const int64_t outer = product(shape, 0, axis);
    const int64_t inner = product(shape, axis + 1, shape.size()) * static_cast<int64_t>(item_size(out.dtype()));
    int64_t place = 0;
    for (const NDArray& array : arrays) {
        if (array.shape() == nothing) continue;
        const int64_t length = array.shape(axis) * inner;
        cat_table.pick(out.device())(array, {outer, length, 0, length}, out, place, shape[axis] * inner);
        place += length;
    }
    return out;
}

NDArray narrow(const NDArray& x, int64_t dim, int64_t start, int64_t length) {
    const char* op = "narrow";
    const size_t axis = normalize_axis(op, dim, x.ndim());
    require_range(op, x.shape(), axis, start, length);
    Shape shape = x.shape();
    shape[axis] = length;
    NDArray out = NDArray::empty(shape, x.dtype(), x.device());
    const int64_t inner = product(shape, axis + 1, shape.size()) * static_cast<int64_t>(item_size(x.dtype()));
    narrow_table.pick(x.device())(x, {product(shape, 0, axis), length * inner, start * inner, x.shape(axis) * inner},
                                  out, 0, length * inner);
    inherit_range(out, x);
    return out;
}

NDArray narrow_backward(const NDArray& upstream, const Shape& shape, int64_t dim, int64_t start) {
    const char* op = "narrow_backward";
    require<ValueError>(shape.size() == upstream.ndim(), op, ": upstream has shape ", to_string(upstream.shape()),
                        "; shape ", to_string(shape), " must have as many dimensions");
    const size_t axis = normalize_axis(op, dim, shape.size());
    Shape wanted = shape;
    wanted[axis] = upstream.shape(axis);
    require_shape(op, "upstream", upstream, wanted);
    NDArray out = NDArray::empty(shape, upstream.dtype(), upstream.device());
    require_range(op, shape, axis, start, upstream.shape(axis));
    const int64_t inner = product(shape, axis + 1, shape.size()) * static_cast<int64_t>(item_size(upstream.dtype()));
    const int64_t length = upstream.shape(axis) * inner;
    narrow_backward_table.pick(upstream.device())(upstream, {product(shape, 0, axis), length, 0, length}, out,
                                                  start * inner, shape[axis] * inner);
    return out;
}

}  // namespace mt
