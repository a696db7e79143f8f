// A training batch from the data set: uint8 images, chosen by an index, become normalised float32. The rungs:
//
//   pixels   one thread a pixel and channel: reads a byte, writes four
//   four     one thread four neighbouring pixels of a row: one float4 is written, and what they have in common (the
//            image, the row, the channel's mean) is worked out once
#include "../ops/gather_batch.h"
#include "launch.h"

namespace mt {
namespace {

constexpr int kThreads = 256;  // a block

struct Batch {
    const uint8_t* images;  // (N, channels, height, width)
    const int64_t* index;   // (count,)
    const float* mean;
    const float* std;
    const uint8_t* flip;  // nullptr: nothing is mirrored
    const int64_t* crop;  // nullptr: nothing is moved
    int64_t padding, count, channels, height, width;

    __host__ __device__ int64_t size() const { return count * channels * height * width; }
};

// One row of one channel of one image of the batch.
struct Row {
    const uint8_t* source;  // the data set's row; nullptr: it lies in the padding
    int64_t shift, width;
    bool is_mirrored;
    float mean, std;

    // row: its number in the output, (count, channels, height)
    __device__ Row(const Batch& batch, int64_t row) {
        const int64_t y = row % batch.height, c = row / batch.height % batch.channels;
        const int64_t b = row / (batch.height * batch.channels);
        const int64_t from = batch.crop != nullptr ? y + batch.crop[2 * b] - batch.padding : y;
        shift = batch.crop != nullptr ? batch.crop[2 * b + 1] - batch.padding : 0;
        width = batch.width;
        is_mirrored = batch.flip != nullptr && batch.flip[b] != 0;
        const int64_t plane = batch.index[b] * batch.channels + c;
        const bool is_inside = from >= 0 && from < batch.height;
        source = is_inside ? batch.images + (plane * batch.height + from) * width : nullptr;
        mean = batch.mean[c];
        std = batch.std[c];
    }

    // Pixel x of the output's row. Beyond the image everything is black.
    __device__ float pixel(int64_t x) const {
        const int64_t from = (is_mirrored ? width - 1 - x : x) + shift;
        const bool is_inside = source != nullptr && from >= 0 && from < width;
        const float byte = is_inside ? static_cast<float>(source[from]) : 0.0f;
        return (byte / 255.0f - mean) / std;
    }
};

__global__ void gather_pixels(Batch batch, float* output) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i >= batch.size()) return;
    output[i] = Row(batch, i / batch.width).pixel(i % batch.width);
}

// The width is a multiple of four.
__global__ void gather_four(Batch batch, float* output) {
    const int64_t first = 4 * (int64_t{blockIdx.x} * blockDim.x + threadIdx.x);
    if (first >= batch.size()) return;
    const Row row(batch, first / batch.width);
    const int64_t x = first % batch.width;
    const float4 pixels = {row.pixel(x), row.pixel(x + 1), row.pixel(x + 2), row.pixel(x + 3)};
    *reinterpret_cast<float4*>(output + first) = pixels;
}

Batch batch_of(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
               const uint8_t* flip, const int64_t* crop, int64_t padding, const NDArray& output) {
    return {images.data<uint8_t>(), index.data<int64_t>(), mean.data<float>(), std.data<float>(), flip, crop, padding,
            output.shape(0),        output.shape(1),       output.shape(2),    output.shape(3)};
}

void launch_pixels(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                   const uint8_t* flip, const int64_t* crop, int64_t padding, NDArray& output) {
    const Batch batch = batch_of(images, index, mean, std, flip, crop, padding, output);
    launch(gather_pixels, blocks_for(output.size(), kThreads), kThreads, 0, batch, output.data<float>());
}

void launch_four(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                 const uint8_t* flip, const int64_t* crop, int64_t padding, NDArray& output) {
    if (output.shape(3) % 4 != 0) return launch_pixels(images, index, mean, std, flip, crop, padding, output);
    const Batch batch = batch_of(images, index, mean, std, flip, crop, padding, output);
    launch(gather_four, blocks_for(output.size() / 4, kThreads), kThreads, 0, batch, output.data<float>());
}

constexpr Rung<GatherBatchKernel> kRungs[] = {
    {"four", "One thread four neighbouring pixels, written as a float4; widths that are no multiple of 4: as pixels.",
     75, launch_four},
    {"pixels", "One thread a pixel and channel.", 75, launch_pixels},
};

}  // namespace

const DeviceLadder gather_batch_ladder(kGatherBatchOp, kRungs);

}  // namespace mt
