// Wrong kernels. Each has one line marked FAULT <name>, which the emulator must name.
#include <cuda_pipeline.h>

#include "launch.h"

#define EXPORT extern "C" __attribute__((visibility("default")))
using Arrays = std::vector<mt::NDArray>;
using Numbers = std::vector<double>;

#define RUN(kernel, blocks, threads, shared)                                                               \
    EXPORT void run_##kernel(Arrays& a, const Numbers&) {                                                  \
        launch(kernel, blocks, threads, shared, a[0].data<float>(), a[1].data<float>(), (int)a[0].size()); \
    }

__global__ void past_end(const float* x, float* out, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= size) out[i] = 1;  // FAULT past_end
}
RUN(past_end, 4, 32, 0)

__global__ void before_start(const float* x, float* out, int size) {
    const int i = threadIdx.x;
    if (i < size) out[i] = x[i - 1];  // FAULT before_start
}
RUN(before_start, 1, 32, 0)

__global__ void far_outside(const float* x, float* out, int size) {
    if (threadIdx.x == 5) out[3] = x[40000000];  // FAULT far_outside
}
RUN(far_outside, 1, 32, 0)

__global__ void null_pointer(const float* x, float* out, int size) {
    const float* nothing = size > 0 ? nullptr : x;
    out[threadIdx.x] = nothing[2];  // FAULT null_pointer
}
RUN(null_pointer, 1, 32, 0)

// In a structure, where the launch does not see that it points nowhere.
struct Hidden {
    const float* pointer;
};
__global__ void freed(Hidden gone, float* out) {
    out[threadIdx.x] = gone.pointer[threadIdx.x];  // FAULT freed
}
EXPORT void run_freed(Arrays& a, const Numbers&) {
    const float* gone;
    {
        mt::Scratch<float> scratch(64);
        gone = scratch.data();
    }
    launch(freed, 1, 32, 0, Hidden{gone}, a[1].data<float>());
}

__global__ void fixed_array(const float* x, float* out, int size) {
    __shared__ float tile[4][16];
    tile[threadIdx.x / 16][threadIdx.x % 16] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[1][threadIdx.x];  // FAULT fixed_array
}
RUN(fixed_array, 1, 32, 0)

__global__ void dynamic_end(const float* x, float* out, int size) {
    DYNAMIC_SHARED_MEMORY(float, part);
    part[threadIdx.x + 1] = x[threadIdx.x];  // FAULT dynamic_end
    out[threadIdx.x] = 0;
}
RUN(dynamic_end, 1, 32, 32 * sizeof(float))

__global__ void not_written(const float* x, float* out, int size) {
    if (threadIdx.x != 9) out[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[32 + threadIdx.x] = out[threadIdx.x];  // FAULT not_written
}
RUN(not_written, 1, 32, 0)

__global__ void shared_not_written(const float* x, float* out, int size) {
    __shared__ float tile[32];
    if (threadIdx.x < 20) tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[threadIdx.x];  // FAULT shared_not_written
}
RUN(shared_not_written, 1, 32, 0)

__global__ void dynamic_not_written(const float* x, float* out, int size) {
    DYNAMIC_SHARED_MEMORY(float, part);
    if (threadIdx.x != 7) part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = part[threadIdx.x];  // FAULT dynamic_not_written
}
RUN(dynamic_not_written, 1, 32, 32 * sizeof(float))

__global__ void dynamic_race(const float* x, float* out, int size) {
    DYNAMIC_SHARED_MEMORY(float, part);
    part[threadIdx.x] = 0;
    __syncthreads();
    part[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = part[63 - threadIdx.x];  // FAULT dynamic_race
}
RUN(dynamic_race, 1, 64, 64 * sizeof(float))

__global__ void blocks_read_and_write(const float* x, float* out, int size) {
    if (threadIdx.x == 0 && blockIdx.x == 0) out[5] = x[0];
    if (threadIdx.x == 3 && blockIdx.x == 1) out[1] = out[5];  // FAULT blocks_read_and_write
}
RUN(blocks_read_and_write, 2, 32, 0)

__global__ void missing_barrier(const float* x, float* out, int size) {
    __shared__ float tile[64];
    tile[threadIdx.x] = 0;
    __syncthreads();
    tile[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = tile[63 - threadIdx.x];  // FAULT missing_barrier
}
RUN(missing_barrier, 1, 64, 0)

__global__ void blocks_race(const float* x, float* out, int size) {
    if (threadIdx.x == 0) out[0] += x[blockIdx.x];  // FAULT blocks_race
}
RUN(blocks_race, 2, 32, 0)

__global__ void warp_race(const float* x, float* out, int size) {
    __shared__ float tile[32];
    tile[threadIdx.x] = 0;
    __syncthreads();
    tile[threadIdx.x] = x[threadIdx.x];
    out[threadIdx.x] = tile[threadIdx.x ^ 1];  // FAULT warp_race
}
RUN(warp_race, 1, 32, 0)

// The last block reads what the others wrote, but no fence stands between their write and their atomic.
__global__ void no_fence(const float* x, float* out, int size) {
    if (threadIdx.x > 0) return;
    out[1 + blockIdx.x] = x[blockIdx.x];
    if (atomicAdd(&out[0], 1.0f) < gridDim.x - 1) return;
    for (int i = 0; i < gridDim.x; i++) out[32 + i] = out[1 + i];  // FAULT no_fence
}
RUN(no_fence, 4, 32, 0)

__global__ void read_beside_atomic(const float* x, float* out, int size) {
    atomicAdd(&out[0], x[threadIdx.x]);
    if (threadIdx.x == 3) out[1] = out[0];  // FAULT read_beside_atomic
}
RUN(read_beside_atomic, 1, 32, 0)

__global__ void atomic_beside_write(const float* x, float* out, int size) {
    if (threadIdx.x == 0)
        out[0] = x[0];
    else
        atomicAdd(&out[0], x[threadIdx.x]);  // FAULT atomic_beside_write
}
RUN(atomic_beside_write, 1, 32, 0)

__global__ void early_exit(const float* x, float* out, int size) {
    if (threadIdx.x >= 40) return;
    out[threadIdx.x] = x[threadIdx.x];
    __syncthreads();  // FAULT early_exit
}
RUN(early_exit, 1, 64, 0)

__global__ void divergent(const float* x, float* out, int size) {
    if (threadIdx.x < 8) {
        __syncthreads();
    } else {
        __syncthreads();  // FAULT divergent
    }
    out[threadIdx.x] = x[threadIdx.x];
}
RUN(divergent, 1, 32, 0)

__global__ void wrong_mask(const float* x, float* out, int size) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_xor_sync(0xffff0000u, x[threadIdx.x], 1);  // FAULT wrong_mask
}
RUN(wrong_mask, 1, 32, 0)

__global__ void shuffle_from_nobody(const float* x, float* out, int size) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, x[threadIdx.x], 20);  // FAULT shuffle_from_nobody
}
RUN(shuffle_from_nobody, 1, 32, 0)

__global__ void half_a_vote(const float* x, float* out, int size) {
    if (threadIdx.x < 16) {
        out[threadIdx.x] = __any_sync(0xffffffffu, x[threadIdx.x] > 0);  // FAULT half_a_vote
    } else {
        __syncwarp();
    }
}
RUN(half_a_vote, 1, 32, 0)

__global__ void endless(const float* x, float* out, int size) {
    for (int i = 0; i < size; i += 0) out[threadIdx.x] = x[i];  // FAULT endless
}
RUN(endless, 1, 32, 0)

__global__ void misaligned(const float* x, float* out, int size) {
    const float4 four = *reinterpret_cast<const float4*>(x + 1);  // FAULT misaligned
    out[threadIdx.x] = four.x;
}
RUN(misaligned, 1, 1, 0)

__global__ void divides(const float* x, float* out, int size) {
    out[threadIdx.x] = x[0] + 7 / (size - 64);  // FAULT divides
}
RUN(divides, 1, 32, 0)

__device__ float sum_to(const float* x, int n) {
    float keep[8] = {x[0]};
    return n == 0 ? keep[0] : keep[n % 8] + sum_to(x, n - 1);  // FAULT recursion
}
__global__ void recursion(const float* x, float* out, int size) { out[0] = sum_to(x, 1000000 + size); }
RUN(recursion, 1, 1, 0)

__global__ void no_wait(const float* x, float* out, int size) {
    __shared__ float tile[32];
    __pipeline_memcpy_async(&tile[threadIdx.x], &x[threadIdx.x], 4);
    __pipeline_commit();
    out[threadIdx.x] = tile[threadIdx.x];  // FAULT no_wait
}
RUN(no_wait, 1, 32, 0)

__global__ void nothing(const float* x, float* out, int size) {}
RUN(nothing, 1, 1025, 0)
EXPORT void run_too_many_blocks(Arrays& a, const Numbers&) {
    launch(nothing, mt::blocks_for(int64_t{1} << 40, 32), 32, 0, a[0].data<float>(), a[1].data<float>(), 64);
}

__global__ void right(const float* x, float* out, int size) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) out[i] = 2 * x[i];
}
RUN(right, 4, 32, 0)

// `spins` waits for a flag that nobody sets: in the fast build only Ctrl-C ends it.
__global__ void spins(const float* x, float* out, int size) {
    while (atomicAdd(&out[0], 0.0f) == 0.0f) __nanosleep(100);
}
RUN(spins, 1, 32, 0)
