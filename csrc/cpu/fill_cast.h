// CPU kernels that make the numbers of an array from one number, or from another dtype's.
//
//   fill   out = value everywhere
//   cast   out = x, element by element converted
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// value: one element of out's dtype.
void fill(const NDArray& value, NDArray& out);

// x, out: one shape, any two dtypes. ops/fill_cast.h states the rules.
void cast(const NDArray& x, NDArray& out);

}  // namespace mt::cpu
