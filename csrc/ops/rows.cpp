#include "rows.h"

#include "../ndarray/value_range.h"
#include "kernel_table.h"

namespace mt {
namespace {

KernelTable select_table(kIndexSelectOp, cpu::index_select_ladder);
KernelTable backward_table(kIndexSelectBackwardOp, cpu::index_select_backward_ladder);

}  // namespace

void require_rows(const char* op, const NDArray& index, int64_t rows) {
    require_dtype(op, "index", index, DType::int64);
    require_ndim(op, "index", index, 1, "(B,)");
    if (known_to_lie_in(index, 0, static_cast<double>(rows))) return;
    const NDArray on_cpu = index.to(Device::cpu);
    const int64_t* row = on_cpu.data<int64_t>();
    for (int64_t i = 0; i < index.size(); i++) {
        require<IndexError>(row[i] >= 0 && row[i] < rows, op, ": index[", i, "] is ", row[i], "; with ", rows,
                            " rows, an index must be 0 or more and less than ", rows);
    }
}

NDArray index_select(const NDArray& x, const NDArray& index) {
    const char* op = "index_select";
    require<ValueError>(x.ndim() > 0, op, ": x has shape (), without rows to select; wanted (N, ...)");
    require_same_device(op, "x", x, "index", index);
    require_rows(op, index, x.shape(0));
    Shape shape = x.shape();
    shape[0] = index.size();
    NDArray out = NDArray::empty(shape, x.dtype(), x.device());
    if (out.size() > 0) select_table.pick(x.device())(x, index, out);
    inherit_range(out, x);
    return out;
}

NDArray index_select_backward(const NDArray& upstream, const NDArray& index, const Shape& shape) {
    const char* op = "index_select_backward";
    require_floating(op, "upstream", upstream);
    require<ValueError>(!shape.empty(), op, ": shape is (); wanted (N, ...)");
    require_same_device(op, "upstream", upstream, "index", index);
    require_rows(op, index, shape[0]);
    Shape wanted = shape;
    wanted[0] = index.size();
    require_shape(op, "upstream", upstream, wanted);
    NDArray out = NDArray::empty(shape, upstream.dtype(), upstream.device());
    if (out.size() > 0) backward_table.pick(upstream.device())(upstream, index, out);
    return out;
}

}  // namespace mt
