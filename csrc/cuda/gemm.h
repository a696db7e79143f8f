// What the kernels of matmul.cu and conv2d*.cu share: how a product lies in memory, and how a block multiplies two
// panels.
//
// All tiled products go the same way. A block computes one tile of the output. For every piece of the sum (kInner long)
// it copies the two panels it needs into shared memory, a[k][row] and b[k][column], waits for all its threads, and adds
// the panels' product to the sums that its threads keep in registers. How the panels are multiplied is an engine's
// business:
//
//   RegisterTile   a thread owns N x N outputs: 2 N reads of shared memory serve N * N multiply-adds
//   TensorTile     a warp owns 32 x 32 outputs and hands 16 x 16 pieces to the tensor cores
#pragma once

#include <cuda_bf16.h>
#include <mma.h>

#include "launch.h"

namespace mt {

constexpr int kInner = 16;  // length of one piece of the sum

// ---------------------------------------------------------------------------------------------------------- in memory

// One factor of a product: `lines` (rows of a, columns of b) of as many elements as the sum is long. Element k of line
// i is at data[i * line_step + k * inner_step]: transposing a matrix exchanges the two steps, nothing moves.
struct Factor {
    int64_t lines, line_step, inner_step;
    int64_t matrix_step;  // from one matrix of the batch to the next

    __device__ int64_t place(int64_t matrix, int64_t line, int64_t k) const {
        return matrix * matrix_step + line * line_step + k * inner_step;
    }
};

// output[matrix][row][column] = bias + the sum over k of a(row, k) * b(column, k).
struct Product {
    int64_t batch, inner;
    Factor a, b;
    int64_t bias_row_step, bias_column_step;  // bias[row * bias_row_step + column * bias_column_step]
    int64_t output_step;                      // from one matrix of the output to the next

    __host__ __device__ int64_t rows() const { return a.lines; }
    __host__ __device__ int64_t columns() const { return b.lines; }
    __host__ __device__ int64_t outputs() const { return batch * rows() * columns(); }
    __device__ int64_t place(int64_t matrix, int64_t row, int64_t column) const {
        return matrix * output_step + row * columns() + column;
    }
    template <class T>
    __device__ T bias_of(const T* bias, int64_t row, int64_t column) const {
        return bias != nullptr ? bias[row * bias_row_step + column * bias_column_step] : T{0};
    }
};

// What kernels take for a bias that may be null.
template <class T>
const T* bias_values(const NDArray* bias) {
    return bias != nullptr ? bias->data<T>() : nullptr;
}

// The product by the `tiled` rung of matmul.cu, for the convolutions. T: float or double; bias may be null.
template <class T>
void multiply_tiled(const T* a, const T* b, const T* bias, T* output, const Product& product);

// ---------------------------------------------------------------------------------------------------------- tiles

// A block's tile: its matrix and its first row and column.
struct Tile {
    int64_t matrix, row, column;
};

// How many blocks cover `batch` outputs of rows x columns with square tiles. The grid has one dimension, since CUDA
// limits the other two to 65535 blocks.
inline unsigned int tiles_for(int64_t batch, int64_t rows, int64_t columns, int size) {
    return grid_of(batch * blocks_for(rows, size) * blocks_for(columns, size));
}

__device__ inline Tile tile_of_block(int64_t rows, int64_t columns, int size) {
    const int64_t down = (rows + size - 1) / size, across = (columns + size - 1) / size;
    const int64_t block = blockIdx.x;
    return {block / (down * across), block / across % down * size, block % across * size};
}

// ---------------------------------------------------------------------------------------------------------- slices

// Where the output has few tiles and the sum is long, most of the GPU would idle: the sum is cut into slices,
// blockIdx.y says which, and add_slices() adds their results. The cut depends on the shape alone and the slices are
// added in order, so the bits are the same on every GPU and in every run.
struct Slices {
    int64_t count, length;  // length: a multiple of kInner
};

// At least `shortest` long, and no more than it takes for about `wanted_blocks` blocks.
inline Slices slices_for(int64_t inner, int64_t tiles, int64_t shortest, int64_t wanted_blocks) {
    const int64_t most = wanted_blocks / (tiles > 0 ? tiles : 1);
    const int64_t possible = (inner + shortest - 1) / shortest;
    const int64_t count = most < 1 || possible < 1 ? 1 : (possible < most ? possible : most);
    const int64_t length = static_cast<int64_t>(blocks_for((inner + count - 1) / count, kInner)) * kInner;
    if (length == 0) return {1, kInner};
    return {(inner + length - 1) / length, length};
}

// partial (slices, count) -> output (count,): one thread an element adds its slices in order, then bias[i %
// bias_count]. bias may be null.
template <class T>
__global__ void add_slices(const T* partial, const T* bias, T* output, int64_t slices, int64_t count,
                           int64_t bias_count) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= count) return;
    T sum = 0;
    for (int64_t slice = 0; slice < slices; slice++) sum += partial[slice * count + i];
    output[i] = bias != nullptr ? sum + bias[i % bias_count] : sum;
}

// ---------------------------------------------------------------------------------------------------------- engines

// Each thread of 16 x 16 owns N x N outputs, 16 apart, so that a warp's reads of a panel are neighbours or the same
// word.
template <int N>
class RegisterTile {
 public:
    using Element = float;
    static constexpr int kThreads = 256;
    static constexpr int kSize = 16 * N;  // rows and columns of a block's tile
    static constexpr int kPitch =
        kSize + 1;  // of a panel's row; odd, so that also a panel's columns lie in different banks

    struct Staging {};  // the shared memory that outputs pass through: none

    __device__ static float round(float value) { return value; }

    __device__ void multiply(const float (*a)[kPitch], const float (*b)[kPitch]) {
        for (int k = 0; k < kInner; k++) {
            float left[N], right[N];
            for (int i = 0; i < N; i++) left[i] = a[k][row() + 16 * i];
            for (int j = 0; j < N; j++) right[j] = b[k][column() + 16 * j];
            for (int i = 0; i < N; i++) {
                for (int j = 0; j < N; j++) sums_[i][j] += left[i] * right[j];
            }
        }
    }

    // Calls body(row, column, sum) for the outputs of the calling thread, counted from the tile's corner.
    template <class Body>
    __device__ void for_each_output(Staging&, const Body& body) const {
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) body(row() + 16 * i, column() + 16 * j, sums_[i][j]);
        }
    }

 private:
    __device__ static int row() { return static_cast<int>(threadIdx.x) / 16; }
    __device__ static int column() { return static_cast<int>(threadIdx.x) % 16; }

    float sums_[N][N] = {};
};

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800  // the host's half of the code, and that of GPUs from 8.0 on

// What the tensor cores multiply: float32 rounded to 10 bits behind the point (of 23), or to 7. They add in float32.
struct Tf32 {
    using Element = float;
    using Fragment = nvcuda::wmma::precision::tf32;
    static constexpr int kDepth = 8;  // of one instruction's sum
    __device__ static float round(float value) {
        using namespace nvcuda::wmma;
        return __float_to_tf32(value);
    }
};
struct Bf16 {
    using Element = __nv_bfloat16;
    using Fragment = __nv_bfloat16;
    static constexpr int kDepth = 16;
    __device__ static __nv_bfloat16 round(float value) { return __float2bfloat16(value); }
};

// Four warps of 2 x 2 fragments each. A fragment is a 16 x 16 piece of a matrix spread over the registers of a warp;
// which thread holds which element is the hardware's secret, so sums leave through shared memory.
template <class Precision>
class TensorTile {
 public:
    using Element = typename Precision::Element;
    static constexpr int kThreads = 128;
    static constexpr int kSize = 64;
    static constexpr int kPitch = kSize + 8;  // a fragment's rows must start at multiples of 16 bytes, fragments at 32
    struct Staging {
        float piece[kThreads / 32][16][16];  // of each warp
    };

    __device__ TensorTile() {
        for (auto& row : sums_) {
            for (auto& sum : row) nvcuda::wmma::fill_fragment(sum, 0.0f);
        }
    }

    __device__ static Element round(float value) { return Precision::round(value); }

    __device__ void multiply(const Element (*a)[kPitch], const Element (*b)[kPitch]) {
        using namespace nvcuda::wmma;
        constexpr int depth = Precision::kDepth;
        for (int k = 0; k < kInner; k += depth) {
            fragment<matrix_a, 16, 16, depth, typename Precision::Fragment, col_major> left[2];
            fragment<matrix_b, 16, 16, depth, typename Precision::Fragment, row_major> right[2];
            for (int i = 0; i < 2; i++) load_matrix_sync(left[i], &a[k][first_row() + 16 * i], kPitch);
            for (int j = 0; j < 2; j++) load_matrix_sync(right[j], &b[k][first_column() + 16 * j], kPitch);
            for (int i = 0; i < 2; i++) {
                for (int j = 0; j < 2; j++) mma_sync(sums_[i][j], left[i], right[j], sums_[i][j]);
            }
        }
    }

    // As RegisterTile's. All threads of a warp must call it.
    template <class Body>
    __device__ void for_each_output(Staging& staging, const Body& body) const {
        const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
        auto& piece = staging.piece[warp];
        for (int i = 0; i < 2; i++) {
            for (int j = 0; j < 2; j++) {
                nvcuda::wmma::store_matrix_sync(&piece[0][0], sums_[i][j], 16, nvcuda::wmma::mem_row_major);
                __syncwarp();
                for (int e = lane; e < 16 * 16; e += 32)
                    body(first_row() + 16 * i + e / 16, first_column() + 16 * j + e % 16, piece[e / 16][e % 16]);
                __syncwarp();
            }
        }
    }

 private:
    __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 32 / 2 * 32; }
    __device__ static int first_column() { return static_cast<int>(threadIdx.x) / 32 % 2 * 32; }

    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, Precision::kDepth, float> sums_[2][2];
};

#else  // an older GPU

// Its tensor cores know neither tf32 nor bfloat16. What stands here only lets the rungs compile: the backend does not
// launch them there (DeviceRow::oldest_gpu), and if somebody does, the launch fails.
struct Tf32 {
    using Element = float;
};
struct Bf16 {
    using Element = __nv_bfloat16;
};

template <class Precision>
class TensorTile {
 public:
    using Element = typename Precision::Element;
    static constexpr int kThreads = 128, kSize = 64, kPitch = kSize + 8;
    struct Staging {};

    __device__ TensorTile() { __trap(); }
    __device__ static Element round(float) { return Element{}; }
    __device__ void multiply(const Element (*)[kPitch], const Element (*)[kPitch]) {}
    template <class Body>
    __device__ void for_each_output(Staging&, const Body&) const {}
};

#endif

}  // namespace mt
