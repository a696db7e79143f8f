#include "fill_cast.h"

#include "../cpu/fill_cast.h"
#include "kernel_table.h"

namespace mt {
namespace {

KernelTable<FillKernel> fill_table("fill_", {{Device::cpu, "simd", "stores one number, threaded", &cpu::fill}},
                                   &DeviceKernels::fill);
KernelTable<CastKernel> cast_table("astype",
                                   {{Device::cpu, "simd", "converts element by element, vectorised", &cpu::cast}},
                                   &DeviceKernels::cast);

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
