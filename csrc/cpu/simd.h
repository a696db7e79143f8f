// Vector: as many elements of one type as a register of the CPU this file is compiled for holds. Arithmetic on a Vector
// (a + b * c) works on all of its lanes at once. This is the compiler's vector extension (GCC, clang): it needs no
// intrinsics, and the same source serves SSE, AVX2, AVX-512 and NEON. A vector wider than the CPU's registers would be
// very slow, so the width follows the target.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace mt::cpu {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kVectorRegisters = 32;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kVectorRegisters = 16;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kVectorRegisters = 32;
#else
constexpr int kVectorBytes = 16;
constexpr int kVectorRegisters = 16;
#endif

template <class T>
struct VectorType {
    typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vector = typename VectorType<T>::type;

template <class T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

// Any address will do: memcpy of a constant size is one unaligned load or store.
template <class T>
inline Vector<T> load(const T* source) {
    Vector<T> vector;
    std::memcpy(&vector, source, sizeof(vector));
    return vector;
}

template <class T>
inline void store(T* destination, Vector<T> vector) {
    std::memcpy(destination, &vector, sizeof(vector));
}

// Holds a loaded vector in a register. A compiler may otherwise read it from memory again in each multiplication that
// uses it, and a core can start as many multiplications as loads a cycle, so the loads would become the limit.
template <class T>
inline Vector<T> in_register(Vector<T> vector) {
#if defined(__x86_64__)
    asm("" : "+v"(vector));
#elif defined(__aarch64__)
    asm("" : "+w"(vector));
#endif
    return vector;
}

// The first `count` lanes only, the others zero: the end of a row.
template <class T>
inline Vector<T> load_first(const T* source, int64_t count) {
    Vector<T> vector{};
    std::memcpy(&vector, source, static_cast<size_t>(count) * sizeof(T));
    return vector;
}

template <class T>
inline void store_first(T* destination, Vector<T> vector, int64_t count) {
    std::memcpy(destination, &vector, static_cast<size_t>(count) * sizeof(T));
}

// A number of a lane, as wide as the lanes of T.
template <class T>
using LaneIndex = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
template <class T>
using LaneIndices = Vector<LaneIndex<T>>;

// 0, 1, 2, ...
template <class T>
inline LaneIndices<T> lane_numbers() {
    LaneIndices<T> lane;
    for (int i = 0; i < kLanes<T>; i++) lane[i] = i;
    return lane;
}

// The first `count` lanes of the vector, the others zero, whatever they held.
template <class T>
inline Vector<T> keep_first(Vector<T> vector, int64_t count) {
    return lane_numbers<T>() < static_cast<LaneIndex<T>>(count) ? vector : Vector<T>{};
}

// The last `count` lanes of the vector, the others zero.
template <class T>
inline Vector<T> keep_last(Vector<T> vector, int64_t count) {
    return lane_numbers<T>() >= static_cast<LaneIndex<T>>(kLanes<T> - count) ? vector : Vector<T>{};
}

// Lane i of the result is lane from[i] of the 2 * kLanes lanes of (a, b).
template <class T>
inline Vector<T> shuffle(Vector<T> a, Vector<T> b, LaneIndices<T> from) {
#if defined(__clang__)
    Vector<T> result;
    for (int i = 0; i < kLanes<T>; i++) result[i] = from[i] < kLanes<T> ? a[from[i]] : b[from[i] - kLanes<T>];
    return result;
#else
    return __builtin_shuffle(a, b, from);
#endif
}

// The lanes of (a, b), for two of the blocks that the functions below swap: lane i of `upper` is lane i of a or, where
// bit `Block` of i is set, lane i - Block of b; `lower` has the lanes that are left, in the same way.
template <class T, int Block>
inline __attribute__((always_inline)) void swap_blocks(Vector<T>& a, Vector<T>& b) {
    LaneIndices<T> upper{}, lower{};
    for (int i = 0; i < kLanes<T>; i++) {
        upper[i] = i & Block ? kLanes<T> + i - Block : i;
        lower[i] = i & Block ? kLanes<T> + i : i + Block;
    }
    const Vector<T> from_a = a, from_b = b;
    a = shuffle<T>(from_a, from_b, upper);
    b = shuffle<T>(from_a, from_b, lower);
}

// rows[i][j] <-> rows[j][i], for a square of kLanes vectors, in registers. A square [[A, B], [C, D]] of blocks is
// transposed by swapping B and C and transposing each block: one step swaps all blocks of one size, 1, 2, 4, ... lanes.
template <class T, int Block = 1>
inline __attribute__((always_inline)) void transpose_square(Vector<T> (&rows)[kLanes<T>]) {
    if constexpr (Block < kLanes<T>) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes<T>; i++) {
            if (!(i & Block)) swap_blocks<T, Block>(rows[i], rows[i + Block]);
        }
        transpose_square<T, 2 * Block>(rows);
    }
}

// Lane i of the result is the sum of the lanes of rows[i]. As in the transposition, but a pair is added as soon as it
// is swapped, so that each step leaves half as many rows. Destroys rows.
template <class T, int Block = 1>
inline __attribute__((always_inline)) Vector<T> sum_rows(Vector<T> (&rows)[kLanes<T>]) {
    if constexpr (Block < kLanes<T>) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes<T>; i += 2 * Block) {
            swap_blocks<T, Block>(rows[i], rows[i + Block]);
            rows[i] += rows[i + Block];
        }
        return sum_rows<T, 2 * Block>(rows);
    } else {
        return rows[0];
    }
}

// totals[i] = the sum of the lanes of vectors[i].
template <class T, int Count>
inline __attribute__((always_inline)) void add_lanes(const Vector<T> (&vectors)[Count], T (&totals)[Count]) {
#pragma GCC unroll 8
    for (int first = 0; first < Count; first += kLanes<T>) {
        const int count = Count - first < kLanes<T> ? Count - first : kLanes<T>;
        Vector<T> square[kLanes<T>];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes<T>; i++) square[i] = i < count ? vectors[first + i] : Vector<T>{};
        store_first(totals + first, sum_rows<T>(square), count);
    }
}

inline int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
inline int64_t divide_up(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

}  // namespace mt::cpu
