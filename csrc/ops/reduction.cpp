#include "reduction.h"

#include "kernel_table.h"

namespace mt {
namespace {

using ReductionTable = KernelTable<ReductionKernel>;

ReductionTable sum_table(kSumOp, cpu::sum_ladder);
ReductionTable mean_table(kMeanOp, cpu::mean_ladder);
ReductionTable amax_table(kAmaxOp, cpu::amax_ladder);
ReductionTable amin_table(kAminOp, cpu::amin_ladder);
KernelTable argmax_table(kArgmaxOp, cpu::argmax_ladder);

std::vector<bool> reduced_dimensions(const char* op, const NDArray& x, const Dims& dims) {
    if (!dims || dims->empty()) return std::vector<bool>(x.ndim(), true);
    std::vector<bool> is_reduced(x.ndim(), false);
    for (int64_t dim : *dims) {
        const size_t axis = normalize_axis(op, dim, x.ndim());
        require<ValueError>(!is_reduced[axis], op, ": dimension ", dim, " is named twice in dims ", to_string(*dims));
        is_reduced[axis] = true;
    }
    return is_reduced;
}

ReducedDimensions join_dimensions(const Shape& shape, const std::vector<bool>& is_reduced) {
    ReducedDimensions joined;
    for (size_t dim = 0; dim < shape.size(); dim++) {
        if (shape[dim] == 1) continue;
        if (!joined.shape.empty() && joined.is_reduced.back() == is_reduced[dim]) {
            joined.shape.back() *= shape[dim];
        } else {
            joined.shape.push_back(shape[dim]);
            joined.is_reduced.push_back(is_reduced[dim]);
        }
    }
    if (joined.shape.empty()) return {{1}, {true}};
    return joined;
}

Shape reduced_shape(const Shape& shape, const std::vector<bool>& is_reduced, bool keepdim) {
    Shape out;
    for (size_t dim = 0; dim < shape.size(); dim++) {
        if (!is_reduced[dim])
            out.push_back(shape[dim]);
        else if (keepdim)
            out.push_back(1);
    }
    return out;
}

NDArray reduce(const ReductionTable& table, const NDArray& x, const std::vector<bool>& is_reduced, bool keepdim,
               DType out_dtype) {
    NDArray out = NDArray::empty(reduced_shape(x.shape(), is_reduced, keepdim), out_dtype, x.device());
    if (out.size() > 0) table.pick(x.device())(join_dimensions(x.shape(), is_reduced), x, out);
    return out;
}

NDArray extreme(const ReductionTable& table, const NDArray& x, const Dims& dims, bool keepdim) {
    const std::vector<bool> is_reduced = reduced_dimensions(table.op(), x, dims);
    for (size_t dim = 0; dim < x.ndim(); dim++) {
        require<ValueError>(
            !is_reduced[dim] || x.shape(dim) > 0, table.op(), ": dimension ", dim, " of shape ", to_string(x.shape()),
            " has no elements, so there is no largest or smallest one; reduce over dimensions that have some");
    }
    return reduce(table, x, is_reduced, keepdim, x.dtype());
}

}  // namespace

NDArray sum(const NDArray& x, const Dims& dims, bool keepdim) {
    const DType out_dtype = is_floating(x.dtype()) ? x.dtype() : DType::int64;
    return reduce(sum_table, x, reduced_dimensions("sum", x, dims), keepdim, out_dtype);
}

NDArray mean(const NDArray& x, const Dims& dims, bool keepdim) {
    require_floating("mean", "x", x);
    return reduce(mean_table, x, reduced_dimensions("mean", x, dims), keepdim, x.dtype());
}

NDArray amax(const NDArray& x, const Dims& dims, bool keepdim) { return extreme(amax_table, x, dims, keepdim); }

NDArray amin(const NDArray& x, const Dims& dims, bool keepdim) { return extreme(amin_table, x, dims, keepdim); }

NDArray argmax(const NDArray& x, int64_t dim, bool keepdim) {
    const char* op = "argmax";
    const size_t axis = normalize_axis(op, dim, x.ndim());
    const int64_t length = x.shape(axis);
    require<ValueError>(length > 0, op, ": dimension ", dim, " of shape ", to_string(x.shape()),
                        " has no elements, so there is no largest one");
    std::vector<bool> is_reduced(x.ndim(), false);
    is_reduced[axis] = true;
    NDArray out = NDArray::empty(reduced_shape(x.shape(), is_reduced, keepdim), DType::int64, x.device());
    int64_t outer = 1, inner = 1;
    for (size_t before = 0; before < axis; before++) outer *= x.shape(before);
    for (size_t after = axis + 1; after < x.ndim(); after++) inner *= x.shape(after);
    argmax_table.pick(x.device())(x, outer, length, inner, out);
    return out;
}

NDArray sum_to_shape(const NDArray& x, const Shape& shape) {
    const char* op = "sum_to_shape";
    require_floating(op, "x", x);
    require<ValueError>(shape.size() <= x.ndim(), op, ": x has shape ", to_string(x.shape()),
                        ", fewer dimensions than ", to_string(shape));
    const size_t missing = x.ndim() - shape.size();
    std::vector<bool> is_reduced(x.ndim(), true);
    for (size_t dim = 0; dim < shape.size(); dim++) {
        const int64_t repeated = x.shape(missing + dim);
        require<ValueError>(shape[dim] == repeated || shape[dim] == 1, op, ": an array of shape ", to_string(shape),
                            " does not broadcast to ", to_string(x.shape()),
                            ", so the one cannot be summed to the other: dimension ", dim, " is ", shape[dim],
                            ", wanted ", repeated, " or 1");
        is_reduced[missing + dim] = shape[dim] != repeated;
    }
    return reduce(sum_table, x, is_reduced, true, x.dtype()).reshape(shape);
}

}  // namespace mt
