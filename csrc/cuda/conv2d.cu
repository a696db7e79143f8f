// 2-D convolution and its gradients on the GPU. The rungs, all for any stride, padding, dilation and groups:
//
//   naive           one thread a number of the result: the definition
//   im2col_gemm     the windows copied out as columns, then the tiled matrix product: each number travels kh * kw times
//   implicit_gemm   the same product, its tiles gathered from the image: no columns in memory (conv2d_implicit_gemm.cu)
//   tensor_core     as implicit_gemm, multiplied by the tensor cores in tf32 (conv2d_implicit_gemm.cu)
//   direct          few channels: weights in shared memory, a thread takes 8 channels (conv2d_direct.cu)
//   by_shape        direct for few channels, implicit_gemm for many
//
// input (N, C, H, W), weight (O, C / groups, kh, kw), bias (O,) or null, output and upstream (N, O, H', W').
#include "conv2d.h"
#include "gemm.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- naive

// Thread i computes number i of the output.
template <class T>
__global__ void forward_naive(const T* input, const T* weight, const T* bias, T* output, ConvSizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.output_size()) return;
    const Triple at = split(i, sizes.output.h, sizes.output.w);  // image and channel together, y, x
    const int64_t n = at.first / sizes.out_channels(), o = at.first % sizes.out_channels();
    const int64_t first_channel = o / sizes.group_out * sizes.group_in;  // of the input channels that o's group sees

    T sum = bias != nullptr ? bias[o] : T{0};
    for (int c = 0; c < sizes.group_in; c++) {
        for (int r = 0; r < sizes.kernel.h; r++) {
            for (int s = 0; s < sizes.kernel.w; s++) {
                int h, w;
                if (sizes.input_pixel(at.second, at.third, r, s, h, w))
                    sum +=
                        weight[sizes.weight_place(o, c, r, s)] * input[sizes.input_place(n, first_channel + c, h, w)];
            }
        }
    }
    output[i] = sum;
}

// Thread i computes number i of the input's gradient: it collects from the outputs that its pixel went into.
template <class T>
__global__ void input_grad_naive(const T* upstream, const T* weight, T* input_grad, ConvSizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.input_size()) return;
    const Triple at = split(i, sizes.input.h, sizes.input.w);  // image and channel together, h, w
    const int64_t n = at.first / sizes.in_channels(), channel = at.first % sizes.in_channels();
    const int64_t c = channel % sizes.group_in, first_output = channel / sizes.group_in * sizes.group_out;

    T sum = 0;
    for (int64_t o = first_output; o < first_output + sizes.group_out; o++) {
        for (int r = 0; r < sizes.kernel.h; r++) {
            for (int s = 0; s < sizes.kernel.w; s++) {
                int y, x;
                if (sizes.output_pixel(at.second, at.third, r, s, y, x))
                    sum += weight[sizes.weight_place(o, c, r, s)] * upstream[sizes.output_place(n, o, y, x)];
            }
        }
    }
    input_grad[i] = sum;
}

// Thread i computes number i of the weight's gradient: few threads, each with a sum over all pixels of the batch.
template <class T>
__global__ void weight_grad_naive(const T* upstream, const T* input, T* weight_grad, ConvSizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.weight_size()) return;
    const Triple at = split(i, sizes.kernel.h, sizes.kernel.w);  // output and input channel together, r, s
    const int64_t o = at.first / sizes.group_in, c = at.first % sizes.group_in;
    const int64_t channel = o / sizes.group_out * sizes.group_in + c;

    T sum = 0;
    for (int n = 0; n < sizes.batch; n++) {
        for (int y = 0; y < sizes.output.h; y++) {
            for (int x = 0; x < sizes.output.w; x++) {
                int h, w;
                if (sizes.input_pixel(y, x, at.second, at.third, h, w))
                    sum += upstream[sizes.output_place(n, o, y, x)] * input[sizes.input_place(n, channel, h, w)];
            }
        }
    }
    weight_grad[i] = sum;
}

// ---------------------------------------------------------------------------------------------------------- columns

// columns (N, C, kh, kw, H', W'): thread i copies number i from under its tap, or writes the padding's zero.
template <class T>
__global__ void copy_to_columns(const T* input, T* columns, ConvSizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    const Triple at = split(i, sizes.output.h, sizes.output.w);          // image, channel and tap together, y, x
    const Triple tap = split(at.first, sizes.kernel.h, sizes.kernel.w);  // image and channel together, r, s
    if (tap.first >= int64_t{sizes.batch} * sizes.in_channels()) return;
    int h, w;
    const bool is_inside = sizes.input_pixel(at.second, at.third, tap.second, tap.third, h, w);
    columns[i] = is_inside ? input[tap.first * sizes.input.size() + int64_t{h} * sizes.input.w + w] : T{0};
}

// Thread i collects pixel i of the input's gradient from its places in the columns.
template <class T>
__global__ void collect_from_columns(const T* columns, T* input_grad, ConvSizes sizes) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= sizes.input_size()) return;
    const Triple at = split(i, sizes.input.h, sizes.input.w);  // image and channel together, h, w
    T sum = 0;
    for (int r = 0; r < sizes.kernel.h; r++) {
        for (int s = 0; s < sizes.kernel.w; s++) {
            int y, x;
            if (!sizes.output_pixel(at.second, at.third, r, s, y, x)) continue;
            const int64_t row = at.first * sizes.taps() + r * sizes.kernel.w + s;
            sum += columns[row * sizes.output.size() + int64_t{y} * sizes.output.w + x];
        }
    }
    input_grad[i] = sum;
}

// ---------------------------------------------------------------------------------------------------------- launchers

}  // namespace

void conv2d_naive(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                  const NDArray* bias_array, NDArray& output) {
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* bias = bias_values<T>(bias_array);
        launch(forward_naive<T>, blocks_for(output.size(), kThreads), kThreads, 0, input.data<T>(), weight.data<T>(),
               bias, output.data<T>(), sizes_of(geometry));
    });
}

void conv2d_naive_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                             NDArray& input_grad) {
    dispatch_floating_device(input_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(input_grad_naive<T>, blocks_for(input_grad.size(), kThreads), kThreads, 0, upstream.data<T>(),
               weight.data<T>(), input_grad.data<T>(), sizes_of(geometry));
    });
}

void conv2d_naive_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                              NDArray& weight_grad) {
    dispatch_floating_device(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        launch(weight_grad_naive<T>, blocks_for(weight_grad.size(), kThreads), kThreads, 0, upstream.data<T>(),
               input.data<T>(), weight_grad.data<T>(), sizes_of(geometry));
    });
}

namespace {

// The columns of a batch: for each image and group a matrix of `rows` x `pixels`.
struct Columns {
    int64_t groups, rows, pixels;
    int64_t out_channels, group_out;

    explicit Columns(const Conv2dGeometry& geometry)
        : groups(geometry.groups),
          rows(geometry.taps()),
          pixels(geometry.output_pixels()),
          out_channels(geometry.out_channels),
          group_out(geometry.group_out()) {}

    int64_t image_size() const { return groups * rows * pixels; }
};

// Group by group, the images as a batch: output = weight . columns.
void im2col_gemm(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias_array,
                 NDArray& output) {
    const Columns shape(geometry);
    const int64_t columns_size = geometry.batch * shape.image_size();
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        Scratch<T> columns(columns_size);
        launch(copy_to_columns<T>, blocks_for(columns_size, kThreads), kThreads, 0, input.data<T>(), columns.data(),
               sizes_of(geometry));
        for (int64_t group = 0; group < shape.groups; group++) {
            const int64_t first_channel = group * shape.group_out;
            Product product{};
            product.batch = geometry.batch;
            product.inner = shape.rows;
            product.a = {shape.group_out, shape.rows, 1, 0};  // the weight is the same for all images
            product.b = {shape.pixels, 1, shape.pixels, shape.image_size()};
            product.bias_row_step = 1;
            product.output_step = shape.out_channels * shape.pixels;
            multiply_tiled(weight.data<T>() + first_channel * shape.rows,
                           columns.data() + group * shape.rows * shape.pixels,
                           bias_array != nullptr ? bias_array->data<T>() + first_channel : nullptr,
                           output.data<T>() + first_channel * shape.pixels, product);
        }
    });
}

// columns = weight^T . upstream, and every pixel collects its sum.
void im2col_gemm_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                            NDArray& input_grad) {
    const Columns shape(geometry);
    dispatch_floating_device(input_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        Scratch<T> columns(geometry.batch * shape.image_size());
        for (int64_t group = 0; group < shape.groups; group++) {
            const int64_t first_channel = group * shape.group_out;
            Product product{};
            product.batch = geometry.batch;
            product.inner = shape.group_out;
            product.a = {shape.rows, 1, shape.rows, 0};
            product.b = {shape.pixels, 1, shape.pixels, shape.out_channels * shape.pixels};
            product.output_step = shape.image_size();
            const T* no_bias = nullptr;
            multiply_tiled(weight.data<T>() + first_channel * shape.rows,
                           upstream.data<T>() + first_channel * shape.pixels, no_bias,
                           columns.data() + group * shape.rows * shape.pixels, product);
        }
        launch(collect_from_columns<T>, blocks_for(input_grad.size(), kThreads), kThreads, 0, columns.data(),
               input_grad.data<T>(), sizes_of(geometry));
    });
}

// One product upstream . columns^T an image; then the images are added in order.
void im2col_gemm_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                             NDArray& weight_grad) {
    const Columns shape(geometry);
    const int64_t columns_size = geometry.batch * shape.image_size();
    dispatch_floating_device(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        Scratch<T> columns(columns_size);
        Scratch<T> image_grads(geometry.batch * weight_grad.size());
        launch(copy_to_columns<T>, blocks_for(columns_size, kThreads), kThreads, 0, input.data<T>(), columns.data(),
               sizes_of(geometry));
        const T* no_bias = nullptr;
        for (int64_t group = 0; group < shape.groups; group++) {
            const int64_t first_channel = group * shape.group_out;
            Product product{};
            product.batch = geometry.batch;
            product.inner = shape.pixels;
            product.a = {shape.group_out, shape.pixels, 1, shape.out_channels * shape.pixels};
            product.b = {shape.rows, shape.pixels, 1, shape.image_size()};
            product.output_step = weight_grad.size();
            multiply_tiled(upstream.data<T>() + first_channel * shape.pixels,
                           columns.data() + group * shape.rows * shape.pixels, no_bias,
                           image_grads.data() + first_channel * shape.rows, product);
        }
        launch(add_slices<T>, blocks_for(weight_grad.size(), kThreads), kThreads, 0, image_grads.data(), no_bias,
               weight_grad.data<T>(), geometry.batch, weight_grad.size(), weight_grad.size());
    });
}

// A tile of implicit_gemm has 64 channels; with fewer, most of it would be empty.
bool has_many_channels(const Conv2dGeometry& geometry) {
    return geometry.group_in() >= 64 && geometry.group_out() >= 64;
}

void by_shape(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias,
              NDArray& output) {
    (has_many_channels(geometry) ? conv2d_implicit_gemm : conv2d_direct)(geometry, input, weight, bias, output);
}
void by_shape_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                         NDArray& input_grad) {
    (has_many_channels(geometry) ? conv2d_implicit_gemm_input_grad : conv2d_direct_input_grad)(geometry, upstream,
                                                                                               weight, input_grad);
}
void by_shape_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                          NDArray& weight_grad) {
    (has_many_channels(geometry) ? conv2d_implicit_gemm_weight_grad : conv2d_direct_weight_grad)(geometry, upstream,
                                                                                                 input, weight_grad);
}

constexpr Conv2dKernels kByShape{by_shape, by_shape_input_grad, by_shape_weight_grad};
constexpr Conv2dKernels kNaive{conv2d_naive, conv2d_naive_input_grad, conv2d_naive_weight_grad};
constexpr Conv2dKernels kIm2colGemm{im2col_gemm, im2col_gemm_input_grad, im2col_gemm_weight_grad};
constexpr Conv2dKernels kImplicitGemm{conv2d_implicit_gemm, conv2d_implicit_gemm_input_grad,
                                      conv2d_implicit_gemm_weight_grad};
constexpr Conv2dKernels kDirect{conv2d_direct, conv2d_direct_input_grad, conv2d_direct_weight_grad};
constexpr Conv2dKernels kTensorCore{conv2d_tensor_core, conv2d_tensor_core_input_grad, conv2d_tensor_core_weight_grad};

constexpr Rung<Conv2dKernels> kRungs[] = {
    {"by_shape", "direct for few channels, implicit_gemm for 64 and more.", 75, &kByShape},
    {"naive", "One thread a number of the result: the definition.", 75, &kNaive},
    {"im2col_gemm", "The windows of the whole batch copied out as columns, then the tiled matrix product.", 75,
     &kIm2colGemm},
    {"implicit_gemm",
     "The same product, its tiles gathered from the image into shared memory: no columns; float64 by direct.", 75,
     &kImplicitGemm},
    {"direct",
     "Weights in shared memory, 8 channels a thread; the weight's gradient by warps, slice by slice of the batch; "
     "kernels of more than 512 elements by naive.",
     75, &kDirect},
    {"tensor_core",
     "implicit_gemm on tensor cores: factors rounded to tf32 (an error of up to 2^-11 each), sums in float32; float64 "
     "by direct.",
     80, &kTensorCore},
};

}  // namespace

const DeviceLadder conv2d_ladder(kConv2dOp, kRungs);

}  // namespace mt
