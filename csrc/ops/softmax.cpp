#include "softmax.h"

#include <algorithm>

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable softmax_table(kSoftmaxOp, cpu::softmax_ladder);
KernelTable softmax_backward_table(kSoftmaxBackwardOp, cpu::softmax_backward_ladder);
KernelTable log_softmax_table(kLogSoftmaxOp, cpu::log_softmax_ladder);
KernelTable log_softmax_backward_table(kLogSoftmaxBackwardOp, cpu::log_softmax_backward_ladder);
KernelTable logsumexp_table(kLogsumexpOp, cpu::logsumexp_ladder);

// (outer, length, inner) with shape[axis] as length. A number, shape (), is an array of one element.
Shape shape_along(const Shape& shape, size_t axis) {
    Shape along{1, 1, 1};
    for (size_t i = 0; i < shape.size(); i++) along[i < axis ? 0 : i == axis ? 1 : 2] *= shape[i];
    return along;
}

NDArray along_dim(const KernelTable<AlongDimKernel>& table, const NDArray& x, int64_t dim) {
    require_floating(table.op(), "x", x);
    const Shape along = shape_along(x.shape(), normalize_axis(table.op(), dim, std::max<size_t>(x.ndim(), 1)));
    NDArray output = NDArray::empty(along, x.dtype(), x.device());
    table.pick(x.device())(x.reshape(along), output);
    return output.reshape(x.shape());
}

NDArray along_dim_backward(const KernelTable<AlongDimBackwardKernel>& table, const NDArray& upstream,
                           const NDArray& output, int64_t dim) {
    require_floating(table.op(), "output", output);
    require_same_dtype(table.op(), "upstream", upstream, "output", output);
    require_same_device(table.op(), "upstream", upstream, "output", output);
    require_shape(table.op(), "upstream", upstream, output.shape());
    const Shape along =
        shape_along(output.shape(), normalize_axis(table.op(), dim, std::max<size_t>(output.ndim(), 1)));
    NDArray input_gradient = NDArray::empty(along, output.dtype(), output.device());
    table.pick(output.device())(upstream.reshape(along), output.reshape(along), input_gradient);
    return input_gradient.reshape(output.shape());
}

}  // namespace

NDArray softmax(const NDArray& x, int64_t dim) { return along_dim(softmax_table, x, dim); }
NDArray log_softmax(const NDArray& x, int64_t dim) { return along_dim(log_softmax_table, x, dim); }
NDArray softmax_backward(const NDArray& upstream, const NDArray& output, int64_t dim) {
    return along_dim_backward(softmax_backward_table, upstream, output, dim);
}
NDArray log_softmax_backward(const NDArray& upstream, const NDArray& output, int64_t dim) {
    return along_dim_backward(log_softmax_backward_table, upstream, output, dim);
}

// log sum over (a, b) of exp = log sum over a of exp(log sum over b of exp): one dimension after the other.
NDArray logsumexp(const NDArray& x, const std::vector<int64_t>& dims, bool keepdim) {
    require_floating("logsumexp", "x", x);
    require<ValueError>(!dims.empty() || x.ndim() == 0,
                        "logsumexp: dims is empty; name the dimensions to add up over, of shape ",
                        to_string(x.shape()));
    std::vector<bool> is_reduced(x.ndim());
    for (int64_t dim : dims) {
        const size_t axis = normalize_axis("logsumexp", dim, std::max<size_t>(x.ndim(), 1));
        if (x.ndim() == 0) continue;
        require<ValueError>(!is_reduced[axis], "logsumexp: dimension ", axis, " appears twice in dims");
        is_reduced[axis] = true;
    }

    NDArray result = x.ndim() == 0 ? x.clone() : x;  // log(exp(x)) = x
    Shape kept = x.shape();
    for (size_t axis = 0; axis < x.ndim(); axis++) {
        if (!is_reduced[axis]) continue;
        const Shape along = shape_along(kept, axis);
        kept[axis] = 1;
        NDArray output = NDArray::empty({along[0], along[2]}, x.dtype(), x.device());
        logsumexp_table.pick(x.device())(result.reshape(along), output);
        result = output.reshape(kept);
    }
    if (keepdim) return result;
    Shape without;
    for (size_t axis = 0; axis < x.ndim(); axis++) {
        if (!is_reduced[axis]) without.push_back(kept[axis]);
    }
    return result.reshape(without);
}

}  // namespace mt
