// Random draws from Philox4x32-10 (cpu/philox.h). The key is the seed; the counter's low 64 bits are `offset` + i / 4
// for element i of a float32 array, offset + i / 2 of a float64 array; a caller that draws twice moves the offset on by
// that much. Its words, w0 to w3, become:
//
//   float32   elements 4c ... 4c+3: fractions f_k = (w_k >> 8) / 2^24
//   float64   elements 2c, 2c+1: f_0 from w0 and w1, f_1 from w2 and w3: ((w0 >> 5) * 2^26 + (w1 >> 6)) / 2^53
//
//   uniform   low + f * (high - low), rounded once and kept below high
//   normal    from each pair (f_0, f_1), (f_2, f_3), with u = f_0 + 2^-24 (float64: 2^-53):
//             mean + std * sqrt(-2 log u) * cos(2 pi f_1) and ... * sin(2 pi f_1)
#pragma once

#include "../ndarray/ndarray.h"
#include "ladder.h"

namespace mt {

// float32 or float64. low <= high; both, and their difference, finite in the dtype.
NDArray uniform(const Shape& shape, double low, double high, uint64_t seed, uint64_t offset, DType dtype,
                Device device);

// float32 or float64. std >= 0; both finite.
NDArray normal(const Shape& shape, double mean, double std, uint64_t seed, uint64_t offset, DType dtype, Device device);

// Where an array's numbers come from, and their range: low and high of the uniform draw, mean and standard deviation of
// the normal one.
struct Draw {
    uint64_t seed, offset;
    double first, second;
};
using DrawKernel = void(const Draw& draw, NDArray& out);

constexpr Op<DrawKernel> kUniformOp{"uniform"}, kNormalOp{"normal"};

namespace cpu {
extern const Ladder<DrawKernel> uniform_ladder, normal_ladder;
}  // namespace cpu

}  // namespace mt
