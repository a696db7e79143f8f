// Max pooling. The kernels:
//
//   max_pool2d_naive        each output's window is walked, row by row; the best so far is replaced by what is larger
//   max_pool2d_vectorised   the same for several neighbouring outputs at once. Lane j holds the best so far of output
//                           j, and where it stood
//   max_pool2d_backward     each upstream element is added to the gradient at its index; for 2x2 windows, which share
//                           no element, every element of the gradient is written once instead
//
// All of them give whole (H, W) planes to threads, so overlapping windows add up in the same order whatever the number
// of threads.
#include "../ops/max_pool2d.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "parallel.h"
#include "pooling_windows.h"

namespace mt::cpu {
namespace {

// A thread is woken for this many window elements at least.
constexpr int64_t kElementsPerThread = 16384;

// Calls body(zero of the values' type, zero of the indices' type).
template <class Body>
void dispatch_types(const NDArray& values, const NDArray& indices, const Body& body) {
    dispatch_floating(values.dtype(),
                      [&](auto zero) { dispatch_index(indices, [&](auto zero_index) { body(zero, zero_index); }); });
}

int64_t planes_per_thread(int64_t elements_per_plane) {
    return std::max<int64_t>(1, kElementsPerThread / std::max<int64_t>(1, elements_per_plane));
}

// One plane (H, W) of the input and of the outputs (OH, OW).
template <class T, class Index>
struct Plane {
    const T* input;
    T* output;
    Index* indices;
};

template <class T, class Index>
void pool_one(const Plane<T, Index>& plane, const WindowSide& rows, const WindowSide& columns, int64_t outputs_w,
              int64_t oh, int64_t ow) {
    const int64_t first_row = rows.start(oh), first_column = columns.start(ow);
    const int64_t first_h = rows.first_inside(oh), end_h = rows.end_inside(oh);
    const int64_t first_w = columns.first_inside(ow), end_w = columns.end_inside(ow);
    T best = -std::numeric_limits<T>::infinity();
    int64_t best_index =
        (first_row + first_h * rows.dilation) * columns.input + first_column + first_w * columns.dilation;
    for (int64_t kh = first_h; kh < end_h; kh++) {
        for (int64_t kw = first_w; kw < end_w; kw++) {
            const int64_t index =
                (first_row + kh * rows.dilation) * columns.input + first_column + kw * columns.dilation;
            const T value = plane.input[index];
            const bool better = (value > best) | (value != value);  // larger, or NaN; nothing is larger than NaN
            best = better ? value : best;
            best_index = better ? index : best_index;
        }
    }
    plane.output[oh * outputs_w + ow] = best;
    plane.indices[oh * outputs_w + ow] = static_cast<Index>(best_index);
}

// The same for whole numbers. They have neither NaN nor a minus infinity: the best so far begins as the first element.
template <class T, class Index>
void pool_one_of_integers(const Plane<T, Index>& plane, const WindowSide& rows, const WindowSide& columns,
                          int64_t outputs_w, int64_t oh, int64_t ow) {
    const int64_t first_w = columns.first_inside(ow), end_w = columns.end_inside(ow);
    const auto index_of = [&](int64_t kh, int64_t kw) {
        return (rows.start(oh) + kh * rows.dilation) * columns.input + columns.start(ow) + kw * columns.dilation;
    };
    int64_t best_index = index_of(rows.first_inside(oh), first_w);
    for (int64_t kh = rows.first_inside(oh); kh < rows.end_inside(oh); kh++) {
        for (int64_t kw = first_w; kw < end_w; kw++) {
            if (plane.input[index_of(kh, kw)] > plane.input[best_index]) best_index = index_of(kh, kw);
        }
    }
    plane.output[oh * outputs_w + ow] = plane.input[best_index];
    plane.indices[oh * outputs_w + ow] = static_cast<Index>(best_index);
}

// indices[lane] = base_index + lane * stride_w + offsets[lane]. Where T is float32 and indices are 64 bits wide, they
// fill two vectors.
template <class T, int Bytes, class Index>
inline __attribute__((always_inline)) void store_indices(Index* indices, PoolVector<PoolInt<T>, Bytes> offsets,
                                                         int64_t base_index, int64_t stride_w) {
    constexpr int kTogether = std::min(kPoolLanes<Index, kVectorBytes>, kPoolLanes<T, Bytes>);
    using Offsets = PoolVector<PoolInt<T>, kTogether * sizeof(T)>;
    using Indices = PoolVector<Index, kTogether * sizeof(Index)>;
    Indices lane_starts;
    for (int lane = 0; lane < kTogether; lane++) lane_starts[lane] = static_cast<Index>(lane * stride_w);
#pragma GCC unroll 4
    for (int first = 0; first < kPoolLanes<T, Bytes>; first += kTogether) {
        Offsets part;
        std::memcpy(&part, reinterpret_cast<const char*>(&offsets) + first * sizeof(T), sizeof(part));
        const Indices index =
            __builtin_convertvector(part, Indices) + lane_starts + static_cast<Index>(base_index + first * stride_w);
        std::memcpy(indices + first, &index, sizeof(index));
    }
}

// The outputs [ow, ow + kPoolLanes) of one row. Their windows are whole along the width; elements [first_h, end_h) are
// inside along the height. The arguments from first_h on are constants where this is inlined for 2x2 windows.
template <class T, int Bytes, class Index>
inline __attribute__((always_inline)) void pool_lanes(const T* base, int64_t base_index, int64_t row_step,
                                                      int64_t column_step, T* output, Index* indices, int64_t first_h,
                                                      int64_t end_h, int64_t kernel_w, int64_t stride_w) {
    using Ints = PoolVector<PoolInt<T>, Bytes>;
    PoolVector<T, Bytes> best = load_neighbours<T, Bytes>(base + first_h * row_step, 0, stride_w);
    Ints best_offset = Ints{} + static_cast<PoolInt<T>>(first_h * row_step);  // from the window's first element
    for (int64_t kh = first_h; kh < end_h; kh++) {
        for (int64_t kw = kh == first_h ? 1 : 0; kw < kernel_w; kw++) {
            const PoolVector<T, Bytes> value =
                load_neighbours<T, Bytes>(base + kh * row_step, kw * column_step, stride_w);
            const auto better = (value > best) | (value != value);
            best = better ? value : best;
            best_offset = better ? Ints{} + static_cast<PoolInt<T>>(kh * row_step + kw * column_step) : best_offset;
        }
    }
    std::memcpy(output, &best, sizeof(best));
    store_indices<T, Bytes>(indices, best_offset, base_index, stride_w);
}

// One row of outputs. The windows of [first_whole, end_whole) are whole along the width and go several at a time; those
// before and after reach into the padding and go one by one.
template <class T, class Index>
void pool_row(const Plane<T, Index>& plane, const WindowSide& rows, const WindowSide& columns, int64_t first_whole,
              int64_t end_whole, int64_t outputs_w, int64_t oh) {
    const int64_t first_h = rows.first_inside(oh), end_h = rows.end_inside(oh);
    int64_t ow = 0;
    for (; ow < first_whole; ow++) pool_one(plane, rows, columns, outputs_w, oh, ow);
    ow = for_each_lanes(ow, end_whole, kPoolLanes<T>, [&](int64_t begin) {
        // Before the plane where the first rows are padding: a number, not an address that is read.
        const int64_t base_index = rows.start(oh) * columns.input + columns.start(begin);
        const int64_t at = oh * outputs_w + begin;
        pool_lanes<T, kShortVectorBytes>(plane.input + base_index, base_index, rows.dilation * columns.input,
                                         columns.dilation, plane.output + at, plane.indices + at, first_h, end_h,
                                         columns.kernel, columns.stride);
    });
    for (; ow < outputs_w; ow++) pool_one(plane, rows, columns, outputs_w, oh, ow);
}

// The commonest window: 2x2, two apart, all of it inside. Then everything that pool_row works out for each row is a
// constant, which matters where a row has no more than a vector or two of outputs.
bool is_2x2_inside(const WindowSide& rows, const WindowSide& columns, int64_t outputs_h, int64_t outputs_w) {
    const auto is_halving = [](const WindowSide& side, int64_t outputs) {
        return side.kernel == 2 && side.stride == 2 && side.padding == 0 && side.dilation == 1 &&
               2 * outputs <= side.input;
    };
    return is_halving(rows, outputs_h) && is_halving(columns, outputs_w);
}

// Bytes: what a vector of outputs holds; a row has at least that many.
template <int Bytes, class T, class Index>
void pool_plane_2x2(const Plane<T, Index>& plane, int64_t input_w, int64_t outputs_h, int64_t outputs_w) {
    for (int64_t oh = 0; oh < outputs_h; oh++) {
        for_each_lanes(0, outputs_w, kPoolLanes<T, Bytes>, [&](int64_t ow) {
            const int64_t base_index = 2 * oh * input_w + 2 * ow, at = oh * outputs_w + ow;
            pool_lanes<T, Bytes>(plane.input + base_index, base_index, input_w, 1, plane.output + at,
                                 plane.indices + at, 0, 2, 2, 2);
        });
    }
}

// Calls body(plane, output rows, output columns) for each plane of the batch.
template <class T, class Index, class Body>
void for_each_plane(const NDArray& input, const Window& window, NDArray& output, NDArray& indices, const Body& body) {
    const int64_t planes = input.shape(0) * input.shape(1), input_size = input.shape(2) * input.shape(3);
    const int64_t outputs_h = output.shape(2), outputs_w = output.shape(3);
    const int64_t grain = planes_per_thread(outputs_h * outputs_w * window.kernel.h * window.kernel.w);
    parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; p++) {
            const int64_t at = p * outputs_h * outputs_w;
            body(Plane<T, Index>{input.data<T>() + p * input_size, output.data<T>() + at, indices.data<Index>() + at},
                 outputs_h, outputs_w);
        }
    });
}

// One plane of the gradient, where every index lies in the 2x2 window of its own output: each element of the gradient
// is then written once, upstream or 0, and nothing has to be zeroed before or added. False if an index lies elsewhere,
// or if a row of outputs is too short for kLanesHere; the plane is then still to be done.
template <int kLanesHere, class T, class Index>
bool spread_plane_2x2(const T* upstream, const Index* indices, int64_t outputs_h, int64_t outputs_w, T* gradient) {
    constexpr int kBytes = kLanesHere * static_cast<int>(sizeof(T));
    constexpr int kIndexBytes = kLanesHere * static_cast<int>(sizeof(Index));
    using Indices = PoolVector<Index, kIndexBytes>;
    using Values = PoolVector<T, kBytes>;
    using Offsets = PoolVector<PoolInt<T>, kBytes>;  // as wide as the values; exact where `elsewhere` stays 0
    if (outputs_w < kLanesHere) return false;
    const int64_t width = 2 * outputs_w;
    Indices lane_starts, elsewhere{};
    for (int lane = 0; lane < kLanesHere; lane++) lane_starts[lane] = static_cast<Index>(2 * lane);
    for (int64_t oh = 0; oh < outputs_h; oh++) {
        for_each_lanes(0, outputs_w, kLanesHere, [&](int64_t ow) {
            const int64_t first = 2 * oh * width + 2 * ow, at = oh * outputs_w + ow;
            const Indices offset =
                load_pool<Index, kIndexBytes>(indices + at) - lane_starts - static_cast<Index>(first);
            const Offsets winner = __builtin_convertvector(offset, Offsets);
            const Values values = load_pool<T, kBytes>(upstream + at);
            for (int row = 0; row < 2; row++) {
                const Offsets start = Offsets{} + static_cast<PoolInt<T>>(row * width);
                const Values left = winner == start ? values : Values{};
                const Values right = winner == start + 1 ? values : Values{};
                const Values low = interleave<T, kBytes>(left, right, 0),
                             high = interleave<T, kBytes>(left, right, kLanesHere / 2);
                T* to = gradient + first + row * width;
                std::memcpy(to, &low, sizeof(low));
                std::memcpy(to + kLanesHere, &high, sizeof(high));
            }
            const auto below = static_cast<Index>(width);
            elsewhere |= (offset != 0) & (offset != 1) & (offset != below) & (offset != below + 1);
        });
    }
    for (int lane = 0; lane < kLanesHere; lane++) {
        if (elsewhere[lane] != 0) return false;
    }
    return true;
}

// As many lanes as registers hold; where rows are shorter, as many as kShortVectorBytes hold.
template <class T, class Index>
bool spread_plane_2x2(const T* upstream, const Index* indices, int64_t outputs_h, int64_t outputs_w, T* gradient) {
    constexpr int kWidest = static_cast<int>(std::max(sizeof(T), sizeof(Index)));
    return spread_plane_2x2<kVectorBytes / kWidest>(upstream, indices, outputs_h, outputs_w, gradient) ||
           (kShortVectorBytes < kVectorBytes && outputs_w < kVectorBytes / kWidest &&
            spread_plane_2x2<kShortVectorBytes / kWidest>(upstream, indices, outputs_h, outputs_w, gradient));
}

// One plane of the gradient; false when an index lies outside it.
template <class T, class Index>
bool scatter_plane(const T* upstream, const Index* indices, int64_t outputs, T* gradient, int64_t inputs) {
    std::fill_n(gradient, inputs, T{0});
    bool all_inside = true;
    for (int64_t i = 0; i < outputs; i++) {
        const int64_t index = indices[i];
        if (index < 0 || index >= inputs) {
            all_inside = false;
            continue;
        }
        gradient[index] += upstream[i];
    }
    return all_inside;
}

void max_pool2d_naive(const NDArray& input, const Window& window, NDArray& output, NDArray& indices) {
    const WindowSide rows = rows_of(window, input.shape(2)), columns = columns_of(window, input.shape(3));
    const auto pool_all = [&](auto zero, auto zero_index) {
        using T = decltype(zero);
        using Index = decltype(zero_index);
        for_each_plane<T, Index>(input, window, output, indices,
                                 [&](const Plane<T, Index>& plane, int64_t outputs_h, int64_t outputs_w) {
                                     for (int64_t oh = 0; oh < outputs_h; oh++) {
                                         for (int64_t ow = 0; ow < outputs_w; ow++) {
                                             if constexpr (std::is_integral_v<T>)
                                                 pool_one_of_integers(plane, rows, columns, outputs_w, oh, ow);
                                             else
                                                 pool_one(plane, rows, columns, outputs_w, oh, ow);
                                         }
                                     }
                                 });
    };
    dispatch_all(input.dtype(),
                 [&](auto zero) { dispatch_index(indices, [&](auto zero_index) { pool_all(zero, zero_index); }); });
}

void max_pool2d_vectorised(const NDArray& input, const Window& window, NDArray& output, NDArray& indices) {
    const WindowSide rows = rows_of(window, input.shape(2)), columns = columns_of(window, input.shape(3));
    // Offsets within a window are kept in lanes as wide as an element: 32 bits for float32.
    const bool offsets_fit = (rows.kernel * rows.dilation + 1) * columns.input <= std::numeric_limits<int32_t>::max();
    if (!is_floating(input.dtype()) || !offsets_fit || !loads_neighbours(columns))
        return max_pool2d_naive(input, window, output, indices);
    const int64_t first_whole = columns.first_whole(output.shape(3)), end_whole = columns.end_whole(output.shape(3));
    const bool is_2x2 = is_2x2_inside(rows, columns, output.shape(2), output.shape(3));
    dispatch_types(input, indices, [&](auto zero, auto zero_index) {
        using T = decltype(zero);
        using Index = decltype(zero_index);
        for_each_plane<T, Index>(
            input, window, output, indices, [=](const Plane<T, Index>& plane, int64_t outputs_h, int64_t outputs_w) {
                if (is_2x2 && outputs_w >= kLanes<T>)
                    return pool_plane_2x2<kVectorBytes>(plane, columns.input, outputs_h, outputs_w);
                if (is_2x2 && outputs_w >= kPoolLanes<T>)
                    return pool_plane_2x2<kShortVectorBytes>(plane, columns.input, outputs_h, outputs_w);
                for (int64_t oh = 0; oh < outputs_h; oh++) {
                    pool_row(plane, rows, columns, first_whole, end_whole, outputs_w, oh);
                }
            });
    });
}

bool max_pool2d_backward(const NDArray& upstream_array, const NDArray& indices_array, const Window&,
                         NDArray& gradient_array) {
    const int64_t planes = gradient_array.shape(0) * gradient_array.shape(1);
    const Pair input{gradient_array.shape(2), gradient_array.shape(3)},
        output{upstream_array.shape(2), upstream_array.shape(3)};
    const int64_t input_size = input.h * input.w, output_size = output.h * output.w;
    const bool is_halved = input == Pair{2 * output.h, 2 * output.w};
    std::atomic<bool> all_inside{true};
    dispatch_types(upstream_array, indices_array, [&](auto zero, auto zero_index) {
        using T = decltype(zero);
        using Index = decltype(zero_index);
        parallel_for(planes, planes_per_thread(input_size + output_size), [&](int64_t begin, int64_t end) {
            for (int64_t p = begin; p < end; p++) {
                const T* upstream = upstream_array.data<T>() + p * output_size;
                const Index* indices = indices_array.data<Index>() + p * output_size;
                T* gradient = gradient_array.data<T>() + p * input_size;
                if (is_halved && spread_plane_2x2(upstream, indices, output.h, output.w, gradient)) continue;
                if (!scatter_plane(upstream, indices, output_size, gradient, input_size)) all_inside = false;
            }
        });
    });
    return all_inside;
}

constexpr Rung<MaxPoolKernel> kRungs[] = {
    {"vectorised", "Compares the windows of several neighbouring outputs at once, one window element after the other.",
     max_pool2d_vectorised},
    {"naive", "One output after the other: four loops around a comparison.", max_pool2d_naive},
};
constexpr Rung<MaxPoolBackwardKernel> kBackwardRungs[] = {
    {"scatter", "Zeroes a plane, then adds each upstream element at its index.", max_pool2d_backward}};

}  // namespace

constexpr Ladder<MaxPoolKernel> max_pool2d_ladder(kRungs);
constexpr Ladder<MaxPoolBackwardKernel> max_pool2d_backward_ladder(kBackwardRungs);

}  // namespace mt::cpu
