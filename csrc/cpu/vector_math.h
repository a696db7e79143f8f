// The exponential of all lanes of a Vector at once.
#pragma once

#include <cmath>

#include "simd.h"

namespace mt::cpu {

// exp to within 1 unit in the last place: 0 for -infinity, infinity from 88.73 on, NaN for NaN.
// exp(x) = 2^n * exp(r) with n = round(x / ln 2), so that r = x - n ln 2 is at most ln 2 / 2 in size and a short
// polynomial gives exp(r). The polynomial and the two pieces of ln 2 are those of S. Moshier's Cephes library (expf).
inline __attribute__((always_inline)) Vector<float> exp_lanes(Vector<float> x) {
    using Floats = Vector<float>;
    using Ints = LaneIndices<float>;
    // Beyond these bounds the result is infinity or 0 anyway. Both comparisons are false for NaN, which goes through.
    const Floats highest = Floats{} + 89.0f, lowest = Floats{} - 104.0f;
    x = x > highest ? highest : x;
    x = x < lowest ? lowest : x;

    // Adding 1.5 * 2^23 leaves no bits for a fraction, so the sum is rounded to a whole number, which then stands in
    // its lowest bits.
    const Floats shift = Floats{} + 12582912.0f;
    const Floats shifted = x * 1.44269504088896341f + shift;
    const Floats n = shifted - shift;
    const Ints n_int = (Ints)shifted - (Ints)shift;

    // ln 2 in two pieces: n * 0.693359375 is exact, since this piece has only 9 bits.
    Floats r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;

    Floats polynomial = r * 1.9875691500e-4f + 1.3981999507e-3f;
    polynomial = polynomial * r + 8.3334519073e-3f;
    polynomial = polynomial * r + 4.1665795894e-2f;
    polynomial = polynomial * r + 1.6666665459e-1f;
    polynomial = polynomial * r + 5.0000001201e-1f;
    const Floats exp_r = polynomial * (r * r) + r + 1.0f;

    // 2^n in two factors: 2^n itself would leave the range of float where the product is just below infinity or
    // denormal. A float with exponent bits e + 127 and no others is 2^e.
    const Ints half = n_int >> 1;
    const Floats first = (Floats)((half + 127) << 23), second = (Floats)((n_int - half + 127) << 23);
    return exp_r * first * second;
}

inline Vector<double> exp_lanes(Vector<double> x) {
    for (int lane = 0; lane < kLanes<double>; lane++) x[lane] = std::exp(x[lane]);
    return x;
}

}  // namespace mt::cpu
