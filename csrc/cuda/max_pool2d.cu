// Max pooling and its derivative. The rungs:
//
//   naive    one thread an output: it walks over its window
//   float4   2x2 windows, two apart: one thread two neighbouring outputs, whose windows are two float4, one above the
//            other
//
//   gather   (derivative) one thread an element of the input: it looks at the windows that hold it and adds what
//            belongs to those whose maximum it was. No two threads write one place: the same bits every time
//   atomic   (derivative) one thread an output adds its upstream element at its index
//
// input (N, C, H, W); output and indices (N, C, OH, OW); an index is h * W + w, int64 or int32. A plane is one image's
// channel.
#include "../ops/max_pool2d.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

struct Sizes {
    int64_t planes;
    Pair input, output;
    Window window;

    __host__ __device__ int64_t outputs() const { return planes * output.h * output.w; }
    __host__ __device__ int64_t inputs() const { return planes * input.h * input.w; }
};

// ---------------------------------------------------------------------------------------------------------- forward

// The first of equal elements wins, and NaN over everything; a later NaN over an earlier one, as in torch.
template <class T, class Index>
__global__ void max_pool_naive(const T* input, T* output, Index* indices, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.outputs()) return;
    const Window& window = sizes.window;
    const int64_t plane = i / (sizes.output.h * sizes.output.w);
    const int64_t first_h = i / sizes.output.w % sizes.output.h * window.stride.h - window.padding.h;
    const int64_t first_w = i % sizes.output.w * window.stride.w - window.padding.w;
    input += plane * sizes.input.h * sizes.input.w;

    T best{};
    int64_t best_index = -1;  // none yet: whatever comes first is taken, be it minus infinity
    for (int64_t r = 0; r < window.kernel.h; r++) {
        for (int64_t s = 0; s < window.kernel.w; s++) {
            const int64_t h = first_h + r * window.dilation.h, w = first_w + s * window.dilation.w;
            if (h < 0 || h >= sizes.input.h || w < 0 || w >= sizes.input.w) continue;
            const T value = input[h * sizes.input.w + w];
            if (value > best || value != value || best_index < 0) {
                best = value;
                best_index = h * sizes.input.w + w;
            }
        }
    }
    output[i] = best;
    indices[i] = static_cast<Index>(best_index);
}

// Takes (value, index) in, which comes after what was best so far.
template <class Index>
__device__ void take_in(float value, Index index, float& best, Index& best_index) {
    if (value > best || value != value) {
        best = value;
        best_index = index;
    }
}

// Thread i takes outputs 2i and 2i + 1. Every row of the input has a multiple of four elements.
template <class Index>
__global__ void max_pool_float4(const float* input, float* output, Index* indices, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (2 * i >= sizes.outputs()) return;
    const int64_t pairs = sizes.output.w / 2;  // of a row
    const int64_t w = 4 * (i % pairs), h = 2 * (i / pairs % sizes.output.h);
    const int64_t plane = i / (pairs * sizes.output.h);
    const Index upper = static_cast<Index>(h * sizes.input.w + w);
    const Index lower = upper + static_cast<Index>(sizes.input.w);
    input += plane * sizes.input.h * sizes.input.w;
    const float4 above = *reinterpret_cast<const float4*>(input + upper);
    const float4 below = *reinterpret_cast<const float4*>(input + lower);

    float2 best = {above.x, above.z};
    Index left = upper, right = upper + 2;
    take_in<Index>(above.y, upper + 1, best.x, left);
    take_in<Index>(below.x, lower, best.x, left);
    take_in<Index>(below.y, lower + 1, best.x, left);
    take_in<Index>(above.w, upper + 3, best.y, right);
    take_in<Index>(below.z, lower + 2, best.y, right);
    take_in<Index>(below.w, lower + 3, best.y, right);
    *reinterpret_cast<float2*>(output + 2 * i) = best;
    indices[2 * i] = left;
    indices[2 * i + 1] = right;
}

// ---------------------------------------------------------------------------------------------------------- backward

// The outputs [first, end) whose windows may hold input element `at` of a side. All of them, where the window is not
// known (its kernel is 0).
struct Range {
    int64_t first, end;
};
__device__ Range windows_over(int64_t at, int64_t outputs, int64_t kernel, int64_t stride, int64_t padding,
                              int64_t dilation) {
    if (kernel == 0) return {0, outputs};
    const int64_t last_start = at + padding, first_start = last_start - (kernel - 1) * dilation;
    const int64_t first = first_start <= 0 ? 0 : (first_start + stride - 1) / stride;
    const int64_t end = last_start / stride + 1;
    return {first, end < outputs ? end : outputs};
}

template <class T, class Index>
__global__ void max_pool_gather(const T* upstream, const Index* indices, T* gradient, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.inputs()) return;
    const Window& window = sizes.window;
    const int64_t index = i % (sizes.input.h * sizes.input.w), plane = i / (sizes.input.h * sizes.input.w);
    const Range rows = windows_over(index / sizes.input.w, sizes.output.h, window.kernel.h, window.stride.h,
                                    window.padding.h, window.dilation.h);
    const Range columns = windows_over(index % sizes.input.w, sizes.output.w, window.kernel.w, window.stride.w,
                                       window.padding.w, window.dilation.w);
    T sum = 0;
    for (int64_t oh = rows.first; oh < rows.end; oh++) {
        for (int64_t ow = columns.first; ow < columns.end; ow++) {
            const int64_t output = (plane * sizes.output.h + oh) * sizes.output.w + ow;
            if (indices[output] == index) sum += upstream[output];
        }
    }
    gradient[i] = sum;
}

template <class T>
__global__ void set_to_zero(T* gradient, int64_t count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < count) gradient[i] = T{0};
}

// Several windows may have one maximum: without the atomic, sums would be lost. In which order they arrive is open.
template <class T, class Index>
__global__ void max_pool_atomic(const T* upstream, const Index* indices, T* gradient, Sizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.outputs()) return;
    const int64_t plane = i / (sizes.output.h * sizes.output.w);
    atomicAdd(&gradient[plane * sizes.input.h * sizes.input.w + indices[i]], upstream[i]);
}

// ---------------------------------------------------------------------------------------------------------- launchers

Sizes sizes_of(const NDArray& input, const NDArray& output, const Window& window) {
    return {
        input.shape(0) * input.shape(1), {input.shape(2), input.shape(3)}, {output.shape(2), output.shape(3)}, window};
}

// Calls body(zero of the values' type, zero of the indices' type).
template <class Body>
void dispatch_types(const NDArray& values, const NDArray& indices, const Body& body) {
    dispatch_floating_device(
        values.dtype(), [&](auto zero) { dispatch_index(indices, [&](auto zero_index) { body(zero, zero_index); }); });
}

void launch_naive(const NDArray& input, const Window& window, NDArray& output, NDArray& indices) {
    dispatch_all_device(input.dtype(), [&](auto zero) {
        using T = decltype(zero);
        dispatch_index(indices, [&](auto zero_index) {
            using Index = decltype(zero_index);
            launch(max_pool_naive<T, Index>, blocks_for(output.size(), kThreads), kThreads, 0, input.data<T>(),
                   output.data<T>(), indices.data<Index>(), sizes_of(input, output, window));
        });
    });
}

void launch_float4(const NDArray& input, const Window& window, NDArray& output, NDArray& indices) {
    const Pair two{2, 2};
    const bool is_2x2 = window.kernel == two && window.stride == two && window.padding == Pair{0, 0} &&
                        window.dilation == Pair{1, 1} && 2 * output.shape(2) <= input.shape(2) &&
                        2 * output.shape(3) <= input.shape(3);
    if (!is_2x2 || input.dtype() != DType::float32 || input.shape(3) % 4 != 0 || !is_aligned(input, 16))
        return launch_naive(input, window, output, indices);
    dispatch_index(indices, [&](auto zero_index) {
        using Index = decltype(zero_index);
        launch(max_pool_float4<Index>, blocks_for(output.size() / 2, kThreads), kThreads, 0, input.data<float>(),
               output.data<float>(), indices.data<Index>(), sizes_of(input, output, window));
    });
}

bool launch_gather(const NDArray& upstream, const NDArray& indices, const Window& window, NDArray& gradient) {
    dispatch_types(upstream, indices, [&](auto zero, auto zero_index) {
        using T = decltype(zero);
        using Index = decltype(zero_index);
        launch(max_pool_gather<T, Index>, blocks_for(gradient.size(), kThreads), kThreads, 0, upstream.data<T>(),
               indices.data<Index>(), gradient.data<T>(), sizes_of(gradient, upstream, window));
    });
    return true;
}

bool launch_atomic(const NDArray& upstream, const NDArray& indices, const Window& window, NDArray& gradient) {
    dispatch_types(upstream, indices, [&](auto zero, auto zero_index) {
        using T = decltype(zero);
        using Index = decltype(zero_index);
        launch(set_to_zero<T>, blocks_for(gradient.size(), kThreads), kThreads, 0, gradient.data<T>(), gradient.size());
        launch(max_pool_atomic<T, Index>, blocks_for(upstream.size(), kThreads), kThreads, 0, upstream.data<T>(),
               indices.data<Index>(), gradient.data<T>(), sizes_of(gradient, upstream, window));
    });
    return true;
}

constexpr Rung<MaxPoolKernel> kRungs[] = {
    {"float4",
     "2x2 windows, two apart: a thread reads two float4 and has two outputs; other windows and dtypes: as naive.", 75,
     launch_float4},
    {"naive", "One thread an output walks over its window.", 75, launch_naive},
};

constexpr Rung<MaxPoolBackwardKernel> kBackwardRungs[] = {
    {"gather", "One thread an element of the input adds up the windows whose maximum it was.", 75, launch_gather},
    {"atomic",
     "Every output adds its upstream element at its index; where windows overlap, in an order, and so with bits, that "
     "vary from run to run.",
     75, launch_atomic},
};

}  // namespace

const DeviceLadder max_pool2d_ladder(kMaxPool2dOp, kRungs);
const DeviceLadder max_pool2d_backward_ladder(kMaxPool2dBackwardOp, kBackwardRungs);

}  // namespace mt
