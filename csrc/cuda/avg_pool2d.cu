// Average pooling: one thread an output adds up its window. Its derivative: one thread an element of the input gathers
// its share of every window that holds it, so no two threads write one place.
//
// input (N, C, H, W); output (N, C, OH, OW).
#include "../ops/avg_pool2d.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

struct Sizes {
    int64_t planes;
    Pair input, output;
    Window window;
    AverageDivisor divisor;

    __host__ __device__ int64_t outputs() const { return planes * output.h * output.w; }
    __host__ __device__ int64_t inputs() const { return planes * input.h * input.w; }
};

// The elements [begin, end) of a side that a window covers. `counted` also includes the padding, but not what lies
// beyond it.
struct Span {
    int64_t begin, end, counted;
};
__device__ Span span_of(int64_t output, int64_t input, int64_t kernel, int64_t stride, int64_t padding) {
    const int64_t start = output * stride - padding, end = start + kernel;
    const int64_t end_of_padding = input + padding;
    return {start > 0 ? start : 0, end < input ? end : input, (end < end_of_padding ? end : end_of_padding) - start};
}

// The window of output (oh, ow), and by what its sum is divided.
struct Place {
    Span rows, columns;
    int64_t divisor;

    __device__ Place(const Sizes& sizes, int64_t oh, int64_t ow) {
        const Window& window = sizes.window;
        rows = span_of(oh, sizes.input.h, window.kernel.h, window.stride.h, window.padding.h);
        columns = span_of(ow, sizes.input.w, window.kernel.w, window.stride.w, window.padding.w);
        if (sizes.divisor.override_ != 0)
            divisor = sizes.divisor.override_;
        else if (sizes.divisor.count_include_pad)
            divisor = rows.counted * columns.counted;
        else
            divisor = (rows.end - rows.begin) * (columns.end - columns.begin);
    }
};

// Whole numbers are cut toward zero. The smallest has no opposite: divided by -1, it wraps around.
template <class T>
__device__ T divided(T sum, int64_t divisor) {
    if constexpr (std::is_integral_v<T>) {
        if (divisor == -1) return static_cast<T>(uint64_t{0} - static_cast<uint64_t>(sum));
    }
    return sum / static_cast<T>(divisor);
}

template <class T>
__global__ void average(const T* input, T* output, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.outputs()) return;
    const Place place(sizes, i / sizes.output.w % sizes.output.h, i % sizes.output.w);
    input += i / (sizes.output.h * sizes.output.w) * sizes.input.h * sizes.input.w;
    T sum = 0;
    for (int64_t h = place.rows.begin; h < place.rows.end; h++) {
        for (int64_t w = place.columns.begin; w < place.columns.end; w++) sum += input[h * sizes.input.w + w];
    }
    output[i] = divided(sum, place.divisor);
}

// The outputs [first, end) whose windows hold element `at` of a side.
struct Range {
    int64_t first, end;
};
__device__ Range windows_over(int64_t at, int64_t outputs, int64_t kernel, int64_t stride, int64_t padding) {
    const int64_t last_start = at + padding, first_start = last_start - (kernel - 1);
    const int64_t first = first_start <= 0 ? 0 : (first_start + stride - 1) / stride;
    const int64_t end = last_start / stride + 1;
    return {first, end < outputs ? end : outputs};
}

template <class T>
__global__ void average_backward(const T* upstream, T* gradient, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.inputs()) return;
    const Window& window = sizes.window;
    const int64_t plane = i / (sizes.input.h * sizes.input.w);
    const Range rows = windows_over(i / sizes.input.w % sizes.input.h, sizes.output.h, window.kernel.h, window.stride.h,
                                    window.padding.h);
    const Range columns =
        windows_over(i % sizes.input.w, sizes.output.w, window.kernel.w, window.stride.w, window.padding.w);
    T sum = 0;
    for (int64_t oh = rows.first; oh < rows.end; oh++) {
        for (int64_t ow = columns.first; ow < columns.end; ow++) {
            const T share = upstream[(plane * sizes.output.h + oh) * sizes.output.w + ow];
            sum += share / static_cast<T>(Place(sizes, oh, ow).divisor);
        }
    }
    gradient[i] = sum;
}

Sizes sizes_of(const NDArray& input, const NDArray& output, const Window& window, const AverageDivisor& divisor) {
    return {input.shape(0) * input.shape(1),
            {input.shape(2), input.shape(3)},
            {output.shape(2), output.shape(3)},
            window,
            divisor};
}

void launch_average(const NDArray& input, const Window& window, const AverageDivisor& divisor, NDArray& output) {
    const auto start = [&](auto zero) {
        using T = decltype(zero);
        launch(average<T>, blocks_for(output.size(), kThreads), kThreads, 0, input.data<T>(), output.data<T>(),
               sizes_of(input, output, window, divisor));
    };
    input.dtype() == DType::int64 ? start(int64_t{}) : dispatch_floating_device(input.dtype(), start);
}

void launch_average_backward(const NDArray& upstream, const Window& window, const AverageDivisor& divisor,
                             NDArray& gradient) {
    dispatch_floating_device(upstream.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(average_backward<T>, blocks_for(gradient.size(), kThreads), kThreads, 0, upstream.data<T>(),
               gradient.data<T>(), sizes_of(gradient, upstream, window, divisor));
    });
}

constexpr Rung<AvgPoolKernel> kRungs[] = {
    {"naive", "One thread an output adds up its window.", 75, launch_average},
};

constexpr Rung<AvgPoolBackwardKernel> kBackwardRungs[] = {
    {"gather", "One thread an element of the input gathers its share of every window that holds it.", 75,
     launch_average_backward},
};

}  // namespace

const DeviceLadder avg_pool2d_ladder(kAvgPool2dOp, kRungs);
const DeviceLadder avg_pool2d_backward_ladder(kAvgPool2dBackwardOp, kBackwardRungs);

}  // namespace mt
