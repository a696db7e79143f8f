// Matrix products on the GPU. The rungs, each with one idea more than the last:
//
//   naive              one thread an output; neighbouring threads go down a column, far apart in memory
//   coalesced          neighbouring threads go along a row, so that a warp reads and writes neighbours
//   tiled              a block copies tiles of both matrices to shared memory, where each number is read 16 times
//   register_blocked   a thread computes 4 x 4 outputs: 8 reads of shared memory serve 16 multiply-adds
//   vectorized         float4: four numbers an instruction from memory and from shared memory; 8 x 8 outputs a thread
//   double_buffered    the next panels are on their way, without passing through registers, while these are multiplied
//   split_k            few outputs, long sums: blocks share a sum, a second kernel adds their parts in order
//   tensor_core_tf32   the tensor cores multiply, in tf32
//   tensor_core_bf16   the same in bfloat16, twice as fast and with 3 bits less
//   by_shape           split_k for small outputs, double_buffered for large ones
//
// a (batch, m, k) or transposed, b (batch, k, n) or transposed, output (batch, m, n), bias (n,) added to each row.
// gemm.h has what is shared with the convolutions.
#include <cuda_pipeline.h>

#include "../ops/matmul.h"
#include "gemm.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

// ---------------------------------------------------------------------------------------------------------- naive

template <class T>
__device__ T dot(const T* a, const T* b, const Product& product, int64_t matrix, int64_t row, int64_t column) {
    T sum = 0;
    for (int64_t k = 0; k < product.inner; k++)
        sum += a[product.a.place(matrix, row, k)] * b[product.b.place(matrix, column, k)];
    return sum;
}

// Thread i takes row i % m: the 32 threads of a warp have 32 rows. They read and write a row's length apart, each in a
// sector (32 bytes) of its own.
template <class T>
__global__ void matmul_naive(const T* a, const T* b, const T* bias, T* output, Product product) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= product.outputs()) return;
    const int64_t row = i % product.rows();
    const int64_t column = i / product.rows() % product.columns();
    const int64_t matrix = i / (product.rows() * product.columns());
    output[product.place(matrix, row, column)] =
        dot(a, b, product, matrix, row, column) + product.bias_of(bias, row, column);
}

// Thread i takes column i % n: a warp's threads share the row of a (one read serves them all), read neighbours of b and
// write neighbours.
template <class T>
__global__ void matmul_coalesced(const T* a, const T* b, const T* bias, T* output, Product product) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= product.outputs()) return;
    const int64_t column = i % product.columns();
    const int64_t row = i / product.columns() % product.rows();
    const int64_t matrix = i / (product.columns() * product.rows());
    output[product.place(matrix, row, column)] =
        dot(a, b, product, matrix, row, column) + product.bias_of(bias, row, column);
}

// ---------------------------------------------------------------------------------------------------------- tiled

constexpr int kTile = 16;

// A block computes 16 x 16 outputs. They need 16 rows of a and 16 columns of b, each number 16 times: the block copies
// 16 x 16 pieces of them to shared memory, every thread one number of each, and reads them there. A sixteenth of the
// reads go to memory.
template <class T>
__global__ void matmul_tiled(const T* a, const T* b, const T* bias, T* output, Product product) {
    __shared__ T a_tile[kTile][kTile];  // [row][k]
    __shared__ T b_tile[kTile][kTile];  // [k][column]
    const Tile tile = tile_of_block(product.rows(), product.columns(), kTile);
    const int tx = threadIdx.x, ty = threadIdx.y;
    const int64_t row = tile.row + ty, column = tile.column + tx;

    T sum = 0;
    for (int64_t k0 = 0; k0 < product.inner; k0 += kTile) {
        const bool has_a = row < product.rows() && k0 + tx < product.inner;
        const bool has_b = column < product.columns() && k0 + ty < product.inner;
        a_tile[ty][tx] = has_a ? a[product.a.place(tile.matrix, row, k0 + tx)] : T{0};
        b_tile[ty][tx] = has_b ? b[product.b.place(tile.matrix, column, k0 + ty)] : T{0};
        __syncthreads();  // all numbers are there
        for (int k = 0; k < kTile; k++) sum += a_tile[ty][k] * b_tile[k][tx];
        __syncthreads();  // all numbers have been read: the next may come
    }
    if (row < product.rows() && column < product.columns())
        output[product.place(tile.matrix, row, column)] = sum + product.bias_of(bias, row, column);
}

// ---------------------------------------------------------------------------------------------------------- panels

// panel[k][line] = element first_k + k of line first_line + line, zero beyond the matrix and from end_k on.
// Neighbouring threads take neighbours in memory, whichever way the matrix lies.
template <class Engine>
__device__ void load_panel(const float* data, const Factor& factor, int64_t matrix, int64_t first_line, int64_t first_k,
                           int64_t end_k, typename Engine::Element (*panel)[Engine::kPitch]) {
    for (int i = threadIdx.x; i < kInner * Engine::kSize; i += Engine::kThreads) {
        const int k = factor.inner_step == 1 ? i % kInner : i / Engine::kSize;
        const int line = factor.inner_step == 1 ? i / kInner : i % Engine::kSize;
        const bool is_inside = first_line + line < factor.lines && first_k + k < end_k;
        const float value = is_inside ? data[factor.place(matrix, first_line + line, first_k + k)] : 0.0f;
        const typename Engine::Element rounded = Engine::round(value);
        panel[k][line] = rounded;
    }
}

// The product of one slice of the sum by an engine of gemm.h: register_blocked, split_k and the tensor cores' rungs.
template <class Engine>
__global__ void matmul_panels(const float* a, const float* b, const float* bias, float* output, Product product,
                              int64_t slice_length) {
    using Element = typename Engine::Element;
    __shared__ __align__(32) Element a_panel[kInner][Engine::kPitch];
    __shared__ __align__(32) Element b_panel[kInner][Engine::kPitch];
    __shared__ __align__(32) typename Engine::Staging staging;
    const Tile tile = tile_of_block(product.rows(), product.columns(), Engine::kSize);
    const int64_t slice = blockIdx.y, first_k = slice * slice_length;
    const int64_t end_k = first_k + slice_length < product.inner ? first_k + slice_length : product.inner;

    Engine sums;
    for (int64_t k0 = first_k; k0 < end_k; k0 += kInner) {
        load_panel<Engine>(a, product.a, tile.matrix, tile.row, k0, end_k, a_panel);
        load_panel<Engine>(b, product.b, tile.matrix, tile.column, k0, end_k, b_panel);
        __syncthreads();
        sums.multiply(a_panel, b_panel);
        __syncthreads();
    }
    float* out = output + slice * product.outputs();
    sums.for_each_output(staging, [&](int i, int j, float sum) {
        const int64_t row = tile.row + i, column = tile.column + j;
        if (row < product.rows() && column < product.columns())
            out[product.place(tile.matrix, row, column)] = sum + product.bias_of(bias, row, column);
    });
}

// ---------------------------------------------------------------------------------------------------------- vectors

constexpr int kWide = 128;             // rows and columns of a block's tile; a thread computes 8 x 8 outputs of it
constexpr int kWidePitch = kWide + 4;  // a multiple of 4: the panel's rows start where a float4 may
using WidePanel = float[kInner][kWidePitch];

// The 64 sums of a thread: rows 4 * ty + i and 64 + 4 * ty + i, columns likewise with tx, so that four neighbours of a
// panel are one float4, and a warp's float4s are neighbours.
class WideTile {
 public:
    __device__ void multiply(const WidePanel& a, const WidePanel& b) {
        for (int k = 0; k < kInner; k++) {
            float left[8], right[8];
            load_eight(&a[k][4 * ty()], left);
            load_eight(&b[k][4 * tx()], right);
            for (int i = 0; i < 8; i++) {
                for (int j = 0; j < 8; j++) sums_[i][j] += left[i] * right[j];
            }
        }
    }

    __device__ void store(const Product& product, const Tile& tile, const float* bias, float* output) const {
        for (int i = 0; i < 8; i++) {
            const int64_t row = tile.row + place_of(i, ty());
            if (row >= product.rows()) continue;
            for (int j = 0; j < 8; j++) {
                const int64_t column = tile.column + place_of(j, tx());
                if (column < product.columns())
                    output[product.place(tile.matrix, row, column)] = sums_[i][j] + product.bias_of(bias, row, column);
            }
        }
    }

 private:
    __device__ static int tx() { return static_cast<int>(threadIdx.x) % 16; }
    __device__ static int ty() { return static_cast<int>(threadIdx.x) / 16; }
    __device__ static int place_of(int i, int t) { return i < 4 ? 4 * t + i : kWide / 2 + 4 * t + i - 4; }

    __device__ static void load_eight(const float* from, float* to) {
        const float4 low = *reinterpret_cast<const float4*>(from);
        const float4 high = *reinterpret_cast<const float4*>(from + kWide / 2);
        to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
        to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
    }

    float sums_[8][8] = {};
};

// Whether a factor can be read by float4: its memory starts at a multiple of 16 bytes, and its lines, whichever way
// they lie, are whole numbers of float4s (and, as matrices are dense, start where one may), so that each is inside or
// outside.
bool has_whole_vectors(const float* data, const Factor& factor, int64_t inner) {
    const int64_t length = factor.inner_step == 1 ? inner : factor.lines;
    return reinterpret_cast<uintptr_t>(data) % sizeof(float4) == 0 && length % 4 == 0;
}

// As load_panel, four numbers at a time. Where the memory runs along the sum, a float4 holds four k of one line, which
// the panel keeps in four rows: the tile is transposed on its way.
__device__ void load_wide_panel(const float* data, const Factor& factor, bool by_vectors, int64_t matrix,
                                int64_t first_line, int64_t first_k, int64_t inner, WidePanel& panel) {
    const bool along_sum = factor.inner_step == 1;
    for (int i = threadIdx.x; i < kInner * kWide / 4; i += kThreads) {
        const int k = along_sum ? i % (kInner / 4) * 4 : i / (kWide / 4);
        const int line = along_sum ? i / (kInner / 4) : i % (kWide / 4) * 4;
        float values[4];
        if (by_vectors) {
            const bool is_inside = first_line + line < factor.lines && first_k + k < inner;
            const int64_t place = factor.place(matrix, first_line + line, first_k + k);
            const float4 four = is_inside ? *reinterpret_cast<const float4*>(data + place) : make_float4(0, 0, 0, 0);
            values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
        } else {
            for (int j = 0; j < 4; j++) {
                const int64_t from_line = first_line + line + (along_sum ? 0 : j),
                              from_k = first_k + k + (along_sum ? j : 0);
                const bool is_inside = from_line < factor.lines && from_k < inner;
                values[j] = is_inside ? data[factor.place(matrix, from_line, from_k)] : 0.0f;
            }
        }
        if (along_sum) {
            for (int j = 0; j < 4; j++) panel[k + j][line] = values[j];
        } else {
            *reinterpret_cast<float4*>(&panel[k][line]) = make_float4(values[0], values[1], values[2], values[3]);
        }
    }
}

__global__ void __launch_bounds__(kThreads)
    matmul_vectorized(const float* a, const float* b, const float* bias, float* output, Product product,
                      bool a_by_vectors, bool b_by_vectors) {
    __shared__ __align__(16) WidePanel a_panel;
    __shared__ __align__(16) WidePanel b_panel;
    const Tile tile = tile_of_block(product.rows(), product.columns(), kWide);
    WideTile sums;
    for (int64_t k0 = 0; k0 < product.inner; k0 += kInner) {
        load_wide_panel(a, product.a, a_by_vectors, tile.matrix, tile.row, k0, product.inner, a_panel);
        load_wide_panel(b, product.b, b_by_vectors, tile.matrix, tile.column, k0, product.inner, b_panel);
        __syncthreads();
        sums.multiply(a_panel, b_panel);
        __syncthreads();
    }
    sums.store(product, tile, bias, output);
}

// ---------------------------------------------------------------------------------------------------------- copies

// Starts the copies of one panel and returns before they arrive: cp.async moves 4 or 16 bytes from memory to shared
// memory without a register. It cannot transpose, so where the memory runs along the sum, numbers travel one by one.
__device__ void start_copy(const float* data, const Factor& factor, bool by_vectors, int64_t matrix, int64_t first_line,
                           int64_t first_k, int64_t inner, WidePanel& panel) {
    const bool along_sum = factor.inner_step == 1;
    if (by_vectors && !along_sum) {
        for (int i = threadIdx.x; i < kInner * kWide / 4; i += kThreads) {
            const int k = i / (kWide / 4), line = i % (kWide / 4) * 4;
            auto* to = reinterpret_cast<float4*>(&panel[k][line]);
            if (first_line + line < factor.lines && first_k + k < inner)
                __pipeline_memcpy_async(to, data + factor.place(matrix, first_line + line, first_k + k),
                                        sizeof(float4));
            else
                *to = make_float4(0, 0, 0, 0);
        }
        return;
    }
    for (int i = threadIdx.x; i < kInner * kWide; i += kThreads) {
        const int k = along_sum ? i % kInner : i / kWide;
        const int line = along_sum ? i / kInner : i % kWide;
        if (first_line + line < factor.lines && first_k + k < inner)
            __pipeline_memcpy_async(&panel[k][line], data + factor.place(matrix, first_line + line, first_k + k),
                                    sizeof(float));
        else
            panel[k][line] = 0.0f;
    }
}

// Two pairs of panels: while one is multiplied, the other fills. A block then waits for memory only before its first
// pair.
__global__ void __launch_bounds__(kThreads)
    matmul_double_buffered(const float* a, const float* b, const float* bias, float* output, Product product,
                           bool a_by_vectors, bool b_by_vectors) {
    __shared__ __align__(16) WidePanel a_panels[2];
    __shared__ __align__(16) WidePanel b_panels[2];
    const Tile tile = tile_of_block(product.rows(), product.columns(), kWide);
    const auto start = [&](int64_t k0, int buffer) {
        start_copy(a, product.a, a_by_vectors, tile.matrix, tile.row, k0, product.inner, a_panels[buffer]);
        start_copy(b, product.b, b_by_vectors, tile.matrix, tile.column, k0, product.inner, b_panels[buffer]);
        __pipeline_commit();
    };

    WideTile sums;
    if (product.inner > 0) start(0, 0);
    int buffer = 0;
    for (int64_t k0 = 0; k0 < product.inner; k0 += kInner) {
        const bool has_next = k0 + kInner < product.inner;
        if (has_next) start(k0 + kInner, 1 - buffer);
        __pipeline_wait_prior(has_next ? 1 : 0);  // all but the newest copies have arrived: this thread's ...
        __syncthreads();                          // ... and everybody's
        sums.multiply(a_panels[buffer], b_panels[buffer]);
        __syncthreads();  // all have read this buffer: the next turn may overwrite it
        buffer = 1 - buffer;
    }
    sums.store(product, tile, bias, output);
}

// ---------------------------------------------------------------------------------------------------------- launchers

Product product_of(const NDArray& a, bool transpose_a, bool transpose_b, const NDArray& output) {
    const int64_t rows = output.shape(1), columns = output.shape(2), inner = a.shape(transpose_a ? 1 : 2);
    Product product{};
    product.batch = output.shape(0);
    product.inner = inner;
    product.a = transpose_a ? Factor{rows, 1, rows, rows * inner} : Factor{rows, inner, 1, rows * inner};
    product.b = transpose_b ? Factor{columns, inner, 1, inner * columns} : Factor{columns, 1, columns, inner * columns};
    product.bias_column_step = 1;
    product.output_step = rows * columns;
    return product;
}

void launch_naive(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias_array,
                  NDArray& output) {
    const Product product = product_of(a, transpose_a, transpose_b, output);
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* bias = bias_values<T>(bias_array);
        launch(matmul_naive<T>, blocks_for(product.outputs(), kThreads), kThreads, 0, a.data<T>(), b.data<T>(), bias,
               output.data<T>(), product);
    });
}

void launch_coalesced(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias_array,
                      NDArray& output) {
    const Product product = product_of(a, transpose_a, transpose_b, output);
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* bias = bias_values<T>(bias_array);
        launch(matmul_coalesced<T>, blocks_for(product.outputs(), kThreads), kThreads, 0, a.data<T>(), b.data<T>(),
               bias, output.data<T>(), product);
    });
}

}  // namespace

template <class T>
void multiply_tiled(const T* a, const T* b, const T* bias, T* output, const Product& product) {
    launch(matmul_tiled<T>, tiles_for(product.batch, product.rows(), product.columns(), kTile), dim3(kTile, kTile), 0,
           a, b, bias, output, product);
}
template void multiply_tiled(const float* a, const float* b, const float* bias, float* output, const Product& product);
template void multiply_tiled(const double* a, const double* b, const double* bias, double* output,
                             const Product& product);

namespace {

void launch_tiled(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias,
                  NDArray& output) {
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        multiply_tiled(a.data<T>(), b.data<T>(), bias_values<T>(bias), output.data<T>(),
                       product_of(a, transpose_a, transpose_b, output));
    });
}

// The sum in one slice. float32 only, as the engine is: float64 goes to `tiled`.
template <class Engine>
void launch_panels(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias_array,
                   NDArray& output) {
    if (output.dtype() == DType::float64) return launch_tiled(a, b, transpose_a, transpose_b, bias_array, output);
    const Product product = product_of(a, transpose_a, transpose_b, output);
    const float* bias = bias_values<float>(bias_array);
    const int64_t slice_length = product.inner;
    launch(matmul_panels<Engine>, tiles_for(product.batch, product.rows(), product.columns(), Engine::kSize),
           Engine::kThreads, 0, a.data<float>(), b.data<float>(), bias, output.data<float>(), product, slice_length);
}

constexpr int64_t kShortestSlice = 64, kWantedBlocks = 256;

void launch_split_k(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias_array,
                    NDArray& output) {
    using Engine = RegisterTile<2>;
    if (output.dtype() == DType::float64) return launch_tiled(a, b, transpose_a, transpose_b, bias_array, output);
    const Product product = product_of(a, transpose_a, transpose_b, output);
    const unsigned int tiles = tiles_for(product.batch, product.rows(), product.columns(), Engine::kSize);
    const Slices slices = slices_for(product.inner, tiles, kShortestSlice, kWantedBlocks);
    if (slices.count == 1) return launch_panels<Engine>(a, b, transpose_a, transpose_b, bias_array, output);

    Scratch<float> partial(slices.count * product.outputs());
    const float* no_bias = nullptr;
    launch(matmul_panels<Engine>, dim3(tiles, static_cast<unsigned int>(slices.count)), Engine::kThreads, 0,
           a.data<float>(), b.data<float>(), no_bias, partial.data(), product, slices.length);
    const float* bias = bias_values<float>(bias_array);
    launch(add_slices<float>, blocks_for(product.outputs(), kThreads), kThreads, 0, partial.data(), bias,
           output.data<float>(), slices.count, product.outputs(), product.columns());
}

template <bool is_double_buffered>
void launch_wide(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias_array,
                 NDArray& output) {
    if (output.dtype() == DType::float64) return launch_tiled(a, b, transpose_a, transpose_b, bias_array, output);
    const Product product = product_of(a, transpose_a, transpose_b, output);
    const unsigned int tiles = tiles_for(product.batch, product.rows(), product.columns(), kWide);
    const float* bias = bias_values<float>(bias_array);
    const bool a_by_vectors = has_whole_vectors(a.data<float>(), product.a, product.inner);
    const bool b_by_vectors = has_whole_vectors(b.data<float>(), product.b, product.inner);
    if constexpr (is_double_buffered)
        launch(matmul_double_buffered, tiles, kThreads, 0, a.data<float>(), b.data<float>(), bias, output.data<float>(),
               product, a_by_vectors, b_by_vectors);
    else
        launch(matmul_vectorized, tiles, kThreads, 0, a.data<float>(), b.data<float>(), bias, output.data<float>(),
               product, a_by_vectors, b_by_vectors);
}

constexpr auto launch_vectorized = launch_wide<false>;
constexpr auto launch_double_buffered = launch_wide<true>;

// Wide tiles where there are enough of them to occupy a GPU, else small ones that share long sums.
void launch_by_shape(const NDArray& a, const NDArray& b, bool transpose_a, bool transpose_b, const NDArray* bias_array,
                     NDArray& output) {
    constexpr unsigned int kEnoughTiles = 64;
    if (tiles_for(output.shape(0), output.shape(1), output.shape(2), kWide) >= kEnoughTiles)
        launch_double_buffered(a, b, transpose_a, transpose_b, bias_array, output);
    else
        launch_split_k(a, b, transpose_a, transpose_b, bias_array, output);
}

constexpr Rung<MatmulKernel> kRungs[] = {
    {"by_shape", "split_k for small outputs, double_buffered for large ones; float64 by tiled.", 75, launch_by_shape},
    {"naive",
     "One thread an output, neighbouring threads down a column: a warp's reads and writes are far apart in memory.", 75,
     launch_naive},
    {"coalesced", "One thread an output, neighbouring threads along a row: a warp reads and writes neighbours.", 75,
     launch_coalesced},
    {"tiled", "A block copies 16 x 16 tiles to shared memory and reads each number there 16 times.", 75, launch_tiled},
    {"register_blocked",
     "A thread computes 4 x 4 outputs: 8 reads of shared memory serve 16 multiply-adds; float64 by tiled.", 75,
     launch_panels<RegisterTile<4>>},
    {"vectorized",
     "float4: four numbers an instruction, from memory and from a transposed tile; 8 x 8 outputs a thread; float64 by "
     "tiled.",
     75, launch_vectorized},
    {"double_buffered",
     "As vectorized; the next tiles are copied (cp.async) while these are multiplied; float64 by tiled.", 75,
     launch_double_buffered},
    {"split_k",
     "Few outputs, long sums: blocks share a sum, a second kernel adds their parts in order; float64 by tiled.", 75,
     launch_split_k},
    {"tensor_core_tf32",
     "Tensor cores: factors rounded to tf32 (an error of up to 2^-11 each), sums in float32; float64 by tiled.", 80,
     launch_panels<TensorTile<Tf32>>},
    {"tensor_core_bf16",
     "Tensor cores: factors rounded to bfloat16 (an error of up to 2^-8 each), sums in float32; float64 by tiled.", 80,
     launch_panels<TensorTile<Bf16>>},
};

}  // namespace

const DeviceLadder matmul_ladder(kMatmulOp, kRungs);

}  // namespace mt
