// CPU kernels of the broadcasting ops: every output element is computed from one element of each input.
//
//   add ... ge    out = a op b, run by run: the inputs go on by one, or one of them stands still (a bias, a number)
//   where         out = mask ? a : b
//   add_scaled_   destination += scale * source
//   broadcast     out = source, repeated
#pragma once

#include "../ops/broadcast.h"

namespace mt::cpu {

// a, b: one dtype, broadcast by `plan`; out: plan.size elements of that dtype. Integers wrap around, as numpy's and
// torch's do. out may be a itself.
void add(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void sub(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void mul(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void maximum(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void minimum(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void pow(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
// Where they are whole numbers, b holds no 0.
void div_trunc(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void div_floor(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
// float32 and float64 only.
void div(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
// out: uint8, 1 where the comparison holds.
void eq(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void ne(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void lt(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void le(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void gt(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
void ge(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);

// mask: uint8; a, b, out: one dtype. `plan` walks (mask, a, b).
void where(const Broadcast<3>& plan, const NDArray& mask, const NDArray& a, const NDArray& b, NDArray& out);

// scale: one element; destination: plan.size elements; `plan` walks (destination, source). All of one dtype.
void add_scaled_(const Broadcast<2>& plan, const NDArray& scale, const NDArray& source, NDArray& destination);

// out: plan.size elements of source's dtype.
void broadcast(const Broadcast<1>& plan, const NDArray& source, NDArray& out);

}  // namespace mt::cpu
