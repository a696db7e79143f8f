// What the pooling kernels share: where a window lies, and how the same element of neighbouring windows is read at
// once.
#pragma once

#include <algorithm>

#include "../ops/geometry.h"
#include "simd.h"

namespace mt::cpu {

// Along one side (rows or columns) of a plane: the window of output i begins at i * stride - padding and has `kernel`
// elements, `dilation` apart.
struct WindowSide {
    int64_t input, kernel, stride, padding, dilation;

    int64_t start(int64_t output) const { return output * stride - padding; }

    // Elements [first, end) of the window lie inside the input.
    int64_t first_inside(int64_t output) const {
        const int64_t begin = start(output);
        return begin >= 0 ? 0 : (-begin + dilation - 1) / dilation;
    }
    int64_t end_inside(int64_t output) const {
        const int64_t left = input - start(output);  // at least 1: every window starts before the input ends
        return left > (kernel - 1) * dilation ? kernel : (left + dilation - 1) / dilation;
    }

    // The windows of the outputs [first, end) lie inside the input altogether, those before and after reach into the
    // padding.
    int64_t first_whole(int64_t outputs) const { return std::min(outputs, (padding + stride - 1) / stride); }
    int64_t end_whole(int64_t outputs) const {
        const int64_t last_start =
            input - 1 - (kernel - 1) * dilation + padding;  // of a whole window, in padded coordinates
        return last_start < 0 ? first_whole(outputs)
                              : std::clamp(last_start / stride + 1, first_whole(outputs), outputs);
    }
};

inline WindowSide rows_of(const Window& window, int64_t height) {
    return {height, window.kernel.h, window.stride.h, window.padding.h, window.dilation.h};
}
inline WindowSide columns_of(const Window& window, int64_t width) {
    return {width, window.kernel.w, window.stride.w, window.padding.w, window.dilation.w};
}

// How many neighbouring outputs are computed at once: 32 bytes' worth where nothing else is said, even if registers
// hold 64, since rows of small images are short.
constexpr int kShortVectorBytes = kVectorBytes < 32 ? kVectorBytes : 32;
template <class T, int Bytes = kShortVectorBytes>
constexpr int kPoolLanes = Bytes / static_cast<int>(sizeof(T));

template <class T, int Bytes = kShortVectorBytes>
struct PoolVectorType {
    typedef T type __attribute__((vector_size(Bytes)));
};
template <class T, int Bytes = kShortVectorBytes>
using PoolVector = typename PoolVectorType<T, Bytes>::type;

// Calls body(ow) for neighbouring outputs from ow on, `lanes` at a time, until [begin, end) is covered, and returns
// where it ended: end, or begin where there are fewer outputs than lanes. The last call may go over outputs a second
// time.
template <class Body>
inline __attribute__((always_inline)) int64_t for_each_lanes(int64_t begin, int64_t end, int64_t lanes,
                                                             const Body& body) {
    if (end - begin < lanes) return begin;
    int64_t ow = begin;
    for (; ow + lanes <= end; ow += lanes) body(ow);
    if (ow < end) body(end - lanes);
    return end;
}

// Whole numbers as wide as T's lanes.
template <class T>
using PoolInt = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

template <class T, int Bytes>
inline PoolVector<T, Bytes> load_pool(const T* source) {
    PoolVector<T, Bytes> vector;
    std::memcpy(&vector, source, sizeof(vector));
    return vector;
}

// Every second of 2 * kPoolLanes elements, from the first (Odd = 0) or the second (Odd = 1) on.
template <class T, int Bytes, int Odd>
inline __attribute__((always_inline)) PoolVector<T, Bytes> every_second(const T* source) {
    constexpr int kLanesHere = kPoolLanes<T, Bytes>;
    const PoolVector<T, Bytes> low = load_pool<T, Bytes>(source), high = load_pool<T, Bytes>(source + kLanesHere);
    PoolVector<PoolInt<T>, Bytes> from;
    for (int lane = 0; lane < kLanesHere; lane++) from[lane] = 2 * lane + Odd;
#if defined(__clang__)
    PoolVector<T, Bytes> result;
    for (int lane = 0; lane < kLanesHere; lane++)
        result[lane] = from[lane] < kLanesHere ? low[from[lane]] : high[from[lane] - kLanesHere];
    return result;
#else
    return __builtin_shuffle(low, high, from);
#endif
}

// The lanes of a and b in turns: a[first], b[first], a[first + 1], ... fills a vector.
template <class T, int Bytes>
inline __attribute__((always_inline)) PoolVector<T, Bytes> interleave(PoolVector<T, Bytes> a, PoolVector<T, Bytes> b,
                                                                      int first) {
    constexpr int kLanesHere = kPoolLanes<T, Bytes>;
    PoolVector<PoolInt<T>, Bytes> from;
    for (int lane = 0; lane < kLanesHere; lane++) from[lane] = first + lane / 2 + lane % 2 * kLanesHere;
#if defined(__clang__)
    PoolVector<T, Bytes> result;
    for (int lane = 0; lane < kLanesHere; lane++)
        result[lane] = from[lane] < kLanesHere ? a[from[lane]] : b[from[lane] - kLanesHere];
    return result;
#else
    return __builtin_shuffle(a, b, from);
#endif
}

// Element `column` of kPoolLanes neighbouring windows: base[column], base[column + stride], ... for a stride of 1 or 2.
// `base` is where the first window's row begins; all these windows lie inside the input. For stride 2 the elements in
// between are read too. An even column reads to the right of its last element, where the window, wider than 1, goes on;
// any other reads to the left of its first. So nothing outside the windows' row is touched.
template <class T, int Bytes = kShortVectorBytes>
inline __attribute__((always_inline)) PoolVector<T, Bytes> load_neighbours(const T* base, int64_t column,
                                                                           int64_t stride) {
    if (stride == 1) return load_pool<T, Bytes>(base + column);
    return column == 0 ? every_second<T, Bytes, 0>(base) : every_second<T, Bytes, 1>(base + column - 1);
}

// load_neighbours serves these windows.
inline bool loads_neighbours(const WindowSide& columns) {
    return columns.stride == 1 || (columns.stride == 2 && columns.kernel > 1);
}

}  // namespace mt::cpu
