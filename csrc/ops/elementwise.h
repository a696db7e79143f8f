// The broadcasting ops. Shapes broadcast; all arrays of a call have one dtype and device, else TypeError and
// ValueError.
#pragma once

#include "broadcast.h"
#include "number.h"

namespace mt {

// Any dtype; integers wrap around. maximum and minimum give NaN where one side is NaN.
NDArray add(const NDArray& a, const NDArray& b);
NDArray sub(const NDArray& a, const NDArray& b);
NDArray mul(const NDArray& a, const NDArray& b);
NDArray maximum(const NDArray& a, const NDArray& b);
NDArray minimum(const NDArray& a, const NDArray& b);

// float32 and float64.
NDArray div(const NDArray& a, const NDArray& b);

// The quotient without its fraction, any dtype: cut toward zero, or the next whole number below. Throws ValueError
// where a whole number is divided by 0; of the smallest one by -1 the quotient wraps around.
NDArray div_trunc(const NDArray& a, const NDArray& b);
NDArray div_floor(const NDArray& a, const NDArray& b);

// Any dtype. Whole numbers wrap around; to a negative power they are 0, but for 1 and -1.
NDArray pow(const NDArray& a, const NDArray& b);

// Any dtype -> uint8: 1 where it holds, else 0.
NDArray eq(const NDArray& a, const NDArray& b);
NDArray ne(const NDArray& a, const NDArray& b);
NDArray lt(const NDArray& a, const NDArray& b);
NDArray le(const NDArray& a, const NDArray& b);
NDArray gt(const NDArray& a, const NDArray& b);
NDArray ge(const NDArray& a, const NDArray& b);

// mask: uint8; a's element where it is not 0, else b's.
NDArray where(const NDArray& mask, const NDArray& a, const NDArray& b);

// x repeated to `shape`. Throws ValueError where it does not broadcast.
NDArray broadcast_to(const NDArray& x, const Shape& shape);

// In place: they write into `destination`, whose shape stays, and bump its version.
NDArray add_(NDArray& destination, const NDArray& source, const Number& alpha);  // destination += alpha * source
NDArray mul_(NDArray& destination, const NDArray& source);                       // destination *= source
NDArray copy_(NDArray& destination, const NDArray& source);                      // destination = source

// Kernels; cpu/elementwise.h says more. `plan` walks the inputs in the order of the arguments, add_'s the destination
// and the source. scale: one element, on the CPU whatever the device of the others.
using BinaryKernel = void (*)(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
using WhereKernel = void (*)(const Broadcast<3>& plan, const NDArray& mask, const NDArray& a, const NDArray& b,
                             NDArray& out);
using AddScaledKernel = void (*)(const Broadcast<2>& plan, const NDArray& scale, const NDArray& source,
                                 NDArray& destination);
using BroadcastKernel = void (*)(const Broadcast<1>& plan, const NDArray& source, NDArray& out);

}  // namespace mt
