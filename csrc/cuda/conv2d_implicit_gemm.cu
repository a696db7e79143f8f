// Convolution as a matrix product whose matrices are never written: a block gathers the elements of its panels from the
// image where they stand. Two rungs share the code: implicit_gemm multiplies in registers, tensor_core by the tensor
// cores.
//
// float32 only: float64 goes to `direct`.
#include "conv2d.h"
#include "gemm.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block of add_slices

// ---------------------------------------------------------------------------------------------------------- roles

// The three products, for each group. Their columns and sums run over three coordinates:
//
//   product       row               column             summed                  left               right
//   Forward       output channel    pixel (n, y, x)    tap (c, r, s)           weight             input
//   InputGrad     input channel     pixel (n, h, w)    tap (o, r, s)           weight             upstream
//   WeightGrad    output channel    tap (c, r, s)      pixel (n, y, x)         upstream           input
struct Forward {
    static constexpr bool kSumsPixels = false;
    __host__ __device__ static int64_t rows(const ConvSizes& sizes) { return sizes.group_out; }
    __host__ __device__ static int64_t columns(const ConvSizes& sizes) { return sizes.batch * sizes.output.size(); }
    __host__ __device__ static int64_t inner(const ConvSizes& sizes) { return int64_t{sizes.group_in} * sizes.taps(); }
    __device__ static Extent column_extent(const ConvSizes& sizes) { return sizes.output; }
    __device__ static Extent inner_extent(const ConvSizes& sizes) { return sizes.kernel; }

    __device__ static float left(const float* weight, const ConvSizes& sizes, int64_t group, int64_t row, Triple tap) {
        return weight[sizes.weight_place(group * sizes.group_out + row, tap.first, tap.second, tap.third)];
    }
    __device__ static float right(const float* input, const ConvSizes& sizes, int64_t group, Triple tap, Triple pixel) {
        int h, w;
        if (!sizes.input_pixel(pixel.second, pixel.third, tap.second, tap.third, h, w)) return 0.0f;
        return input[sizes.input_place(pixel.first, group * sizes.group_in + tap.first, h, w)];
    }
    __device__ static int64_t place(const ConvSizes& sizes, int64_t group, int64_t row, Triple pixel) {
        return sizes.output_place(pixel.first, group * sizes.group_out + row, pixel.second, pixel.third);
    }
};

struct InputGrad {
    static constexpr bool kSumsPixels = false;
    __host__ __device__ static int64_t rows(const ConvSizes& sizes) { return sizes.group_in; }
    __host__ __device__ static int64_t columns(const ConvSizes& sizes) { return sizes.batch * sizes.input.size(); }
    __host__ __device__ static int64_t inner(const ConvSizes& sizes) { return int64_t{sizes.group_out} * sizes.taps(); }
    __device__ static Extent column_extent(const ConvSizes& sizes) { return sizes.input; }
    __device__ static Extent inner_extent(const ConvSizes& sizes) { return sizes.kernel; }

    __device__ static float left(const float* weight, const ConvSizes& sizes, int64_t group, int64_t row, Triple tap) {
        return weight[sizes.weight_place(group * sizes.group_out + tap.first, row, tap.second, tap.third)];
    }
    __device__ static float right(const float* upstream, const ConvSizes& sizes, int64_t group, Triple tap,
                                  Triple pixel) {
        int y, x;
        if (!sizes.output_pixel(pixel.second, pixel.third, tap.second, tap.third, y, x)) return 0.0f;
        return upstream[sizes.output_place(pixel.first, group * sizes.group_out + tap.first, y, x)];
    }
    __device__ static int64_t place(const ConvSizes& sizes, int64_t group, int64_t row, Triple pixel) {
        return sizes.input_place(pixel.first, group * sizes.group_in + row, pixel.second, pixel.third);
    }
};

struct WeightGrad {
    static constexpr bool kSumsPixels = true;
    __host__ __device__ static int64_t rows(const ConvSizes& sizes) { return sizes.group_out; }
    __host__ __device__ static int64_t columns(const ConvSizes& sizes) {
        return int64_t{sizes.group_in} * sizes.taps();
    }
    __host__ __device__ static int64_t inner(const ConvSizes& sizes) { return sizes.batch * sizes.output.size(); }
    __device__ static Extent column_extent(const ConvSizes& sizes) { return sizes.kernel; }
    __device__ static Extent inner_extent(const ConvSizes& sizes) { return sizes.output; }

    __device__ static float left(const float* upstream, const ConvSizes& sizes, int64_t group, int64_t row,
                                 Triple pixel) {
        return upstream[sizes.output_place(pixel.first, group * sizes.group_out + row, pixel.second, pixel.third)];
    }
    __device__ static float right(const float* input, const ConvSizes& sizes, int64_t group, Triple pixel, Triple tap) {
        return Forward::right(input, sizes, group, tap, pixel);
    }
    __device__ static int64_t place(const ConvSizes& sizes, int64_t group, int64_t row, Triple tap) {
        return sizes.weight_place(group * sizes.group_out + row, tap.first, tap.second, tap.third);
    }
};

// ---------------------------------------------------------------------------------------------------------- kernel

// One tile of one slice of the product. Engines are in gemm.h. bias, one number a channel, is null except for Forward.
template <class Role, class Engine>
__global__ void convolve_tiles(const float* left, const float* right, const float* bias, float* result, ConvSizes sizes,
                               int64_t slice_length, int64_t result_size) {
    using Element = typename Engine::Element;
    __shared__ __align__(32) Element left_panel[kInner][Engine::kPitch];
    __shared__ __align__(32) Element right_panel[kInner][Engine::kPitch];
    __shared__ __align__(32) typename Engine::Staging staging;
    const int64_t rows = Role::rows(sizes), columns = Role::columns(sizes);
    const Tile tile = tile_of_block(rows, columns, Engine::kSize);
    const int64_t group = tile.matrix, slice = blockIdx.y, first_k = slice * slice_length;
    const int64_t end_k = first_k + slice_length < Role::inner(sizes) ? first_k + slice_length : Role::inner(sizes);
    const auto split_inner = [&](int64_t k) {
        return split(k, Role::inner_extent(sizes).h, Role::inner_extent(sizes).w);
    };
    const auto split_column = [&](int64_t column) {
        return split(column, Role::column_extent(sizes).h, Role::column_extent(sizes).w);
    };
    // Each thread always gathers for the same k and steps through the lines, or for the same column and steps through
    // k: what is the same is taken apart once. Neighbouring threads take what is neighbours in memory.
    constexpr int line_step = Engine::kThreads / kInner, k_step = Engine::kThreads / Engine::kSize;
    const int own_k = threadIdx.x % kInner, first_line = threadIdx.x / kInner;
    const int own_line = threadIdx.x % Engine::kSize, first_own_k = threadIdx.x / Engine::kSize;
    const int64_t own_column = tile.column + own_line;
    const Triple own_pixel = split_column(own_column);

    Engine sums;
    for (int64_t k0 = first_k; k0 < end_k; k0 += kInner) {
        const Triple inner = split_inner(k0 + own_k);
        const bool has_inner = k0 + own_k < end_k;
        for (int line = first_line; line < Engine::kSize; line += line_step) {
            const int64_t row = tile.row + line;
            left_panel[own_k][line] =
                Engine::round(has_inner && row < rows ? Role::left(left, sizes, group, row, inner) : 0.0f);
        }
        if constexpr (Role::kSumsPixels) {
            for (int line = first_line; line < Engine::kSize; line += line_step) {
                const int64_t column = tile.column + line;
                const bool is_inside = has_inner && column < columns;
                right_panel[own_k][line] =
                    Engine::round(is_inside ? Role::right(right, sizes, group, inner, split_column(column)) : 0.0f);
            }
        } else {
            for (int k = first_own_k; k < kInner; k += k_step) {
                const bool is_inside = k0 + k < end_k && own_column < columns;
                right_panel[k][own_line] =
                    Engine::round(is_inside ? Role::right(right, sizes, group, split_inner(k0 + k), own_pixel) : 0.0f);
            }
        }
        __syncthreads();
        sums.multiply(left_panel, right_panel);
        __syncthreads();
    }
    float* out = result + slice * result_size;
    sums.for_each_output(staging, [&](int i, int j, float sum) {
        const int64_t row = tile.row + i, column = tile.column + j;
        if (row >= rows || column >= columns) return;
        out[Role::place(sizes, group, row, split_column(column))] =
            bias != nullptr ? sum + bias[group * rows + row] : sum;
    });
}

// ---------------------------------------------------------------------------------------------------------- launchers

template <class Role, class Engine>
unsigned int tiles_of(const ConvSizes& sizes) {
    return tiles_for(sizes.groups, Role::rows(sizes), Role::columns(sizes), Engine::kSize);
}

template <class Engine>
void forward(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight, const NDArray* bias_array,
             NDArray& output) {
    if (output.dtype() == DType::float64) return conv2d_direct(geometry, input, weight, bias_array, output);
    const ConvSizes sizes = sizes_of(geometry);
    const float* bias = bias_values<float>(bias_array);
    launch((convolve_tiles<Forward, Engine>), (tiles_of<Forward, Engine>(sizes)), Engine::kThreads, 0,
           weight.data<float>(), input.data<float>(), bias, output.data<float>(), sizes, Forward::inner(sizes),
           output.size());
}

template <class Engine>
void input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight, NDArray& input_grad) {
    if (input_grad.dtype() == DType::float64) return conv2d_direct_input_grad(geometry, upstream, weight, input_grad);
    const ConvSizes sizes = sizes_of(geometry);
    const float* no_bias = nullptr;
    launch((convolve_tiles<InputGrad, Engine>), (tiles_of<InputGrad, Engine>(sizes)), Engine::kThreads, 0,
           weight.data<float>(), upstream.data<float>(), no_bias, input_grad.data<float>(), sizes,
           InputGrad::inner(sizes), input_grad.size());
}

// The weight is small and the sum, over all pixels of the batch, long: slices.
template <class Engine>
void weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input, NDArray& weight_grad) {
    if (weight_grad.dtype() == DType::float64) return conv2d_direct_weight_grad(geometry, upstream, input, weight_grad);
    constexpr int64_t kShortestSlice = 256, kWantedBlocks = 512;
    const ConvSizes sizes = sizes_of(geometry);
    const unsigned int tiles = tiles_of<WeightGrad, Engine>(sizes);
    const Slices slices = slices_for(WeightGrad::inner(sizes), tiles, kShortestSlice, kWantedBlocks);
    Scratch<float> partial(slices.count * weight_grad.size());
    const float* no_bias = nullptr;
    launch((convolve_tiles<WeightGrad, Engine>), dim3(tiles, static_cast<unsigned int>(slices.count)), Engine::kThreads,
           0, upstream.data<float>(), input.data<float>(), no_bias, partial.data(), sizes, slices.length,
           weight_grad.size());
    launch(add_slices<float>, blocks_for(weight_grad.size(), kThreads), kThreads, 0, partial.data(), no_bias,
           weight_grad.data<float>(), slices.count, weight_grad.size(), weight_grad.size());
}

using Registers = RegisterTile<4>;
using TensorCores = TensorTile<Tf32>;

}  // namespace

void conv2d_implicit_gemm(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                          const NDArray* bias, NDArray& output) {
    forward<Registers>(geometry, input, weight, bias, output);
}
void conv2d_implicit_gemm_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                                     NDArray& input_grad_array) {
    input_grad<Registers>(geometry, upstream, weight, input_grad_array);
}
void conv2d_implicit_gemm_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                                      NDArray& weight_grad_array) {
    weight_grad<Registers>(geometry, upstream, input, weight_grad_array);
}

void conv2d_tensor_core(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                        const NDArray* bias, NDArray& output) {
    forward<TensorCores>(geometry, input, weight, bias, output);
}
void conv2d_tensor_core_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                                   NDArray& input_grad_array) {
    input_grad<TensorCores>(geometry, upstream, weight, input_grad_array);
}
void conv2d_tensor_core_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                                    NDArray& weight_grad_array) {
    weight_grad<TensorCores>(geometry, upstream, input, weight_grad_array);
}

}  // namespace mt
