// What kernels may use, one kernel a feature; test_simt.py runs them on the emulator and compares with numpy. They are
// right: the watch must be silent.
#include <cooperative_groups.h>
#include <cuda_bf16.h>
#include <cuda_pipeline.h>
#include <mma.h>

#include "launch.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
using Arrays = std::vector<mt::NDArray>;
using Numbers = std::vector<double>;
namespace cg = cooperative_groups;

// ---------------------------------------------------------------------------------------------------------- barriers

// out[block] = sum of the block's part of x: a tree in static shared memory.
__global__ void block_sums(const float* x, float* out, int count) {
    __shared__ float partial[128];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    partial[threadIdx.x] = i < count ? x[i] : 0.0f;
    __syncthreads();
    for (int width = blockDim.x / 2; width > 0; width /= 2) {
        if (threadIdx.x < width) partial[threadIdx.x] += partial[threadIdx.x + width];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = partial[0];
}
EXPORT void run_block_sums(Arrays& a, const Numbers&) {
    launch(block_sums, mt::blocks_for(a[0].size(), 128), 128, 0, a[0].data<float>(), a[1].data<float>(),
           static_cast<int>(a[0].size()));
}

// out = (how many, whether all, whether any) x of the block are positive.
__global__ void votes_of_block(const int* x, int* out) {
    const int is_positive = x[threadIdx.x] > 0;
    const int count = __syncthreads_count(is_positive);
    const int all = __syncthreads_and(is_positive);
    const int any = __syncthreads_or(is_positive);
    if (threadIdx.x == 7) {
        out[0] = count;
        out[1] = all;
        out[2] = any;
    }
}
EXPORT void run_votes_of_block(Arrays& a, const Numbers&) {
    launch(votes_of_block, 1, static_cast<unsigned>(a[0].size()), 0, a[0].data<int>(), a[1].data<int>());
}

// Reverses each block's part of x (2-D blocks of 5 x 7), by dynamic shared memory.
__global__ void reverse(const double* x, double* out) {
    DYNAMIC_SHARED_MEMORY(double, part);
    const int size = blockDim.x * blockDim.y;
    const int me = threadIdx.y * blockDim.x + threadIdx.x;
    const int first = (blockIdx.y * gridDim.x + blockIdx.x) * size;
    part[me] = x[first + me];
    __syncthreads();
    out[first + me] = part[size - 1 - me];
}
EXPORT void run_reverse(Arrays& a, const Numbers&) {
    launch(reverse, dim3(2, 3), dim3(5, 7), 35 * sizeof(double), a[0].data<double>(), a[1].data<double>());
}

// ---------------------------------------------------------------------------------------------------------- warps

// out[w] = sum of the w-th 32 elements, by shuffles; the block's last warp is not full.
__global__ void warp_sums(const float* x, float* out) {
    const unsigned int lanes = __ballot_sync(0xffffffffu, true);
    float sum = x[threadIdx.x];
    for (int distance = 16; distance > 0; distance /= 2) {
        const int lane = threadIdx.x % 32;
        const bool has_other = lane + distance < 32 && (lanes >> (lane + distance) & 1);
        const float other = __shfl_sync(lanes, sum, has_other ? lane + distance : lane);
        if (has_other) sum += other;
    }
    if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = sum;
}
EXPORT void run_warp_sums(Arrays& a, const Numbers&) {
    launch(warp_sums, 1, static_cast<unsigned>(a[0].size()), 0, a[0].data<float>(), a[1].data<float>());
}

// out[kind][lane]: what each shuffle gives, in groups of `width`.
__global__ void shuffles(const int* x, int* out, int width) {
    const int lane = threadIdx.x;
    out[lane] = __shfl_sync(0xffffffffu, x[lane], 3, width);
    out[32 + lane] = __shfl_up_sync(0xffffffffu, x[lane], 2, width);
    out[64 + lane] = __shfl_down_sync(0xffffffffu, x[lane], 5, width);
    out[96 + lane] = __shfl_xor_sync(0xffffffffu, x[lane], 1, width);
}
EXPORT void run_shuffles(Arrays& a, const Numbers& n) {
    launch(shuffles, 1, 32, 0, a[0].data<int>(), a[1].data<int>(), static_cast<int>(n[0]));
}

// The halves of a warp go different ways and sum up apart, then together; long long goes whole.
__global__ void half_warps(const int64_t* x, int64_t* out) {
    const int lane = threadIdx.x;
    int64_t sum = x[lane];
    if (lane < 16) {
        for (int mask = 8; mask > 0; mask /= 2) sum += __shfl_xor_sync(0x0000ffffu, sum, mask);
    } else {
        for (int mask = 8; mask > 0; mask /= 2) sum += __shfl_xor_sync(0xffff0000u, sum, mask);
        sum = -sum;
    }
    out[lane] = sum;
    out[32 + lane] = sum + __shfl_xor_sync(0xffffffffu, sum, 16);
}
EXPORT void run_half_warps(Arrays& a, const Numbers&) {
    launch(half_warps, 1, 32, 0, a[0].data<int64_t>(), a[1].data<int64_t>());
}

// out = the lanes with x > 0; whether any; whether all. Of the even lanes alone.
__global__ void warp_votes(const int* x, int* out) {
    const int lane = threadIdx.x;
    if (lane % 2 == 1) return;
    const unsigned int even = 0x55555555u;
    const unsigned int ballot = __ballot_sync(even, x[lane] > 0);
    const int any = __any_sync(even, x[lane] > 0);
    const int all = __all_sync(even, x[lane] > 0);
    if (lane == 4) {
        out[0] = static_cast<int>(ballot);
        out[1] = any;
        out[2] = all;
        out[3] = __popc(ballot);
    }
}
EXPORT void run_warp_votes(Arrays& a, const Numbers&) {
    launch(warp_votes, 1, 32, 0, a[0].data<int>(), a[1].data<int>());
}

// Neighbours exchange values by shared memory: __syncwarp orders the accesses.
__global__ void exchange(const int* x, int* out) {
    __shared__ int values[64];
    values[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    out[threadIdx.x] = values[threadIdx.x ^ 1];
}
EXPORT void run_exchange(Arrays& a, const Numbers&) { launch(exchange, 1, 64, 0, a[0].data<int>(), a[1].data<int>()); }

// ---------------------------------------------------------------------------------------------------------- atomics

// counts[v] = how often v occurs in x; counts[8]: the largest; counts[9]: the smallest.
__global__ void histogram(const int* x, int* counts, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    atomicAdd(&counts[x[i]], 1);
    atomicMax(&counts[8], x[i]);
    atomicMin(&counts[9], x[i]);
}
EXPORT void run_histogram(Arrays& a, const Numbers&) {
    launch(histogram, mt::blocks_for(a[0].size(), 96), 96, 0, a[0].data<int>(), a[1].data<int>(),
           static_cast<int>(a[0].size()));
}

__global__ void atomic_sums(const float* x, float* sum, const double* y, double* sum_y) {
    atomicAdd(sum, x[threadIdx.x]);
    atomicAdd(sum_y, y[threadIdx.x]);
}
EXPORT void run_atomic_sums(Arrays& a, const Numbers&) {
    launch(atomic_sums, 1, static_cast<unsigned>(a[0].size()), 0, a[0].data<float>(), a[1].data<float>(),
           a[2].data<double>(), a[3].data<double>());
}

// A lock that the threads of one warp fight for: atomicCAS that fails lets others run.
__global__ void locked_count(int* lock, int* count) {
    while (atomicCAS(lock, 0, 1) != 0) {
    }
    atomicAdd(count, 1);
    atomicExch(lock, 0);
}
EXPORT void run_locked_count(Arrays& a, const Numbers&) {
    launch(locked_count, 3, 64, 0, a[0].data<int>(), a[1].data<int>());
}

// out = sum of x: every block hands its part over, and the last one to come adds them up. counter: 0 before.
__global__ void last_block_sum(const float* x, float* parts, int* counter, float* out) {
    __shared__ bool is_last;
    if (threadIdx.x == 0) {
        float sum = 0;
        for (int i = 0; i < 32; i++) sum += x[blockIdx.x * 32 + i];
        parts[blockIdx.x] = sum;
        __threadfence();
        is_last = atomicAdd(counter, 1) == static_cast<int>(gridDim.x) - 1;
    }
    __syncthreads();
    if (!is_last || threadIdx.x > 0) return;
    float total = 0;
    for (int i = 0; i < gridDim.x; i++) total += parts[i];
    out[0] = total;
}
EXPORT void run_last_block_sum(Arrays& a, const Numbers&) {
    mt::Scratch<float> parts(a[0].size() / 32);
    launch(last_block_sum, mt::blocks_for(a[0].size(), 32), 32, 0, a[0].data<float>(), parts.data(), a[1].data<int>(),
           a[2].data<float>());
}

// ---------------------------------------------------------------------------------------------------------- vectors

// out = 2 * x, four floats at a time.
__global__ void twice(const float* x, float* out) {
    const int i = threadIdx.x;
    const float4 v = reinterpret_cast<const float4*>(x)[i];
    reinterpret_cast<float4*>(out)[i] = make_float4(2 * v.x, 2 * v.y, 2 * v.z, 2 * v.w);
}
EXPORT void run_twice(Arrays& a, const Numbers&) {
    launch(twice, 1, static_cast<unsigned>(a[0].size() / 4), 0, a[0].data<float>(), a[1].data<float>());
}

// ---------------------------------------------------------------------------------------------------------- grids

// rounds times: x[i] = x[i - 1] + x[i + 1] around a ring, all at once: two buffers and a barrier of the grid.
__global__ void ring(float* x, float* y, int size, int rounds) {
    const cg::grid_group grid = cg::this_grid();
    __shared__ float mine[32];
    const int i = static_cast<int>(grid.thread_rank());
    for (int round = 0; round < rounds; round++) {
        if (i < size) mine[threadIdx.x] = x[(i + size - 1) % size] + x[(i + 1) % size];
        grid.sync();
        if (i < size) y[i] = mine[threadIdx.x];
        grid.sync();
        float* other = x;
        x = y;
        y = other;
    }
}
EXPORT void run_ring(Arrays& a, const Numbers& n) {
    launch_cooperative(ring, mt::blocks_for(a[0].size(), 32), 32, 0, a[0].data<float>(), a[1].data<float>(),
                       static_cast<int>(a[0].size()), static_cast<int>(n[0]));
}

// out[t] = sum over the tile of 8 threads that t belongs to.
__global__ void tile_sums(const int* x, int* out) {
    const auto tile = cg::tiled_partition<8>(cg::this_thread_block());
    int sum = x[threadIdx.x];
    for (int distance = 4; distance > 0; distance /= 2) sum += tile.shfl_down(sum, distance);
    const int whole = tile.shfl(sum, 0);
    cg::this_thread_block().sync();
    out[threadIdx.x] = whole;
}
EXPORT void run_tile_sums(Arrays& a, const Numbers&) {
    launch(tile_sums, 1, static_cast<unsigned>(a[0].size()), 0, a[0].data<int>(), a[1].data<int>());
}

// ---------------------------------------------------------------------------------------------------------- cp.async

// out = x + 1 in pieces of 32, the next piece on its way while the current one is worked on.
__global__ void pipelined(const float* x, float* out, int pieces) {
    __shared__ float buffer[2][32];
    const int t = threadIdx.x;
    __pipeline_memcpy_async(&buffer[0][t], &x[t], 4);
    __pipeline_commit();
    for (int i = 0; i < pieces; i++) {
        if (i + 1 < pieces) {
            __pipeline_memcpy_async(&buffer[(i + 1) % 2][t], &x[(i + 1) * 32 + t], 4);
            __pipeline_commit();
            __pipeline_wait_prior(1);
        } else {
            __pipeline_wait_prior(0);
        }
        __syncthreads();
        out[i * 32 + t] = buffer[i % 2][31 - t] + 1;
        __syncthreads();
    }
}
EXPORT void run_pipelined(Arrays& a, const Numbers&) {
    launch(pipelined, 1, 32, 0, a[0].data<float>(), a[1].data<float>(), static_cast<int>(a[0].size() / 32));
}

// ---------------------------------------------------------------------------------------------------------- tensor
// cores

// c (16 x 16) = a (16 x 24) * b (24 x 16), b given transposed (column-major).
__global__ void tensor_tf32(const float* a, const float* b, float* c) {
    using namespace nvcuda::wmma;
    fragment<accumulator, 16, 16, 8, float> sum;
    fill_fragment(sum, 0.0f);
    for (int k = 0; k < 24; k += 8) {
        fragment<matrix_a, 16, 16, 8, precision::tf32, row_major> left;
        fragment<matrix_b, 16, 16, 8, precision::tf32, col_major> right;
        load_matrix_sync(left, a + k, 24);
        load_matrix_sync(right, b + k, 24);
        for (int i = 0; i < left.num_elements; i++) left.x[i] = __float_to_tf32(left.x[i]);
        for (int i = 0; i < right.num_elements; i++) right.x[i] = __float_to_tf32(right.x[i]);
        mma_sync(sum, left, right, sum);
    }
    store_matrix_sync(c, sum, 16, mem_row_major);
}
EXPORT void run_tensor_tf32(Arrays& a, const Numbers&) {
    launch(tensor_tf32, 1, 32, 0, a[0].data<float>(), a[1].data<float>(), a[2].data<float>());
}

// c (16 x 16, stored column-major) = a (16 x 32) * b (32 x 16), rounded to bfloat16 in shared memory.
__global__ void tensor_bf16(const float* a, const float* b, float* c) {
    using namespace nvcuda::wmma;
    __shared__ __nv_bfloat16 left_tile[16 * 32];
    __shared__ __nv_bfloat16 right_tile[32 * 16];
    for (int i = threadIdx.x; i < 16 * 32; i += 32) {
        left_tile[i] = __float2bfloat16(a[i]);
        right_tile[i] = __float2bfloat16(b[i]);
    }
    __syncthreads();
    fragment<accumulator, 16, 16, 16, float> sum;
    fill_fragment(sum, 0.0f);
    for (int k = 0; k < 32; k += 16) {
        fragment<matrix_a, 16, 16, 16, __nv_bfloat16, row_major> left;
        fragment<matrix_b, 16, 16, 16, __nv_bfloat16, row_major> right;
        load_matrix_sync(left, left_tile + k, 32);
        load_matrix_sync(right, right_tile + k * 16, 16);
        mma_sync(sum, left, right, sum);
    }
    store_matrix_sync(c, sum, 16, mem_col_major);
}
EXPORT void run_tensor_bf16(Arrays& a, const Numbers&) {
    launch(tensor_bf16, 1, 32, 0, a[0].data<float>(), a[1].data<float>(), a[2].data<float>());
}

// ---------------------------------------------------------------------------------------------------------- shared
// traffic

// A 32 x 32 tile, transposed; the tile's rows are `32 + Padding` words long.
template <int Padding>
__global__ void transpose(const float* x, float* out) {
    __shared__ float tile[32][32 + Padding];
    const int column = threadIdx.x;
    for (int row = threadIdx.y; row < 32; row += blockDim.y) tile[row][column] = x[row * 32 + column];
    __syncthreads();
    for (int row = threadIdx.y; row < 32; row += blockDim.y) out[row * 32 + column] = tile[column][row];  // COLUMN
}
EXPORT void run_transpose(Arrays& a, const Numbers& n) {
    if (n[0] == 0)
        launch(transpose<0>, 1, dim3(32, 4), 0, a[0].data<float>(), a[1].data<float>());
    else
        launch(transpose<1>, 1, dim3(32, 4), 0, a[0].data<float>(), a[1].data<float>());
}
