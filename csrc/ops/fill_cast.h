// Arrays of one number, and conversions from dtype to dtype.
#pragma once

#include "ladder.h"
#include "number.h"

namespace mt {

// Throws ValueError when the dtype cannot hold the number.
NDArray full(const Shape& shape, const Number& value, DType dtype, Device device);
NDArray fill_(NDArray& destination, const Number& value);  // in place; bumps the version

// A copy of x with elements of another dtype.
//   floating -> integer   cut toward zero; beyond the integer's range, its nearest bound (300.0 -> 255 in uint8);
//                         NaN -> 0
//   integer -> integer    modulo 2^bits, as numpy and torch (300 -> 44 in uint8)
//   to floating           the nearest number; float64 beyond float32's range -> infinity
// torch leaves the first rule's out-of-range cases to the CPU it runs on; here they are the same everywhere.
NDArray astype(const NDArray& x, DType dtype);

// value: one element of out's dtype, on the CPU whatever the device of out.
using FillKernel = void(const NDArray& value, NDArray& out);

// x, out: one shape, any two dtypes.
using CastKernel = void(const NDArray& x, NDArray& out);

constexpr Op<FillKernel> kFillOp{"fill_"};
constexpr Op<CastKernel> kCastOp{"astype"};

namespace cpu {
extern const Ladder<FillKernel> fill_ladder;
extern const Ladder<CastKernel> cast_ladder;
}  // namespace cpu

}  // namespace mt
