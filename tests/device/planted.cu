// Kernels with one bug each, for compute-sanitizer: its silence about our kernels counts where it reports these
// (scripts/gpu.py sanitizer). A program of their own, in plain CUDA, so that nothing of ours has to work.
//
//     nvcc -o planted planted.cu && compute-sanitizer --tool racecheck ./planted race
#include <cstdio>
#include <cstring>

constexpr int kThreads = 64;  // two warps

// racecheck: a thread reads what one of the other warp writes, and no barrier stands between.
__global__ void planted_race(int* output) {
    __shared__ int values[kThreads];
    values[threadIdx.x] = threadIdx.x;
    output[threadIdx.x] = values[kThreads - 1 - threadIdx.x];
}

// memcheck: the last thread writes one element behind the array.
__global__ void planted_outside(int* output) { output[threadIdx.x + 1] = threadIdx.x; }

// initcheck: nobody has written to the second half of the array.
__global__ void planted_unwritten(const int* input, int* output) { output[threadIdx.x] = input[threadIdx.x]; }

// synccheck: half of the threads never come to the barrier.
__global__ void planted_barrier(int* output) {
    if (threadIdx.x % 2 == 0) __syncthreads();
    output[threadIdx.x] = threadIdx.x;
}

int main(int count, char** arguments) {
    const char* bug = count == 2 ? arguments[1] : "";
    int *input = nullptr, *output = nullptr;
    cudaMalloc(&input, kThreads * sizeof(int));
    cudaMalloc(&output, kThreads * sizeof(int));
    cudaMemset(input, 0, kThreads / 2 * sizeof(int));
    if (!std::strcmp(bug, "race")) {
        planted_race<<<1, kThreads>>>(output);
    } else if (!std::strcmp(bug, "outside")) {
        planted_outside<<<1, kThreads>>>(output);
    } else if (!std::strcmp(bug, "unwritten")) {
        planted_unwritten<<<1, kThreads>>>(input, output);
    } else if (!std::strcmp(bug, "barrier")) {
        planted_barrier<<<1, kThreads>>>(output);
    } else {
        std::printf("there is no such bug: %s\n", bug);
        return 2;
    }
    const cudaError_t error = cudaDeviceSynchronize();  // a tool may end the kernel
    std::printf("%s: %s\n", bug, cudaGetErrorString(error));
    return 0;
}
