// Average pooling. The kernels:
//
//   avg_pool2d            the windows of several neighbouring outputs are added up at once; lane j: the sum of output j
//   avg_pool2d_backward   each upstream element, divided, is added to the whole of its window
//
// Both give whole (H, W) planes to threads, so overlapping windows add up in the same order whatever the number of
// threads.
#include "../ops/avg_pool2d.h"

#include "parallel.h"
#include "pooling_windows.h"

namespace mt::cpu {
namespace {

// A thread is woken for this many window elements at least.
constexpr int64_t kElementsPerThread = 16384;

int64_t planes_per_thread(int64_t elements_per_plane) {
    return std::max<int64_t>(1, kElementsPerThread / std::max<int64_t>(1, elements_per_plane));
}

// The elements [begin, end) of a side that a window covers; dilation is 1. `counted` also includes the padding, but not
// what lies beyond it.
struct Span {
    int64_t begin, end, counted;
};

Span span_of(const WindowSide& side, int64_t output) {
    const int64_t start = side.start(output), end = start + side.kernel;
    return {std::max<int64_t>(start, 0), std::min(end, side.input), std::min(end, side.input + side.padding) - start};
}

template <class T>
T divisor_of(const AverageDivisor& divisor, const Span& height, const Span& width) {
    if (divisor.override_ != 0) return static_cast<T>(divisor.override_);
    if (divisor.count_include_pad) return static_cast<T>(height.counted * width.counted);
    return static_cast<T>((height.end - height.begin) * (width.end - width.begin));
}

// Calls body with a zero of the dtypes that are averaged.
template <class Body>
void dispatch_averaged(DType dtype, const Body& body) {
    dtype == DType::int64 ? body(int64_t{}) : dispatch_floating(dtype, body);
}

// A sum, or a vector of sums, over the divisor. The smallest whole number has no opposite: there the CPU would trap.
template <class T, class Sum>
Sum divided(Sum sum, T divisor) {
    if constexpr (std::is_integral_v<T>) {
        if (divisor == -1) return Sum{} - sum;
    }
    return sum / divisor;
}

// One row of outputs of one plane. The windows of [first_whole, end_whole) are whole along the width.
template <class T>
void average_row(const T* input, T* output, const WindowSide& columns, int64_t first_whole, int64_t end_whole,
                 int64_t outputs_w, const Span& height, const AverageDivisor& divisor) {
    const int64_t width = columns.input;
    const auto average_one = [&](int64_t ow) {
        const Span across = span_of(columns, ow);
        T sum = 0;
        for (int64_t h = height.begin; h < height.end; h++) {
            for (int64_t w = across.begin; w < across.end; w++) sum += input[h * width + w];
        }
        output[ow] = divided(sum, divisor_of<T>(divisor, height, across));
    };

    int64_t ow = 0;
    for (; ow < first_whole; ow++) average_one(ow);
    ow = for_each_lanes(first_whole, end_whole, kPoolLanes<T>, [&](int64_t lanes_begin) {
        const T* base = input + columns.start(lanes_begin);
        PoolVector<T> sums{};
        for (int64_t h = height.begin; h < height.end; h++) {
            for (int64_t kw = 0; kw < columns.kernel; kw++) {
                sums += load_neighbours(base + h * width, kw, columns.stride);
            }
        }
        sums = divided(sums, divisor_of<T>(divisor, height, span_of(columns, lanes_begin)));
        std::memcpy(output + lanes_begin, &sums, sizeof(sums));
    });
    for (; ow < outputs_w; ow++) average_one(ow);
}

void avg_pool2d(const NDArray& input, const Window& window, const AverageDivisor& divisor, NDArray& output) {
    const WindowSide rows = rows_of(window, input.shape(2)), columns = columns_of(window, input.shape(3));
    const int64_t planes = input.shape(0) * input.shape(1), input_size = rows.input * columns.input;
    const int64_t outputs_h = output.shape(2), outputs_w = output.shape(3);
    const int64_t first_whole = columns.first_whole(outputs_w);
    const int64_t end_whole = loads_neighbours(columns) ? columns.end_whole(outputs_w) : first_whole;
    dispatch_averaged(input.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(planes, planes_per_thread(outputs_h * outputs_w * rows.kernel * columns.kernel),
                     [&](int64_t begin, int64_t end) {
                         for (int64_t p = begin; p < end; p++) {
                             const T* plane = input.data<T>() + p * input_size;
                             T* averages = output.data<T>() + p * outputs_h * outputs_w;
                             for (int64_t oh = 0; oh < outputs_h; oh++)
                                 average_row(plane, averages + oh * outputs_w, columns, first_whole, end_whole,
                                             outputs_w, span_of(rows, oh), divisor);
                         }
                     });
    });
}

void avg_pool2d_backward(const NDArray& upstream_array, const Window& window, const AverageDivisor& divisor,
                         NDArray& gradient_array) {
    const WindowSide rows = rows_of(window, gradient_array.shape(2)),
                     columns = columns_of(window, gradient_array.shape(3));
    const int64_t planes = gradient_array.shape(0) * gradient_array.shape(1), input_size = rows.input * columns.input;
    const int64_t outputs_h = upstream_array.shape(2), outputs_w = upstream_array.shape(3);
    dispatch_floating(upstream_array.dtype(), [&](auto zero) {
        using T = decltype(zero);
        parallel_for(planes, planes_per_thread(input_size + outputs_h * outputs_w * rows.kernel * columns.kernel),
                     [&](int64_t begin, int64_t end) {
                         for (int64_t p = begin; p < end; p++) {
                             const T* upstream = upstream_array.data<T>() + p * outputs_h * outputs_w;
                             T* gradient = gradient_array.data<T>() + p * input_size;
                             std::fill_n(gradient, input_size, T{0});
                             for (int64_t oh = 0; oh < outputs_h; oh++) {
                                 const Span height = span_of(rows, oh);
                                 for (int64_t ow = 0; ow < outputs_w; ow++) {
                                     const Span across = span_of(columns, ow);
                                     const T share =
                                         upstream[oh * outputs_w + ow] / divisor_of<T>(divisor, height, across);
                                     for (int64_t h = height.begin; h < height.end; h++) {
                                         for (int64_t w = across.begin; w < across.end; w++)
                                             gradient[h * columns.input + w] += share;
                                     }
                                 }
                             }
                         }
                     });
    });
}

constexpr Rung<AvgPoolKernel> kRungs[] = {
    {"vectorised", "Adds the windows of several neighbouring outputs at once, one window element after the other.",
     avg_pool2d}};
constexpr Rung<AvgPoolBackwardKernel> kBackwardRungs[] = {
    {"scatter", "Zeroes a plane, then adds each upstream element to the whole of its window.", avg_pool2d_backward}};

}  // namespace

constexpr Ladder<AvgPoolKernel> avg_pool2d_ladder(kRungs);
constexpr Ladder<AvgPoolBackwardKernel> avg_pool2d_backward_ladder(kBackwardRungs);

}  // namespace mt::cpu
