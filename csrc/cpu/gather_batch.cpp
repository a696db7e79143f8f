// CPU kernel that makes a batch of the data set's bytes.
//
//   gather_batch   row by row, (x / 255 - mean) / std for a register full of pixels at a time
#include "../ops/gather_batch.h"

#include <algorithm>

#include "parallel.h"

namespace mt::cpu {
namespace {

constexpr int64_t kGrain = 8192;  // pixels a thread

// What becomes of a channel's bytes. In the order of torchvision's ToTensor and Normalize, so that the bits are theirs.
struct Normalisation {
    float mean, std;

    float operator()(uint8_t byte) const { return (static_cast<float>(byte) / 255.0f - mean) / std; }
};

// One row of `width` pixels: out[x] = the value of row[x + shift], or of 0 beyond the row's ends; mirrored on demand.
void gather_row(const uint8_t* row, int64_t width, int64_t shift, bool is_mirrored, Normalisation normalised,
                float* out) {
    const int64_t begin = std::clamp(-shift, int64_t{0}, width);  // the first x inside the row
    const int64_t end = std::clamp(width - shift, begin, width);  // and the one after the last
    std::fill(out, out + begin, normalised(0));
#pragma omp simd
    for (int64_t x = begin; x < end; x++) out[x] = normalised(row[x + shift]);
    std::fill(out + end, out + width, normalised(0));
    if (is_mirrored) std::reverse(out, out + width);
}

// Asks for `bytes` bytes from `from` on, without waiting for them. The images of a shuffled batch lie anywhere in the
// data set, so that no cache holds them and the processor cannot guess which comes next.
void prefetch(const uint8_t* from, int64_t bytes) {
    constexpr int64_t kCacheLine = 64;
    for (int64_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(from + i);
}

void gather_batch(const NDArray& images, const NDArray& index, const NDArray& mean, const NDArray& std,
                  const uint8_t* flip, const int64_t* crop, int64_t padding, NDArray& out) {
    const int64_t channels = out.shape(1), height = out.shape(2), width = out.shape(3);
    const uint8_t* from = images.data<uint8_t>();
    const int64_t* image = index.data<int64_t>();
    float* to = out.data<float>();
    const int64_t plane = height * width;
    // One item is one channel of one image.
    parallel_for(out.shape(0) * channels, std::max<int64_t>(kGrain / plane, 1), [&](int64_t first, int64_t last) {
        for (int64_t item = first; item < last; item++) {
            const int64_t b = item / channels, c = item % channels;
            const int64_t down = crop != nullptr ? crop[2 * b] - padding : 0,
                          across = crop != nullptr ? crop[2 * b + 1] - padding : 0;
            const bool is_mirrored = flip != nullptr && flip[b] != 0;
            const uint8_t* source = from + (image[b] * channels + c) * plane;
            if (item + channels < last) prefetch(from + (image[b + 1] * channels + c) * plane, plane);
            const Normalisation normalised{mean.data<float>()[c], std.data<float>()[c]};
            for (int64_t y = 0; y < height; y++) {
                float* row = to + item * plane + y * width;
                if (y + down < 0 || y + down >= height)
                    std::fill(row, row + width, normalised(0));
                else
                    gather_row(source + (y + down) * width, width, across, is_mirrored, normalised, row);
            }
        }
    });
}

constexpr Rung<GatherBatchKernel> kRungs[] = {
    {"table", "looks up each byte's normalised value in a table of 256 a channel", gather_batch}};

}  // namespace

constexpr Ladder<GatherBatchKernel> gather_batch_ladder(kRungs);

}  // namespace mt::cpu
