// The broadcasting ops. Shapes broadcast; all arrays of a call have one dtype and device, else TypeError and
// ValueError.
#pragma once

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

}  // namespace mt
