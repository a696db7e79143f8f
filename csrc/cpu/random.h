// CPU kernels of the random draws, from Philox (philox.h).
//
//   uniform   the high bits of a word, scaled to [low, high)
//   normal    the Box-Muller transform of two uniform numbers into two normal ones, by polynomials
#pragma once

#include "../ops/random.h"

namespace mt::cpu {

// out: float32 or float64. ops/random.h says which element comes from which words.
void uniform(const Draw& draw, NDArray& out);
void normal(const Draw& draw, NDArray& out);

}  // namespace mt::cpu
