// CUDA's language for the host compiler: keywords, vector types and intrinsics, as the kernels of csrc/cuda use them.
//
// threadIdx and its relatives are variables that the emulator sets before a thread runs. A __shared__ array is a
// thread_local one: all threads of a block run on one thread of the CPU, so each block has its own.
#pragma once

#include <limits.h>
#include <math.h>
#include <string.h>

#include "runtime.h"

// ---------------------------------------------------------------------------------------------------------- keywords

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ thread_local
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

#define DYNAMIC_SHARED_MEMORY(type, name) type* name = static_cast<type*>(::mt::simt::dynamic_shared_memory())

// For functions that return a structure: GCC announces no write when a call's result goes straight to memory, as in
// `x[i] = make_float4(...)`, but an inlined one is a plain assignment.
#define SIMT_INLINE inline __attribute__((always_inline))

// Not instrumented: what it does is reported once, with the line of its caller.
#define SIMT_UNSEEN __attribute__((no_sanitize("thread"), no_sanitize("undefined"))) inline

// ---------------------------------------------------------------------------------------------------------- types

#define SIMT_VECTOR_TYPES(T, name, align2, align4)                          \
    struct name##1 { T x; };                                                \
    struct alignas(align2) name##2 { T x, y; };                             \
    struct name##3 { T x, y, z; };                                          \
    struct alignas(align4) name##4 { T x, y, z, w; };                       \
    SIMT_INLINE name##2 make_##name##2(T x, T y) { return {x, y}; }         \
    SIMT_INLINE name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
    SIMT_INLINE name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

SIMT_VECTOR_TYPES(signed char, char, 2, 4)
SIMT_VECTOR_TYPES(unsigned char, uchar, 2, 4)
SIMT_VECTOR_TYPES(short, short, 4, 8)
SIMT_VECTOR_TYPES(unsigned short, ushort, 4, 8)
SIMT_VECTOR_TYPES(int, int, 8, 16)
SIMT_VECTOR_TYPES(unsigned int, uint, 8, 16)
SIMT_VECTOR_TYPES(float, float, 8, 16)
SIMT_VECTOR_TYPES(long long, longlong, 16, 16)
SIMT_VECTOR_TYPES(double, double, 16, 16)
#undef SIMT_VECTOR_TYPES

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
};

// ---------------------------------------------------------------------------------------------------------- who am I

#define SIMT_INDEX extern "C" SIMT_EXPORT __attribute__((tls_model("initial-exec"))) __thread
SIMT_INDEX const uint3 threadIdx;
SIMT_INDEX const uint3 blockIdx;
SIMT_INDEX const uint3 blockDim;
SIMT_INDEX const uint3 gridDim;
#undef SIMT_INDEX
constexpr int warpSize = 32;

// ---------------------------------------------------------------------------------------------------------- barriers

inline void __syncthreads(SIMT_PLACE) { mt::simt::block_barrier(mt::simt::Vote::none, 0, {file, line}); }
inline int __syncthreads_count(int predicate, SIMT_PLACE) {
    return mt::simt::block_barrier(mt::simt::Vote::count, predicate, {file, line});
}
inline int __syncthreads_and(int predicate, SIMT_PLACE) {
    return mt::simt::block_barrier(mt::simt::Vote::all, predicate, {file, line});
}
inline int __syncthreads_or(int predicate, SIMT_PLACE) {
    return mt::simt::block_barrier(mt::simt::Vote::any, predicate, {file, line});
}
inline void __syncwarp(unsigned int mask = 0xffffffffu, SIMT_PLACE) { mt::simt::warp_barrier(mask, {file, line}); }

// The emulator's threads see each other's writes at once; fences matter to its race check only, as half of a hand-over
// from block to block (watch.h).
inline void __threadfence() { mt::simt::fence(); }
inline void __threadfence_block() {}
inline void __threadfence_system() { mt::simt::fence(); }

inline void __nanosleep(unsigned int) { mt::simt::let_others_run(); }
inline void __trap(SIMT_PLACE) { mt::simt::fail("__trap()", {file, line}); }

// ---------------------------------------------------------------------------------------------------------- warps

namespace mt::simt {

template <class T>
SIMT_UNSEEN uint64_t bits_of(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a warp exchanges values of at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    return bits;
}

template <class T>
SIMT_UNSEEN T value_of(uint64_t bits) {
    T value;
    memcpy(&value, &bits, sizeof(T));
    return value;
}

// The first and the last lane of the calling lane's group of `width`.
inline int first_of_group(int width) { return lane_id() / width * width; }
inline int last_of_group(int width) { return first_of_group(width) + width - 1; }

}  // namespace mt::simt

template <class T>
T __shfl_sync(unsigned int mask, T value, int source, int width = 32, SIMT_PLACE) {
    const int lane = mt::simt::first_of_group(width) + (source & (width - 1));
    return mt::simt::value_of<T>(
        mt::simt::warp_shuffle(mask, "__shfl_sync", mt::simt::bits_of(value), lane, {file, line}));
}
// Beyond the group's border, a lane keeps its own value.
template <class T>
T __shfl_up_sync(unsigned int mask, T value, unsigned int delta, int width = 32, SIMT_PLACE) {
    const int lane = mt::simt::lane_id() - static_cast<int>(delta);
    const int source = lane < mt::simt::first_of_group(width) ? mt::simt::lane_id() : lane;
    return mt::simt::value_of<T>(
        mt::simt::warp_shuffle(mask, "__shfl_up_sync", mt::simt::bits_of(value), source, {file, line}));
}
template <class T>
T __shfl_down_sync(unsigned int mask, T value, unsigned int delta, int width = 32, SIMT_PLACE) {
    const int lane = mt::simt::lane_id() + static_cast<int>(delta);
    const int source = lane > mt::simt::last_of_group(width) ? mt::simt::lane_id() : lane;
    return mt::simt::value_of<T>(
        mt::simt::warp_shuffle(mask, "__shfl_down_sync", mt::simt::bits_of(value), source, {file, line}));
}
template <class T>
T __shfl_xor_sync(unsigned int mask, T value, int lane_mask, int width = 32, SIMT_PLACE) {
    const int lane = mt::simt::lane_id() ^ lane_mask;
    const int source = lane > mt::simt::last_of_group(width) ? mt::simt::lane_id() : lane;
    return mt::simt::value_of<T>(
        mt::simt::warp_shuffle(mask, "__shfl_xor_sync", mt::simt::bits_of(value), source, {file, line}));
}

inline unsigned int __ballot_sync(unsigned int mask, int predicate, SIMT_PLACE) {
    return mt::simt::warp_vote(mask, predicate != 0, {file, line});
}
inline int __any_sync(unsigned int mask, int predicate, SIMT_PLACE) {
    return mt::simt::warp_vote(mask, predicate != 0, {file, line}) != 0;
}
inline int __all_sync(unsigned int mask, int predicate, SIMT_PLACE) {
    return mt::simt::warp_vote(mask, predicate == 0, {file, line}) == 0;  // nobody is without
}
inline unsigned int __activemask() { return mt::simt::running_lanes(); }

// ---------------------------------------------------------------------------------------------------------- atomics

namespace mt::simt {

template <size_t Bytes>
struct Word;
template <>
struct Word<4> {
    using type = uint32_t;
};
template <>
struct Word<8> {
    using type = uint64_t;
};

// *address = change(*address) in one step; returns the old value.
template <class T, class Change>
SIMT_UNSEEN T atomic_update(T* address, Change change, Place place) {
    using Bits = typename Word<sizeof(T)>::type;
    report_access(AccessKind::atomic, address, sizeof(T), place);
    auto* word = reinterpret_cast<Bits*>(address);
    Bits old_bits = __atomic_load_n(word, __ATOMIC_RELAXED);
    Bits new_bits;
    do {
        new_bits = static_cast<Bits>(bits_of(static_cast<T>(change(value_of<T>(old_bits)))));
    } while (!__atomic_compare_exchange_n(word, &old_bits, new_bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return value_of<T>(old_bits);
}

template <class T>
struct Same {
    using type = T;
};

}  // namespace mt::simt

#define SIMT_ATOMIC(name, expression)                                                                      \
    template <class T>                                                                                     \
    T name(T* address, typename mt::simt::Same<T>::type value, SIMT_PLACE) {                               \
        return mt::simt::atomic_update(address, [value](T old) -> T { return expression; }, {file, line}); \
    }
SIMT_ATOMIC(atomicAdd, old + value)
SIMT_ATOMIC(atomicSub, old - value)
SIMT_ATOMIC(atomicExch, ((void)old, value))
SIMT_ATOMIC(atomicMin, old < value ? old : value)
SIMT_ATOMIC(atomicMax, old > value ? old : value)
SIMT_ATOMIC(atomicAnd, old& value)
SIMT_ATOMIC(atomicOr, old | value)
SIMT_ATOMIC(atomicXor, old ^ value)
SIMT_ATOMIC(atomicInc, old >= value ? T{0} : old + 1)
SIMT_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1)
#undef SIMT_ATOMIC

// A thread whose exchange fails may wait for another one of its warp (a lock): that one must get its turn.
template <class T>
T atomicCAS(T* address, typename mt::simt::Same<T>::type expected, typename mt::simt::Same<T>::type value, SIMT_PLACE) {
    const T old = mt::simt::atomic_update(address, [=](T now) { return now == expected ? value : now; }, {file, line});
    if (old != expected) mt::simt::let_others_run();
    return old;
}

// ---------------------------------------------------------------------------------------------------------- arithmetic

// A macro, so that the read is the kernel's own.
#define __ldg(pointer) (*(pointer))

#define SIMT_MIN_MAX(T)                              \
    inline T min(T a, T b) { return b < a ? b : a; } \
    inline T max(T a, T b) { return a < b ? b : a; }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned int)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
SIMT_MIN_MAX(long long)
SIMT_MIN_MAX(unsigned long long)
#undef SIMT_MIN_MAX
// As on the GPU, the number wins over NaN.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// Macros, since newer C libraries declare functions of these names. The GPU's fast ones are less exact than these.
#define rsqrtf(x) (1.0f / sqrtf(x))
#define rsqrt(x) (1.0 / sqrt(x))
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __fdividef(a, b) ((a) / (b))
#define __fsqrt_rn(x) sqrtf(x)
#define __fmaf_rn(a, b, c) fmaf(a, b, c)
#define __fma_rn(a, b, c) fma(a, b, c)
#define __fmul_rn(a, b) ((a) * (b))
#define __fadd_rn(a, b) ((a) + (b))

inline int __float_as_int(float value) { return mt::simt::value_of<int>(mt::simt::bits_of(value)); }
inline float __int_as_float(int value) { return mt::simt::value_of<float>(mt::simt::bits_of(value)); }
inline unsigned int __float_as_uint(float value) { return mt::simt::value_of<unsigned int>(mt::simt::bits_of(value)); }
inline float __uint_as_float(unsigned int value) { return mt::simt::value_of<float>(mt::simt::bits_of(value)); }
inline int __popc(unsigned int value) { return __builtin_popcount(value); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz(static_cast<unsigned int>(value)); }
inline unsigned int __umulhi(unsigned int a, unsigned int b) {
    return static_cast<unsigned int>((static_cast<unsigned long long>(a) * b) >> 32);
}
