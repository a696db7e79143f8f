// CPU kernels of the random draws, from Philox (philox.h).
//
//   uniform   the high bits of a word, scaled to [low, high)
//   normal    the Box-Muller transform of two uniform numbers into two normal ones, by polynomials
#pragma once

#include "../ndarray/ndarray.h"

namespace mt::cpu {

// Where an array's numbers come from, and their range: low and high of the uniform draw, mean and standard deviation of
// the normal one.
struct Draw {
    uint64_t seed, offset;
    double first, second;
};

// out: float32 or float64. ops/random.h says which element comes from which words.
using DrawKernel = void (*)(const Draw& draw, NDArray& out);
void uniform(const Draw& draw, NDArray& out);
void normal(const Draw& draw, NDArray& out);

}  // namespace mt::cpu
