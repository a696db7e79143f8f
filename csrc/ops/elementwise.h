// The broadcasting ops. Shapes broadcast; all arrays of a call have one dtype and device, else TypeError and
// ValueError.
#pragma once

#include "broadcast.h"
#include "ladder.h"
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

// Kernels. `plan` walks the inputs in the order of the arguments, add_'s the destination and the source; out and
// destination have plan.size elements. All arrays have one dtype, but mask and the out of a comparison: uint8. Integers
// wrap around; div_trunc and div_floor of whole numbers get no 0 in b. out may be a itself. scale: one element, on the
// CPU whatever the device of the others.
using BinaryKernel = void(const Broadcast<2>& plan, const NDArray& a, const NDArray& b, NDArray& out);
using WhereKernel = void(const Broadcast<3>& plan, const NDArray& mask, const NDArray& a, const NDArray& b,
                         NDArray& out);
using AddScaledKernel = void(const Broadcast<2>& plan, const NDArray& scale, const NDArray& source,
                             NDArray& destination);
using BroadcastKernel = void(const Broadcast<1>& plan, const NDArray& source, NDArray& out);

constexpr Op<BinaryKernel> kAddOp{"add"}, kSubOp{"sub"}, kMulOp{"mul"}, kMaximumOp{"maximum"}, kMinimumOp{"minimum"},
    kDivOp{"div"}, kDivTruncOp{"div_trunc"}, kDivFloorOp{"div_floor"}, kPowOp{"pow"}, kEqOp{"eq"}, kNeOp{"ne"},
    kLtOp{"lt"}, kLeOp{"le"}, kGtOp{"gt"}, kGeOp{"ge"};
constexpr Op<WhereKernel> kWhereOp{"where"};
constexpr Op<AddScaledKernel> kAddScaledOp{"add_"};
constexpr Op<BroadcastKernel> kBroadcastOp{"broadcast_to"};

namespace cpu {
extern const Ladder<BinaryKernel> add_ladder, sub_ladder, mul_ladder, maximum_ladder, minimum_ladder, div_ladder,
    div_trunc_ladder, div_floor_ladder, pow_ladder, eq_ladder, ne_ladder, lt_ladder, le_ladder, gt_ladder, ge_ladder;
extern const Ladder<WhereKernel> where_ladder;
extern const Ladder<AddScaledKernel> add_scaled_ladder;
extern const Ladder<BroadcastKernel> broadcast_ladder;
}  // namespace cpu

}  // namespace mt
