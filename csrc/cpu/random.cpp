// CPU kernels of the random draws, from Philox (philox.h).
//
//   uniform   the high bits of a word, scaled to [low, high)
//   normal    the Box-Muller transform of two uniform numbers into two normal ones, by polynomials
#include "../ops/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "parallel.h"
#include "philox.h"

namespace mt::cpu {
namespace {

constexpr int64_t kGrain = 1024;  // counters a thread

// How many elements of type T a counter's four words make: a float32 takes one word, a float64 two.
template <class T>
constexpr int64_t kPerCounter = 16 / sizeof(T);

// Fractions in [0, 1): 24 bits for a float32, 53 for a float64, as many as its significand holds. Exact.
inline void fractions(const PhiloxCounter& words, float (&out)[4]) {
    for (int lane = 0; lane < 4; lane++) out[lane] = static_cast<float>(words[lane] >> 8) * 0x1p-24f;
}
inline void fractions(const PhiloxCounter& words, double (&out)[2]) {
    for (int pair = 0; pair < 2; pair++) {
        const uint64_t bits = (uint64_t{words[2 * pair]} >> 5 << 26) | (words[2 * pair + 1] >> 6);
        out[pair] = static_cast<double>(bits) * 0x1p-53;
    }
}

// Calls body(fractions of a counter, its elements in out, how many of them there are) for all counters.
template <class T, class Body>
void for_each_counter(const Draw& draw, NDArray& array, const Body& body) {
    constexpr int64_t kCount = kPerCounter<T>;
    T* out = array.data<T>();
    const int64_t size = array.size();
    parallel_for((size + kCount - 1) / kCount, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t counter = begin; counter < end; counter++) {
            T numbers[kCount];
            fractions(philox_words(draw.seed, draw.offset + static_cast<uint64_t>(counter)), numbers);
            body(numbers);
            std::copy_n(numbers, std::min(kCount, size - counter * kCount), out + counter * kCount);
        }
    });
}

// The natural logarithm of x in (0, 1]. Own polynomials here and below, and every rounding spelt out (fma where a
// product is added), so that a GPU draws the same bits: the logarithm of each C library rounds in its own way.
inline double logarithm(double x) {
    // x = mantissa * 2^exponent, sqrt(1/2) <= mantissa < sqrt(2).
    uint64_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    constexpr uint64_t kSqrtHalf = 0x3FE6A09E667F3BCD;  // the bits of sqrt(1/2)
    const int64_t exponent = static_cast<int64_t>(bits - kSqrtHalf) >> 52;
    bits -= static_cast<uint64_t>(exponent) << 52;
    double mantissa;
    std::memcpy(&mantissa, &bits, sizeof(mantissa));
    // log(m) = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1), |s| < 0.172: what is left out is
    // below 2^-53.
    const double s = (mantissa - 1.0) / (mantissa + 1.0);
    const double square = s * s;
    double series = 1.0 / 21.0;
    for (int power = 19; power >= 1; power -= 2) series = std::fma(series, square, 1.0 / power);
    return std::fma(static_cast<double>(exponent), 0.69314718055994531, 2.0 * s * series);
}

// cos and sin of `turn` full turns, turn in [0, 1).
inline void cos_sin_of_turn(double turn, double& cosine, double& sine) {
    // The nearest quarter turn, and what is left of the angle: at most an eighth of a turn either way, pi / 4.
    const int quarter = static_cast<int>(std::fma(turn, 4.0, 0.5));
    const double angle = std::fma(turn, 4.0, -static_cast<double>(quarter)) * 1.5707963267948966;
    const double square = angle * angle;
    double c = 1.0, s = 1.0;  // Taylor's series, the last terms first
    for (int n = 18; n >= 2; n -= 2) {
        c = std::fma(-square / (n * (n - 1)), c, 1.0);
        s = std::fma(-square / (n * (n + 1)), s, 1.0);
    }
    s = s * angle;
    const bool is_odd = quarter % 2 == 1;
    cosine = is_odd ? s : c;
    sine = is_odd ? c : s;
    if (quarter == 1 || quarter == 2) cosine = -cosine;
    if (quarter == 2 || quarter == 3) sine = -sine;
}

// Box and Muller, "A note on the generation of random normal deviates", 1958: a point in the plane with a radius of
// sqrt(-2 log u) and a random angle has two independent normal coordinates. `resolution` makes (0, 1] of [0, 1), where
// there is a logarithm.
template <class T>
void to_normal(T& first, T& second, double resolution, double mean, double std) {
    const double radius = std::sqrt(-2.0 * logarithm(static_cast<double>(first) + resolution));
    double cosine, sine;
    cos_sin_of_turn(static_cast<double>(second), cosine, sine);
    first = static_cast<T>(std::fma(std, radius * cosine, mean));
    second = static_cast<T>(std::fma(std, radius * sine, mean));
}

void uniform(const Draw& draw, NDArray& out) {
    dispatch_floating(out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T low = static_cast<T>(draw.first), high = static_cast<T>(draw.second);
        const T width = high - low;
        const T largest = std::nextafter(high, low);  // rounding must not reach high
        for_each_counter<T>(draw, out, [=](T(&numbers)[kPerCounter<T>]) {
            for (T& number : numbers) number = std::min(std::fma(number, width, low), largest);
        });
    });
}

void normal(const Draw& draw, NDArray& out) {
    dispatch_floating(out.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const double resolution = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
        for_each_counter<T>(draw, out, [=](T(&numbers)[kPerCounter<T>]) {
            for (int64_t i = 0; i < kPerCounter<T>; i += 2)
                to_normal(numbers[i], numbers[i + 1], resolution, draw.first, draw.second);
        });
    });
}

constexpr Rung<DrawKernel> kUniformRungs[] = {{"philox", "Philox4x32-10, one counter for 16 bytes", uniform}};
constexpr Rung<DrawKernel> kNormalRungs[] = {{"philox", "Philox4x32-10 and Box-Muller", normal}};

}  // namespace

constexpr Ladder<DrawKernel> uniform_ladder(kUniformRungs);
constexpr Ladder<DrawKernel> normal_ladder(kNormalRungs);

}  // namespace mt::cpu
