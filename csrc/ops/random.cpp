#include "random.h"

#include <cmath>
#include <limits>

#include "kernel_table.h"

namespace mt {
namespace {

KernelTable uniform_table(kUniformOp, cpu::uniform_ladder);
KernelTable normal_table(kNormalOp, cpu::normal_ladder);

void require_floating_dtype(const char* op, DType dtype) {
    require<TypeError>(is_floating(dtype), op, ": dtype is ", name_of(dtype), "; wanted float32 or float64");
}

bool is_finite_in(DType dtype, double number) {
    return dtype == DType::float32 ? std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max())
                                   : std::isfinite(number);
}

}  // namespace

NDArray uniform(const Shape& shape, double low, double high, uint64_t seed, uint64_t offset, DType dtype,
                Device device) {
    const char* op = "uniform";
    require_floating_dtype(op, dtype);
    require<ValueError>(is_finite_in(dtype, low) && is_finite_in(dtype, high) && is_finite_in(dtype, high - low), op,
                        ": low ", low, ", high ", high, " or their difference is not a finite ", name_of(dtype));
    require<ValueError>(low <= high, op, ": low is ", low, " and high is ", high, "; low must not be larger");
    NDArray out = NDArray::empty(shape, dtype, device);
    uniform_table.pick(device)({seed, offset, low, high}, out);
    return out;
}

NDArray normal(const Shape& shape, double mean, double std, uint64_t seed, uint64_t offset, DType dtype,
               Device device) {
    const char* op = "normal";
    require_floating_dtype(op, dtype);
    require<ValueError>(is_finite_in(dtype, mean) && is_finite_in(dtype, std), op, ": mean ", mean, " or std ", std,
                        " is not a finite ", name_of(dtype));
    require<ValueError>(std >= 0, op, ": std is ", std, "; wanted 0 or more");
    NDArray out = NDArray::empty(shape, dtype, device);
    normal_table.pick(device)({seed, offset, mean, std}, out);
    return out;
}

}  // namespace mt
