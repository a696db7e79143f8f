#include "fill_cast.h"

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable fill_table(kFillOp, cpu::fill_ladder);
KernelTable cast_table(kCastOp, cpu::cast_ladder);

}  // namespace

NDArray full(const Shape& shape, const Number& value, DType dtype, Device device) {
    const NDArray number = array_of("full", value, dtype, Device::cpu);
    NDArray out = NDArray::empty(shape, dtype, device);
    fill_table.pick(device)(number, out);
    return out;
}

NDArray fill_(NDArray& destination, const Number& value) {
    const NDArray number = array_of("fill_", value, destination.dtype(), Device::cpu);
    fill_table.pick(destination.device())(number, destination);
    destination.bump_version();
    return destination;
}

NDArray astype(const NDArray& x, DType dtype) {
    if (x.dtype() == dtype) return x.clone();
    NDArray out = NDArray::empty(x.shape(), dtype, x.device());
    cast_table.pick(x.device())(x, out);
    return out;
}

}  // namespace mt
