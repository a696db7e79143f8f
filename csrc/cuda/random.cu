// Random draws from Philox4x32-10: one thread a counter, which makes 16 bytes, four float32 or two float64. The numbers
// are the CPU's, bit for bit: the same integers, the same polynomials, every rounding spelt out (cpu/random.cpp says
// more).
#include "../ops/random.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- philox

// Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.
__device__ uint4 philox(uint4 counter, uint2 key) {
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = uint64_t{0xD2511F53} * counter.x;
        const uint64_t product1 = uint64_t{0xCD9E8D57} * counter.z;
        counter = {static_cast<uint32_t>(product1 >> 32) ^ counter.y ^ key.x, static_cast<uint32_t>(product1),
                   static_cast<uint32_t>(product0 >> 32) ^ counter.w ^ key.y, static_cast<uint32_t>(product0)};
        key.x += 0x9E3779B9;  // the golden ratio
        key.y += 0xBB67AE85;  // sqrt(3) - 1
    }
    return counter;
}

__device__ uint4 philox_words(uint64_t seed, uint64_t place) {
    return philox({static_cast<uint32_t>(place), static_cast<uint32_t>(place >> 32), 0, 0},
                  {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
}

// The numbers of one counter.
template <class T>
struct Numbers {
    static constexpr int kCount = 16 / sizeof(T);
    T of[kCount];
};

// Fractions in [0, 1): 24 bits for a float32, 53 for a float64. Exact.
__device__ void fractions(const uint4& words, Numbers<float>& numbers) {
    const uint32_t word[4] = {words.x, words.y, words.z, words.w};
    for (int i = 0; i < 4; i++) numbers.of[i] = static_cast<float>(word[i] >> 8) * 0x1p-24f;
}
__device__ void fractions(const uint4& words, Numbers<double>& numbers) {
    numbers.of[0] = static_cast<double>((uint64_t{words.x} >> 5 << 26) | (words.y >> 6)) * 0x1p-53;
    numbers.of[1] = static_cast<double>((uint64_t{words.z} >> 5 << 26) | (words.w >> 6)) * 0x1p-53;
}

// The array's elements that counter number `counter` makes; the last one may make more than there are.
template <class T>
__device__ void store(const Numbers<T>& numbers, int64_t counter, T* output, int64_t count) {
    for (int i = 0; i < Numbers<T>::kCount; i++) {
        const int64_t place = counter * Numbers<T>::kCount + i;
        if (place < count) output[place] = numbers.of[i];
    }
}

// ---------------------------------------------------------------------------------------------------------- uniform

// largest: the number before high, which rounding must not reach.
template <class T>
__global__ void uniform_counters(T* output, int64_t count, uint64_t seed, uint64_t offset, T low, T width, T largest) {
    const int64_t counter = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (counter * Numbers<T>::kCount >= count) return;
    Numbers<T> numbers;
    fractions(philox_words(seed, offset + static_cast<uint64_t>(counter)), numbers);
    for (T& number : numbers.of) {
        number = ::fma(number, width, low);
        number = largest < number ? largest : number;
    }
    store(numbers, counter, output, count);
}

// ---------------------------------------------------------------------------------------------------------- normal

__device__ uint64_t bits_of(double x) {
    union {
        double number;
        uint64_t bits;
    } both{x};
    return both.bits;
}
__device__ double number_of(uint64_t bits) {
    union {
        uint64_t bits;
        double number;
    } both{bits};
    return both.number;
}

// The natural logarithm of x in (0, 1].
__device__ double logarithm(double x) {
    // x = mantissa * 2^exponent, sqrt(1/2) <= mantissa < sqrt(2).
    constexpr uint64_t kSqrtHalf = 0x3FE6A09E667F3BCD;  // the bits of sqrt(1/2)
    const uint64_t bits = bits_of(x);
    const int64_t exponent = static_cast<int64_t>(bits - kSqrtHalf) >> 52;
    const double mantissa = number_of(bits - (static_cast<uint64_t>(exponent) << 52));
    // log(m) = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1).
    const double s = (mantissa - 1.0) / (mantissa + 1.0);
    const double square = s * s;
    double series = 1.0 / 21.0;
    for (int power = 19; power >= 1; power -= 2) series = ::fma(series, square, 1.0 / power);
    return ::fma(static_cast<double>(exponent), 0.69314718055994531, 2.0 * s * series);
}

// cos and sin of `turn` full turns, turn in [0, 1).
__device__ void cos_sin_of_turn(double turn, double& cosine, double& sine) {
    // The nearest quarter turn, and what is left of the angle: at most an eighth of a turn either way, pi / 4.
    const int quarter = static_cast<int>(::fma(turn, 4.0, 0.5));
    const double angle = ::fma(turn, 4.0, -static_cast<double>(quarter)) * 1.5707963267948966;
    const double square = angle * angle;
    double c = 1.0, s = 1.0;  // Taylor's series, the last terms first
    for (int n = 18; n >= 2; n -= 2) {
        c = ::fma(-square / (n * (n - 1)), c, 1.0);
        s = ::fma(-square / (n * (n + 1)), s, 1.0);
    }
    s = s * angle;
    const bool is_odd = quarter % 2 == 1;
    cosine = is_odd ? s : c;
    sine = is_odd ? c : s;
    if (quarter == 1 || quarter == 2) cosine = -cosine;
    if (quarter == 2 || quarter == 3) sine = -sine;
}

// Box and Muller: a point in the plane with a radius of sqrt(-2 log u) and a random angle has two independent normal
// coordinates. `resolution` makes (0, 1] of [0, 1), where there is a logarithm.
template <class T>
__global__ void normal_counters(T* output, int64_t count, uint64_t seed, uint64_t offset, double mean, double std,
                                double resolution) {
    const int64_t counter = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (counter * Numbers<T>::kCount >= count) return;
    Numbers<T> numbers;
    fractions(philox_words(seed, offset + static_cast<uint64_t>(counter)), numbers);
    for (int i = 0; i < Numbers<T>::kCount; i += 2) {
        const double radius = ::sqrt(-2.0 * logarithm(static_cast<double>(numbers.of[i]) + resolution));
        double cosine, sine;
        cos_sin_of_turn(static_cast<double>(numbers.of[i + 1]), cosine, sine);
        numbers.of[i] = static_cast<T>(::fma(std, radius * cosine, mean));
        numbers.of[i + 1] = static_cast<T>(::fma(std, radius * sine, mean));
    }
    store(numbers, counter, output, count);
}

// ---------------------------------------------------------------------------------------------------------- launchers

void launch_uniform(const Draw& draw, NDArray& output) {
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T low = static_cast<T>(draw.first), high = static_cast<T>(draw.second);
        launch(uniform_counters<T>, blocks_for(output.size(), kThreads * Numbers<T>::kCount), kThreads, 0,
               output.data<T>(), output.size(), draw.seed, draw.offset, low, high - low, ::nextafter(high, low));
    });
}

void launch_normal(const Draw& draw, NDArray& output) {
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(normal_counters<T>, blocks_for(output.size(), kThreads * Numbers<T>::kCount), kThreads, 0,
               output.data<T>(), output.size(), draw.seed, draw.offset, draw.first, draw.second,
               sizeof(T) == 4 ? 0x1p-24 : 0x1p-53);
    });
}

constexpr const char* kPhilox = "One thread a counter of Philox4x32-10: the CPU's numbers, bit for bit.";

constexpr Rung<DrawKernel> kUniformRungs[] = {
    {"philox", kPhilox, 75, launch_uniform},
};

constexpr Rung<DrawKernel> kNormalRungs[] = {
    {"philox", kPhilox, 75, launch_normal},
};

}  // namespace

const DeviceLadder uniform_ladder(kUniformOp, kUniformRungs);
const DeviceLadder normal_ladder(kNormalOp, kNormalRungs);

}  // namespace mt
