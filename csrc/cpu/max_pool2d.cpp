// Kernels:
//   max_pool2d_naive: each output's window is walked, row by row; the best so far is replaced by what is larger.
//
//   max_pool2d_vectorised: the same for several neighbouring outputs at once. Lane j holds the best so far of output j,
//   and where it stood.
//
//   max_pool2d_backward: each upstream element is added to the gradient at its index.
//
// All of them give whole (H, W) planes to threads, so overlapping windows add up in the same order whatever the number
// of threads.
#include "max_pool2d.h"

#include <atomic>
#include <limits>

#include "parallel.h"
#include "pooling_windows.h"

namespace mt::cpu {
namespace {

// A thread is woken for this many window elements at least.
constexpr int64_t kElementsPerThread = 16384;

int64_t planes_per_thread(int64_t elements_per_plane) {
    return std::max<int64_t>(1, kElementsPerThread / std::max<int64_t>(1, elements_per_plane));
}

// One plane (H, W) of the input and of the outputs (OH, OW).
template <class T>
struct Plane {
    const T* input;
    T* output;
    int64_t* indices;
};

template <class T>
void pool_one(const Plane<T>& plane, const WindowSide& rows, const WindowSide& columns, int64_t outputs_w, int64_t oh,
              int64_t ow) {
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
    plane.indices[oh * outputs_w + ow] = best_index;
}

// The outputs [ow, ow + kPoolLanes) of one row. Their windows are whole along the width; elements [first_h, end_h) are
// inside along the height. The arguments from first_h on are constants where this is inlined for 2x2 windows.
template <class T>
inline __attribute__((always_inline)) void pool_lanes(const T* base, int64_t base_index, int64_t row_step,
                                                      int64_t column_step, T* output, int64_t* indices, int64_t first_h,
                                                      int64_t end_h, int64_t kernel_w, int64_t stride_w) {
    using Ints = PoolVector<PoolInt<T>>;
    PoolVector<T> best = load_neighbours(base + first_h * row_step, 0, stride_w);
    Ints best_offset = Ints{} + static_cast<PoolInt<T>>(first_h * row_step);  // from the window's first element
    for (int64_t kh = first_h; kh < end_h; kh++) {
        for (int64_t kw = kh == first_h ? 1 : 0; kw < kernel_w; kw++) {
            const PoolVector<T> value = load_neighbours(base + kh * row_step, kw * column_step, stride_w);
            const auto better = (value > best) | (value != value);
            best = better ? value : best;
            best_offset = better ? Ints{} + static_cast<PoolInt<T>>(kh * row_step + kw * column_step) : best_offset;
        }
    }
    PoolIndices<T> lane_starts;
    for (int lane = 0; lane < kPoolLanes<T>; lane++) lane_starts[lane] = lane * stride_w;
    const PoolIndices<T> best_index = __builtin_convertvector(best_offset, PoolIndices<T>) + lane_starts + base_index;
    std::memcpy(output, &best, sizeof(best));
    std::memcpy(indices, &best_index, sizeof(best_index));
}

// One row of outputs. The windows of [first_whole, end_whole) are whole along the width and go several at a time; those
// before and after reach into the padding and go one by one.
template <class T>
void pool_row(const Plane<T>& plane, const WindowSide& rows, const WindowSide& columns, int64_t first_whole,
              int64_t end_whole, int64_t outputs_w, int64_t oh) {
    const int64_t first_h = rows.first_inside(oh), end_h = rows.end_inside(oh);
    const bool is_2x2 = columns.kernel == 2 && columns.stride == 2 && columns.dilation == 1 && first_h == 0 &&
                        end_h == 2 && rows.dilation == 1;
    int64_t ow = 0;
    for (; ow < first_whole; ow++) pool_one(plane, rows, columns, outputs_w, oh, ow);
    ow = for_each_lanes<T>(first_whole, end_whole, [&](int64_t lanes_begin) {
        const int64_t base_index = rows.start(oh) * columns.input + columns.start(lanes_begin);
        // Before the plane where the first rows are padding: a number, not an address that is read.
        const T* base = plane.input + base_index;
        T* output = plane.output + oh * outputs_w + lanes_begin;
        int64_t* indices = plane.indices + oh * outputs_w + lanes_begin;
        if (is_2x2)
            pool_lanes(base, base_index, columns.input, 1, output, indices, 0, 2, 2, 2);
        else
            pool_lanes(base, base_index, rows.dilation * columns.input, columns.dilation, output, indices, first_h,
                       end_h, columns.kernel, columns.stride);
    });
    for (; ow < outputs_w; ow++) pool_one(plane, rows, columns, outputs_w, oh, ow);
}

// Calls body(plane, output rows, output columns) for each plane of the batch.
template <class T, class Body>
void for_each_plane(const NDArray& input, const Window& window, NDArray& output, NDArray& indices, const Body& body) {
    const int64_t planes = input.shape(0) * input.shape(1), input_size = input.shape(2) * input.shape(3);
    const int64_t outputs_h = output.shape(2), outputs_w = output.shape(3);
    const int64_t grain = planes_per_thread(outputs_h * outputs_w * window.kernel.h * window.kernel.w);
    parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; p++) {
            const int64_t at = p * outputs_h * outputs_w;
            body(Plane<T>{input.data<T>() + p * input_size, output.data<T>() + at, indices.data<int64_t>() + at},
                 outputs_h, outputs_w);
        }
    });
}

}  // namespace

void max_pool2d_naive(const NDArray& input, const Window& window, NDArray& output, NDArray& indices) {
    const WindowSide rows = rows_of(window, input.shape(2)), columns = columns_of(window, input.shape(3));
    dispatch_floating(input.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for_each_plane<T>(input, window, output, indices,
                          [&](const Plane<T>& plane, int64_t outputs_h, int64_t outputs_w) {
                              for (int64_t oh = 0; oh < outputs_h; oh++) {
                                  for (int64_t ow = 0; ow < outputs_w; ow++)
                                      pool_one(plane, rows, columns, outputs_w, oh, ow);
                              }
                          });
    });
}

void max_pool2d_vectorised(const NDArray& input, const Window& window, NDArray& output, NDArray& indices) {
    const WindowSide rows = rows_of(window, input.shape(2)), columns = columns_of(window, input.shape(3));
    // Offsets within a window are kept in lanes as wide as an element: 32 bits for float32.
    const bool offsets_fit = (rows.kernel * rows.dilation + 1) * columns.input <= std::numeric_limits<int32_t>::max();
    if (!offsets_fit || !loads_neighbours(columns)) return max_pool2d_naive(input, window, output, indices);
    const int64_t first_whole = columns.first_whole(output.shape(3)), end_whole = columns.end_whole(output.shape(3));
    dispatch_floating(input.dtype(), [&](auto zero) {
        using T = decltype(zero);
        for_each_plane<T>(input, window, output, indices,
                          [=](const Plane<T>& plane, int64_t outputs_h, int64_t outputs_w) {
                              for (int64_t oh = 0; oh < outputs_h; oh++) {
                                  pool_row(plane, rows, columns, first_whole, end_whole, outputs_w, oh);
                              }
                          });
    });
}

bool max_pool2d_backward(const NDArray& upstream_array, const NDArray& indices_array, NDArray& gradient_array) {
    const int64_t planes = gradient_array.shape(0) * gradient_array.shape(1);
    const int64_t input_size = gradient_array.shape(2) * gradient_array.shape(3),
                  output_size = upstream_array.shape(2) * upstream_array.shape(3);
    std::atomic<bool> all_inside{true};
    dispatch_floating(upstream_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(planes, planes_per_thread(input_size + output_size), [&](int64_t begin, int64_t end) {
            for (int64_t p = begin; p < end; p++) {
                const T* upstream = upstream_array.data<T>() + p * output_size;
                const int64_t* indices = indices_array.data<int64_t>() + p * output_size;
                T* gradient = gradient_array.data<T>() + p * input_size;
                std::fill_n(gradient, input_size, T{0});
                bool inside = true;
                for (int64_t i = 0; i < output_size; i++) {
                    const int64_t index = indices[i];
                    if (index < 0 || index >= input_size) {
                        inside = false;
                        continue;
                    }
                    gradient[index] += upstream[i];
                }
                if (!inside) all_inside = false;
            }
        });
    });
    return all_inside;
}

}  // namespace mt::cpu
