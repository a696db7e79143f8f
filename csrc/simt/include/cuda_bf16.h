// bfloat16: the upper half of a float, rounded to nearest, ties to even.
#pragma once

#include "../cuda.h"

struct __nv_bfloat16 {
    unsigned short bits = 0;

    __nv_bfloat16() = default;
    __nv_bfloat16(float value) {
        const unsigned int whole = __float_as_uint(value);
        const bool is_nan = value != value;
        bits = static_cast<unsigned short>(is_nan ? 0x7fff : (whole + 0x7fff + (whole >> 16 & 1)) >> 16);
    }
    operator float() const { return __uint_as_float(static_cast<unsigned int>(bits) << 16); }
};

struct alignas(4) __nv_bfloat162 {
    __nv_bfloat16 x, y;
};

SIMT_INLINE __nv_bfloat16 __float2bfloat16(float value) { return value; }
inline float __bfloat162float(__nv_bfloat16 value) { return value; }
