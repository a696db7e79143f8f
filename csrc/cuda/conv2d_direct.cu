// Convolution without columns, for few channels: a thread takes one pixel and several channels of the result, so that
// every number of the image that it reads serves all of them; the weights lie in shared memory, where a warp's threads
// read the same word at once.
//
// float32 and float64.
#include "conv2d.h"
#include "gemm.h"

namespace mt {
namespace {

constexpr int kThreads = 128;                          // a block
constexpr int kChannels = 8;                           // of the result, a thread
constexpr int kSharedWeights = 4096;                   // numbers of the weight that a block holds at a time
constexpr int kMostTaps = kSharedWeights / kChannels;  // larger kernels go to `naive`

// ---------------------------------------------------------------------------------------------------------- pixels

// Forward and input gradient are one sum: every element of the result, `target`, sums weights times elements of
// `source` over the source's channels of its group and over the taps. They differ in which pixel lies under a tap.
struct Forward {
    __device__ static Extent source(const ConvSizes& sizes) { return sizes.input; }
    __host__ __device__ static Extent target(const ConvSizes& sizes) { return sizes.output; }
    __device__ static int source_channels(const ConvSizes& sizes) { return sizes.group_in; }
    __host__ __device__ static int target_channels(const ConvSizes& sizes) { return sizes.group_out; }
    __device__ static bool under_tap(const ConvSizes& sizes, int y, int x, int r, int s, int& h, int& w) {
        return sizes.input_pixel(y, x, r, s, h, w);
    }
    // of tap (r, s) = (0, 0)
    __device__ static int64_t weight_place(const ConvSizes& sizes, int group, int target, int source) {
        return sizes.weight_place(group * sizes.group_out + target, source, 0, 0);
    }
};
struct InputGrad {
    __device__ static Extent source(const ConvSizes& sizes) { return sizes.output; }
    __host__ __device__ static Extent target(const ConvSizes& sizes) { return sizes.input; }
    __device__ static int source_channels(const ConvSizes& sizes) { return sizes.group_out; }
    __host__ __device__ static int target_channels(const ConvSizes& sizes) { return sizes.group_in; }
    __device__ static bool under_tap(const ConvSizes& sizes, int h, int w, int r, int s, int& y, int& x) {
        return sizes.output_pixel(h, w, r, s, y, x);
    }
    __device__ static int64_t weight_place(const ConvSizes& sizes, int group, int target, int source) {
        return sizes.weight_place(group * sizes.group_out + source, target, 0, 0);
    }
};

// A block takes kThreads pixels of the batch and a share (kChannels channels) of a group; blocks of one share follow
// each other. The source's channels come in chunks whose weights fit shared memory.
template <class Role, class T>
__global__ void convolve_pixels(const T* source, const T* weight, const T* bias, T* target, ConvSizes sizes, int shares,
                                int chunk) {
    DYNAMIC_SHARED_MEMORY(T, weights);  // [source channel of the chunk][tap][channel of the share]
    const int group_channels = Role::target_channels(sizes), source_channels = Role::source_channels(sizes);
    const Extent plane = Role::target(sizes), source_plane = Role::source(sizes);
    const int64_t blocks = (sizes.batch * plane.size() + kThreads - 1) / kThreads;  // of a share
    const auto share = static_cast<int>(blockIdx.x / blocks);
    const int group = share / shares, first_channel = share % shares * kChannels;
    const int64_t pixel = blockIdx.x % blocks * kThreads + threadIdx.x;
    const Triple at = split(pixel, plane.h, plane.w);  // n, y, x of the target
    const bool is_inside = at.first < sizes.batch;

    T sums[kChannels] = {};
    for (int chunk_begin = 0; chunk_begin < source_channels; chunk_begin += chunk) {
        const int chunk_end = min(chunk_begin + chunk, source_channels);
        __syncthreads();  // the last chunk's weights have been read
        for (int i = threadIdx.x; i < (chunk_end - chunk_begin) * sizes.taps() * kChannels; i += kThreads) {
            const int channel = first_channel + i % kChannels;
            const int tap = i / kChannels % sizes.taps(), c = chunk_begin + i / kChannels / sizes.taps();
            weights[i] = channel < group_channels ? weight[Role::weight_place(sizes, group, channel, c) + tap] : T{0};
        }
        __syncthreads();
        if (!is_inside) continue;  // but it comes to the barriers

        for (int r = 0; r < sizes.kernel.h; r++) {
            for (int s = 0; s < sizes.kernel.w; s++) {
                int h, w;
                if (!Role::under_tap(sizes, at.second, at.third, r, s, h, w)) continue;
                const T* tap_weights = weights + (r * sizes.kernel.w + s) * kChannels;
                const int64_t first = at.first * sizes.groups * source_channels + group * source_channels;
                const T* value = source + (first + chunk_begin) * source_plane.size() + int64_t{h} * source_plane.w + w;
                for (int c = chunk_begin; c < chunk_end; c++) {
                    const T factor = *value;
                    for (int j = 0; j < kChannels; j++) sums[j] += factor * tap_weights[j];
                    value += source_plane.size();
                    tap_weights += sizes.taps() * kChannels;
                }
            }
        }
    }
    if (!is_inside) return;

    for (int j = 0; j < kChannels; j++) {
        if (first_channel + j >= group_channels) break;
        const int64_t channel = int64_t{group} * group_channels + first_channel + j;
        const int64_t image_and_channel = at.first * sizes.groups * group_channels + channel;
        target[image_and_channel * plane.size() + int64_t{at.second} * plane.w + at.third] =
            bias != nullptr ? sums[j] + bias[channel] : sums[j];
    }
}

// How many channels of `taps` <= kMostTaps weights each a block holds at a time.
int chunk_of(int channels, int taps) {
    const int fitting = kSharedWeights / (taps * kChannels);
    return fitting < channels ? fitting : channels;
}

// ---------------------------------------------------------------------------------------------------------- weights

constexpr int kWarp = 32, kWarpsInBlock = kThreads / kWarp;
constexpr int kMaxSlices = 64;

// One warp sums one tap (c, r, s) of kChannels output channels over a slice of the batch: images slice, slice + slices,
// ... Its threads take neighbouring pixels, so that reads of both arrays are neighbours; each has its own sums, which
// meet by shuffles at the end, always in the same order. partial (slices, out_channels, group_in, kernel.h, kernel.w).
// Warp i of blockIdx.y = slice: the tap varies fastest, then the group's share of kChannels channels.
template <class T>
__global__ void sum_weight_slices(const T* upstream, const T* input, T* partial, ConvSizes sizes, int shares,
                                  int slices) {
    const int64_t warp = int64_t{blockIdx.x} * kWarpsInBlock + threadIdx.x / kWarp;
    const int lane = threadIdx.x % kWarp, slice = blockIdx.y;
    const int64_t taps = int64_t{sizes.group_in} * sizes.taps();
    if (warp >= taps * sizes.groups * shares) return;                       // the whole warp
    const Triple tap = split(warp % taps, sizes.kernel.h, sizes.kernel.w);  // c, r, s
    const auto share = static_cast<int>(warp / taps);
    const int group = share / shares, first_channel = share % shares * kChannels;
    const int channels = min(kChannels, sizes.group_out - first_channel);
    const int64_t plane = sizes.output.size();

    T sums[kChannels] = {};
    for (int64_t n = slice; n < sizes.batch; n += slices) {
        const T* image = input + sizes.input_place(n, group * sizes.group_in + tap.first, 0, 0);
        const T* gradients = upstream + sizes.output_place(n, group * sizes.group_out + first_channel, 0, 0);
        int y = lane / sizes.output.w, x = lane % sizes.output.w;
        for (int64_t pixel = lane; pixel < plane; pixel += kWarp) {
            int h, w;
            if (sizes.input_pixel(y, x, tap.second, tap.third, h, w)) {
                const T factor = image[int64_t{h} * sizes.input.w + w];
                for (int j = 0; j < kChannels; j++) {
                    if (j < channels) sums[j] += factor * gradients[j * plane + pixel];
                }
            }
            x += kWarp;  // the pixel 32 further: no division
            while (x >= sizes.output.w) {
                x -= sizes.output.w;
                y++;
            }
        }
    }
    for (int j = 0; j < kChannels; j++) {
        for (int distance = kWarp / 2; distance > 0; distance /= 2)
            sums[j] += __shfl_xor_sync(0xffffffffu, sums[j], distance);
        if (lane == 0 && j < channels) {
            const int o = group * sizes.group_out + first_channel + j;
            partial[slice * sizes.weight_size() + sizes.weight_place(o, tap.first, tap.second, tap.third)] = sums[j];
        }
    }
}

// ---------------------------------------------------------------------------------------------------------- launchers

template <class Role>
unsigned int blocks_of(const ConvSizes& sizes, int shares) {
    return grid_of(int64_t{sizes.groups} * shares * blocks_for(sizes.batch * Role::target(sizes).size(), kThreads));
}

}  // namespace

void conv2d_direct(const Conv2dGeometry& geometry, const NDArray& input, const NDArray& weight,
                   const NDArray* bias_array, NDArray& output) {
    const ConvSizes sizes = sizes_of(geometry);
    if (sizes.taps() > kMostTaps) return conv2d_naive(geometry, input, weight, bias_array, output);
    const int shares = static_cast<int>(blocks_for(sizes.group_out, kChannels));
    const int chunk = chunk_of(sizes.group_in, sizes.taps());
    dispatch_floating_device(output.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* bias = bias_values<T>(bias_array);
        launch((convolve_pixels<Forward, T>), blocks_of<Forward>(sizes, shares), kThreads,
               sizeof(T) * chunk * sizes.taps() * kChannels, input.data<T>(), weight.data<T>(), bias, output.data<T>(),
               sizes, shares, chunk);
    });
}

void conv2d_direct_input_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& weight,
                              NDArray& input_grad) {
    const ConvSizes sizes = sizes_of(geometry);
    if (sizes.taps() > kMostTaps) return conv2d_naive_input_grad(geometry, upstream, weight, input_grad);
    const int shares = static_cast<int>(blocks_for(sizes.group_in, kChannels));
    const int chunk = chunk_of(sizes.group_out, sizes.taps());
    dispatch_floating_device(input_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        const T* no_bias = nullptr;
        launch((convolve_pixels<InputGrad, T>), blocks_of<InputGrad>(sizes, shares), kThreads,
               sizeof(T) * chunk * sizes.taps() * kChannels, upstream.data<T>(), weight.data<T>(), no_bias,
               input_grad.data<T>(), sizes, shares, chunk);
    });
}

void conv2d_direct_weight_grad(const Conv2dGeometry& geometry, const NDArray& upstream, const NDArray& input,
                               NDArray& weight_grad) {
    const ConvSizes sizes = sizes_of(geometry);
    const int shares = static_cast<int>(blocks_for(sizes.group_out, kChannels));
    const int slices = sizes.batch < 1 ? 1 : sizes.batch < kMaxSlices ? sizes.batch : kMaxSlices;
    const int64_t warps = int64_t{sizes.group_in} * sizes.taps() * sizes.groups * shares;
    dispatch_floating_device(weight_grad.dtype(), [&](auto zero) {
        using T = decltype(zero);
        Scratch<T> partial(slices * weight_grad.size());
        launch(sum_weight_slices<T>, dim3(blocks_for(warps, kWarpsInBlock), static_cast<unsigned int>(slices)),
               kThreads, 0, upstream.data<T>(), input.data<T>(), partial.data(), sizes, shares, slices);
        const T* no_bias = nullptr;
        launch(add_slices<T>, blocks_for(weight_grad.size(), kThreads), kThreads, 0, partial.data(), no_bias,
               weight_grad.data<T>(), int64_t{slices}, weight_grad.size(), weight_grad.size());
    });
}

}  // namespace mt
